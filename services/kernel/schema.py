"""How far the schema of a service is, and whether this release can work with it. What brings it further is in
migrations.py, which a service that serves does not load: alembic takes 8 MB of each process.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from services.kernel.db import Database
from services.kernel.errors import NotReady, StartRefused
from services.kernel.version import VERSION, window, works_with

RELEASE = "Kontena Master "
_REVISION = re.compile(r'^revision(?:: str)? = "(.+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class State:
    """How far a schema is: its revision, and the release that brought it there; None when nothing did or told."""

    revision: str | None
    release: str | None


class Migrations:
    """The history of one service's schema, as this release knows it: `folder` has the revisions."""

    def __init__(self, folder: Path, schema: str) -> None:
        self._folder, self._schema = folder, schema

    async def check(self, db: Database) -> None:
        """Raises NotReady until the schema is as new as this release, and StartRefused when it will not do."""
        async with db.read() as connection:
            state = await connection.run_sync(read_state, self._schema)
        self.judge(state)

    def judge(self, state: State) -> bool:
        """Whether the schema is newer than what this release knows, though near enough; raises as `check` does."""
        known = revisions(self._folder)
        if state.revision == known[0]:
            return False
        if state.revision is None or state.revision in known:
            at = f"is at {state.revision}" if state.revision else "is not there yet"
            raise NotReady(f"the schema {self._schema} {at}, this release needs {known[0]}: run its migrations")
        if state.release is not None and works_with(state.release):
            return True
        by = f"was migrated by {state.release or 'an unknown release'}"
        raise StartRefused(
            f"the schema {self._schema} {by}, to {state.revision}, which {VERSION} does not know: it works with "
            f"schemas of {window()}. Run the newer release, or restore a backup that was made before the upgrade"
        )


def revisions(folder: Path) -> list[str]:
    """All that this release knows, the newest first. Migrations are one line, in the order of their files."""
    files = sorted((folder / "versions").glob("[0-9]*.py"), reverse=True)
    return [_REVISION.findall(file.read_text())[0] for file in files]


def read_state(connection: Connection, schema: str) -> State:
    """How far the schema is."""
    table = version_table(schema)
    found = connection.execute(
        sa.text("select to_regclass(:table) is not null, obj_description(to_regclass(:table), 'pg_class')"),
        {"table": table},
    ).one()
    if not found[0]:
        return State(None, None)
    revision = connection.execute(sa.text(f"select version_num from {table}")).scalar_one_or_none()  # noqa: S608 -- ours
    release = found[1].removeprefix(RELEASE) if found[1] else None
    return State(revision, release)


def version_table(schema: str) -> str:
    """Alembic's table in the schema."""
    return f"{schema}.alembic_version"
