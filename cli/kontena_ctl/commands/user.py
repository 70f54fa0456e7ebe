"""`kctl user`."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.resources import USER
from kontena_ctl.session import Session
from kontena_ctl.verbs import add, listing, shown

GROUP = True
app = group("Accounts, their roles, and members of the grid")
add(app, USER)
_Email = Annotated[str, typer.Argument(metavar="EMAIL", autocompletion=completed("users"))]
_Role = Annotated[str, typer.Argument(metavar="ROLE", help="master_admin, grid_admin, user_admin or viewer")]


@command(app, "whoami")
def whoami(session: Session) -> None:
    """Show who you are, and your roles."""
    shown(session, USER, session.client.get_current_user())


@command(app, "invite")
def invite(session: Session, email: Annotated[str, typer.Argument(metavar="EMAIL")]) -> None:
    """Invite somebody; prints the code with which they log in."""
    document: Any = session.client.call(
        "POST", "/oauth2/authorize", {}, {"response_type": "invite", "email": email}, {}
    )
    if not session.output.told(document):
        code = document.get("invite_code") or document.get("code")
        session.output.line(str(code))
        session.output.say(f"they run: kctl login {session.client.url} --invite {code}")


@command(app, "grant")
def grant(session: Session, email: _Email, role: _Role) -> None:
    """Give somebody a role."""
    shown(session, USER, session.client.assign_role(email, {"role": role}))


@command(app, "revoke")
def revoke(session: Session, email: _Email, role: _Role) -> None:
    """Take a role from somebody."""
    shown(session, USER, session.client.unassign_role(email, role))


@command(app, "members")
def members(session: Session) -> None:
    """List the members of the grid."""
    listing(session, USER, session.client.list_grid_users(session.grid))


@command(app, "add")
def add_member(session: Session, email: _Email) -> None:
    """Make somebody a member of the grid."""
    listing(session, USER, session.client.add_grid_user(session.grid, {"email": email}))


@command(app, "remove")
def remove_member(session: Session, email: _Email) -> None:
    """End somebody's membership of the grid."""
    listing(session, USER, session.client.remove_grid_user(session.grid, email))
