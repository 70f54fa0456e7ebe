"""Shared kernel: what every service is built on. No domain noun; imports no service."""

from services.kernel.lean import without

# Before anybody else does: 4 MB in each process, for errors in colours.
with without("rich"):
    import structlog as structlog  # Loaded here, used where it is imported.
