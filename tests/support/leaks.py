"""The secret values that tests give to a suite, and the search for them in everything that the suite writes.

Only values of a dozen characters and more count: shorter ones can be found anywhere by chance.
"""

import asyncio
import base64
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

SHORTEST = 12
_ENOUGH = 64
_PATHS = re.compile(r"/v1/.*(secrets|external_registries|certificates)\b")
_MEMBERS = ("value", "password", "private_key")
_KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", re.DOTALL)
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


async def dump(url: str, schema: str) -> str:
    """Every row of every table of a schema as text; binary columns in hexadecimal."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch("select tablename from pg_tables where schemaname = $1", schema)
    found = [
        f"{table[0]}: {row[0]}"
        for table in tables
        for row in await connection.fetch(f'select t::text from {schema}."{table[0]}" t')  # noqa: S608
    ]
    await connection.close()
    assert found
    return "\n".join(found)


class SecretValues:
    """Collected from the requests and answers of one suite."""

    def __init__(self) -> None:
        self.values: set[str] = set()

    def note(self, path: str, document: Any) -> None:
        """Take over what is secret of a request or an answer on `path`."""
        if _PATHS.match(path) and isinstance(document, dict):
            for text in (document.get(member) for member in _MEMBERS):
                if isinstance(text, str):
                    # The beginning of a line is enough, and finds lines that were cut off.
                    self.values |= {part[:_ENOUGH] for part in _parts(text) if len(part) >= SHORTEST}

    def patterns(self) -> list[str]:
        """All values in the forms in which one could be written."""
        return sorted({form for value in self.values for form in forms(value) if len(form) >= SHORTEST})


def forms(value: str) -> list[str]:
    """As it is, in hexadecimal, with escapes, in base64 (without its last characters, which depend on what follows)."""
    raw = value.encode()
    return [value, raw.hex(), ascii(value)[1:-1], base64.b64encode(raw).decode().rstrip("=")[:-2], str(raw)[2:-1]]


def _parts(text: str) -> list[str]:
    """What to look for of a text: each line, as texts are wrapped in different ways. Certificates are public."""
    return key_lines(text) or ([] if _CERTIFICATE in text else text.splitlines())


def key_lines(text: str) -> list[str]:
    """The lines of the private keys in a PEM text without those that can be in a certificate, too: an RSA key begins
    with the modulus, an EC key ends with the point."""
    keys = [key.splitlines() for key in _KEYS.findall(text)]
    return [line for lines in keys for line in (lines[7:] if len(lines) > 10 else lines[:2])]


def leaks(values: SecretValues, var: Path, database_url: str) -> list[str]:
    """Lines that hold a value: of a dump of the database, of its files, of logs and of everything else in `var`."""
    with tempfile.TemporaryDirectory(prefix="kleak") as folder:
        patterns, dump = Path(folder) / "patterns", Path(folder) / "dump"
        patterns.write_text("\n".join(values.patterns()) + "\n")
        dump.write_text(asyncio.run(_dump(database_url)))
        command = ["grep", "-raoF", f"--file={patterns}", str(dump), str(var)]
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        found = subprocess.run(command, env=env, capture_output=True, check=False)
        # A file may go away while it is looked for; nothing else may go wrong.
        wrong = [line for line in found.stderr.decode().splitlines() if "No such" not in line]
        assert wrong == [], wrong
        return sorted(set(found.stdout.decode(errors="replace").splitlines()))


async def _dump(url: str) -> str:
    """Every row of every table as text."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    )
    lines = []
    for schema, table in tables:
        rows = await connection.fetch(f'select t::text from "{schema}"."{table}" t')  # noqa: S608
        lines += [f"{schema}.{table}: {row[0]}" for row in rows]
    await connection.close()
    return "\n".join(lines)
