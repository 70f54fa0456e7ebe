"""`kctl version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as of

from kontena_ctl.command import command, group
from kontena_ctl.failures import Failure
from kontena_ctl.session import Session

app = group("Versions of this program and of the master")


@command(app, "version")
def version(session: Session) -> None:
    """Versions of this program and of the master."""
    try:
        own = of("kontena-ctl")
    except PackageNotFoundError:
        own = "of the source tree"
    try:
        master = session.client.call("GET", "/").get("version")
    except Failure:
        master = None
    if not session.output.told({"client": own, "master": master}):
        session.output.details({"kontena-ctl": own, "master": master or "(none is known)"})
