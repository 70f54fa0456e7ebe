"""`python -m services.vault_svc` serves; `... migrate`, `... rotate-keys`, `... export GRID FILE`,
`... import GRID FILE` and `... start-anew --key-is-lost` do that and end."""

import sys

from services.vault_svc import app, commands


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    match arguments:
        case []:
            app.run()
        case ["migrate"]:
            app.migrate()
        case ["rotate-keys"]:
            return app.rotate_keys()
        case ["export" | "import" as command, grid, file]:
            return commands.run(command, grid, file)
        case ["start-anew", "--key-is-lost"]:
            return commands.run("start-anew")
        case _:
            sys.stderr.write(
                "usage: python -m services.vault_svc"
                " [migrate | rotate-keys | export GRID FILE | import GRID FILE | start-anew --key-is-lost]\n"
            )
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
