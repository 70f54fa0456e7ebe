"""`python -m services.grid_svc` serves; `... migrate` brings the schema up to date; `... seal-tokens` encrypts join
tokens, once no replica of 1.5.5 is left, and puts them under a new VAULT_KEY."""

import asyncio
import sys

from services.grid_svc.app import PROGRAM, seal_tokens


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return PROGRAM.run(arguments, {"seal-tokens": _seal_tokens, "migrate seal-tokens": _migrate_alone})


def _seal_tokens() -> int:
    return asyncio.run(seal_tokens(PROGRAM.configure()))


def _migrate_alone() -> int:
    """Both, where nothing else runs meanwhile."""
    PROGRAM.migrate()
    return _seal_tokens()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
