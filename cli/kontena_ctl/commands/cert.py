"""`kctl cert`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.resources import CERTIFICATE, DOMAIN
from kontena_ctl.session import Session
from kontena_ctl.verbs import about, add, shown

GROUP = True
app = group("Certificates, and domains they are for")
add(app, CERTIFICATE)
domains = group("Permissions to get certificates for domains")
add(domains, DOMAIN)
app.add_typer(domains, name="domain")
_Subject = Annotated[str, typer.Argument(metavar="SUBJECT", autocompletion=completed("certificates"))]


@command(app, "register")
def register(session: Session, email: Annotated[str, typer.Argument(metavar="EMAIL")]) -> None:
    """Open the grid's account at the certification authority and accept its terms."""
    session.client.register_acme_account(session.grid, {"email": email})
    session.output.say(f"registered {email}")


@command(domains, "authorize")
def authorize(
    session: Session,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN")],
    kind: Annotated[str, typer.Option("--type", metavar="dns-01|http-01|tls-alpn-01")] = "dns-01",
    service: Annotated[
        str, typer.Option(help="Service that answers, for all types but dns-01.", autocompletion=completed("services"))
    ] = "",
) -> None:
    """Begin to prove control over a domain, and show what has to be published."""
    body: Any = {"domain": domain, "authorization_type": kind}
    if service:
        name = session.service(service)
        body["linked_service"] = f"{name.stack}/{name.service}"
    shown(session, DOMAIN, session.client.create_domain_authorization(session.grid, body))


@command(app, "request")
def request(session: Session, names: Annotated[list[str], typer.Argument(metavar="DOMAIN...")]) -> None:
    """Get a certificate for authorized domains; the first one becomes its subject."""
    shown(session, CERTIFICATE, session.client.create_certificate(session.grid, {"domains": names}))


@command(app, "export")
def export(session: Session, subject: _Subject) -> None:
    """Print a certificate with its chain and its private key, as PEM. Written to the audit log."""
    document = about(session, CERTIFICATE, subject, session.client.export_certificate)
    if not session.output.told(document):
        session.output.raw("".join(document[part] for part in ("certificate", "chain", "private_key")))


@command(app, "import")
def import_(
    session: Session,
    subject: _Subject,
    cert: Annotated[Path, typer.Option(metavar="FILE", help="Leaf, as PEM.")],
    private_key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Key, as PEM.")],
    chain: Annotated[list[Path], typer.Option("--chain", metavar="FILE", help="Intermediates, as PEM.")] = [],  # noqa: B006
) -> None:
    """Keep a certificate that was made elsewhere."""
    try:
        body: Any = {
            "certificate": cert.read_text(),
            "private_key": private_key.read_text(),
            "chain": [file.read_text() for file in chain],
        }
    except OSError as error:
        raise Failure(f"{error.filename} cannot be read: {error.strerror}", code=Exit.USAGE) from error
    shown(session, CERTIFICATE, session.client.import_certificate(session.grid, subject, body))
