"""`python -m services.vault_svc` serves; the other commands do what they are called and end."""

import sys
from functools import partial

from services.kernel import entry
from services.vault_svc import app, commands

COMMANDS: dict[str, entry.Command] = {
    "": app.run,
    "migrate": app.migrate,
    "rotate-keys": app.rotate_keys,
    "export GRID FILE": partial(commands.run, "export"),
    "import GRID FILE": partial(commands.run, "import"),
    "start-anew --key-is-lost": partial(commands.run, "start-anew"),
}


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return entry.run("vault_svc", arguments, COMMANDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
