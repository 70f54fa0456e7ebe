"""`python -m deploy.compose_page`: what becomes of each key of compose files and of stack files.

`make compose-page` writes docs/compose-keys.md; a test compares it with the tables of keys.
"""

import sys
from collections.abc import Iterator

from services.deploy_svc.domain.compose.keys import ELEMENTS, TOP
from services.deploy_svc.domain.compose.table import Table
from services.deploy_svc.domain.stack_file import keys as stack_file

_HEAD = "| Key | | What it becomes, or what to do instead |\n|---|---|---|\n"


def page() -> str:
    """The whole page."""
    compose = [*_rows("", TOP), *(row for name, table in ELEMENTS.items() for row in _rows(f"{name}.NAME.", table))]
    files = [*_rows("", stack_file.TOP), *_rows("services.NAME.", stack_file.SERVICE)]
    return (
        "# Keys of compose files and stack files\n"
        "Written by `make compose-page` from the tables that the conversion works with; [Compose files](compose.md)\n"
        "says how it is used. Names in code are those of the API. Any other key is refused, but for those that begin\n"
        "with `x-`.\n\n"
        f"## Compose files\n{_HEAD}{''.join(compose)}\n## Stack files of Kontena\n{_HEAD}{''.join(files)}"
    )


def _rows(prefix: str, table: Table) -> Iterator[str]:
    for key, row in table.items():
        if row.means:
            yield f"| `{prefix}{key}` | {'yes' if row.supported else '**no**'} | {row.means} |\n"
        if row.members is not None:
            yield from _rows(f"{prefix}{key}.", row.members)


if __name__ == "__main__":
    sys.stdout.write(page())
