"""Answers are compressed for clients that ask for it, brotli first."""

from gateway.typed import Config, extension, typed

_NAME = "envoy.filters.http.compressor"
_MESSAGE = "extensions.filters.http.compressor.v3.Compressor"
_MIN_BYTES = 1024


def compressors() -> list[Config]:
    """Filters by position; the one nearer to the client is asked first."""
    brotli = extension("brotli", "extensions.compression.brotli.compressor.v3.Brotli", quality=4)
    gzip = extension("gzip", "extensions.compression.gzip.compressor.v3.Gzip", compression_level="COMPRESSION_LEVEL_5")
    return [_compressor("br", brotli), _compressor("gzip", gzip)]


def uncompressed() -> Config:
    """What routes of streams carry: a compressor would hold messages back and merge them."""
    disabled = typed("extensions.filters.http.compressor.v3.CompressorPerRoute", disabled=True)
    return {f"{_NAME}.{coding}": disabled for coding in ("br", "gzip")}


def _compressor(coding: str, library: Config) -> Config:
    return extension(
        f"{_NAME}.{coding}",
        _MESSAGE,
        compressor_library=library,
        choose_first=True,
        response_direction_config={
            # For text of all kinds, JSON included: that is the default.
            "common_config": {"min_content_length": _MIN_BYTES},
            # An entity tag names exactly one representation; it would have to go.
            "disable_on_etag_header": True,
        },
    )
