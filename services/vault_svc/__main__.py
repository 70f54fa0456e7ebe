"""`python -m services.vault_svc` serves; the other commands do what they are called and end."""

import asyncio
import sys
from functools import partial

from services.kernel.entry import Command
from services.vault_svc import commands
from services.vault_svc.app import PROGRAM, rotate


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    own: dict[str, Command] = {
        "rotate-keys": lambda: asyncio.run(rotate(PROGRAM.configure())),
        "export GRID FILE": partial(commands.run, "export"),
        "import GRID FILE": partial(commands.run, "import"),
        "start-anew --key-is-lost": partial(commands.run, "start-anew"),
    }
    return PROGRAM.run(arguments, own)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
