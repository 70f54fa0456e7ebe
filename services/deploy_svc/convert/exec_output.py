"""Output of commands as text."""

import codecs
from collections.abc import Iterable
from typing import Any

from services.deploy_svc.usecases.container_commands import Outcome


def outcome_to_json(outcome: Outcome) -> list[Any]:
    """`[[stdout...], [stderr...], exit code]`."""
    return [list(texts(outcome.stdout)), list(texts(outcome.stderr)), outcome.code]


def texts(pieces: Iterable[bytes]) -> Iterable[str]:
    """The pieces as text; characters that are split between two pieces stay whole, odd bytes become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        text = decoder.decode(piece)
        if text:
            yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest
