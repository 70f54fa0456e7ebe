"""`python -m services.auth_svc admin ...`: offline commands for operators. They print what was asked for, only."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from asyncpg import PostgresError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from services.auth_svc import app
from services.auth_svc.usecases.administration import Administration
from services.kernel import call
from services.kernel.database_errors import sqlstate, translate_database_error
from services.kernel.errors import DomainError

# SQLSTATEs: undefined table, undefined schema.
_NO_SCHEMA = ("42P01", "3F000")


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    call.start_command(f"auth_svc admin {options.command}")
    try:
        lines = asyncio.run(_run(options))
    except (DomainError, DBAPIError, OSError, PostgresError, ValidationError) as error:
        sys.stderr.write(f"{_explained(error)}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _explained(error: Exception) -> str:
    """What an operator can do about an error."""
    if isinstance(error, ValidationError):
        names = ", ".join(str(problem["loc"][0]).upper() for problem in error.errors())
        return f"Missing or wrong in the environment: {names}"
    if sqlstate(error) in _NO_SCHEMA:
        return "The database has no tables yet: run python -m services.auth_svc migrate"
    known = error if isinstance(error, DomainError) else translate_database_error(error)
    if known is not None:
        return known.message
    return f"The database refuses: {error}"


async def _run(options: argparse.Namespace) -> list[str]:
    async with app.administration(app.PROGRAM.configure()) as administration:
        return await perform(administration, options)


async def perform(administration: Administration, options: argparse.Namespace) -> list[str]:
    """Carry out a parsed command; returns the lines to print."""
    match options.command:
        case "reset-code":
            return [await administration.reset_code()]
        case "create-token":
            made = administration.create_token(options.user, options.scope, options.expires_in, options.description)
            return [await made]
        case "create-user":
            grid_ids = [await administration.grid_id(name) for name in options.grid]
            return [(await administration.create_user(options.email, options.role, grid_ids)).id]
        case "rotate-keys":
            await administration.rotate_keys()
            return ["all secret configuration values are under the current key"]
        case _:
            users = await administration.list_users()
            return ["\t".join((user.id, user.email, ",".join(role.name for role in user.roles))) for user in users]


def parser() -> argparse.ArgumentParser:
    """Understands the arguments after `admin`."""
    root = argparse.ArgumentParser(prog="python -m services.auth_svc admin", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    commands.add_parser("reset-code", help="print a new code that logs in as the local administrator")
    token = commands.add_parser("create-token", help="print a new access token")
    token.add_argument("--user", required=True, metavar="EMAIL", help="whose token; `admin` is the local administrator")
    token.add_argument("--scope", default="user", help="user, owner or user,owner (default: user)")
    token.add_argument(
        "--expires-in", default="7200", type=_seconds, metavar="SECONDS", help="0 means never (default: 7200)"
    )
    token.add_argument(
        "--description", default="create-token", help="what lists of tokens show (default: create-token)"
    )
    user = commands.add_parser("create-user", help="make an account and print its id")
    user.add_argument("--email", required=True)
    user.add_argument("--role", action="append", default=[], help="may be repeated")
    user.add_argument(
        "--grid", action="append", default=[], metavar="NAME", help="make it a member of this grid; may be repeated"
    )
    commands.add_parser("rotate-keys", help="bring secret configuration values under the current VAULT_KEY")
    commands.add_parser("list-users", help="print id, e-mail and roles of all accounts, separated by tabs")
    return root


def _seconds(text: str) -> str:
    """A lifetime that somebody can mean: over the API a negative one is for ever, here it is a slip of the pen."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; 0 means never")
    return text
