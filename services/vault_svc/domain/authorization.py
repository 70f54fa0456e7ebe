"""The authorization of a domain: what was asked, what to publish, how far it is (docs/spec/vault.md section 5.3)."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.clients.secret_usage import LinkedService
from services.kernel.validation import Checker
from services.vault_svc.domain import bindings
from services.vault_svc.domain.acme import Challenge
from services.vault_svc.domain.domain_name import base, normalize
from services.vault_svc.domain.envelope import Binding, Sealed

Type = Literal["dns-01", "http-01", "tls-alpn-01"]
State = Literal["created", "requested", "validated", "error"]

RECORD_NAME = "_acme-challenge"
_TYPES: dict[str, Type] = {
    "dns-01": "dns-01",
    "http-01": "http-01",
    "tls-alpn-01": "tls-alpn-01",
    # The spelling of clients that were made for the first version of the protocol.
    "tls-sni-01": "tls-alpn-01",
}
_PORT = {"http-01": 80, "tls-alpn-01": 443}
_FINISHED = ("success", "error")


@dataclass(frozen=True, slots=True)
class Authorization:
    """A stored authorization. `linked_service` is `stack/service`; `sealed` the tls-alpn-01 certificate and key."""

    id: str
    grid_id: str
    domain: str
    type: Type
    state: State
    directory: str
    url: str
    order_url: str
    challenge: Challenge
    thumbprint: str
    problem: str | None = None
    expires_at: datetime | None = None
    linked_service: str | None = None
    deploy_id: str | None = None
    sealed: Sealed | None = None

    def binding(self) -> Binding:
        """What the ciphertext of the challenge certificate is bound to."""
        return bindings.authorization(self.grid_id, self.domain, self.id)

    @property
    def record_fqdn(self) -> str:
        """The DNS record of dns-01."""
        return f"{RECORD_NAME}.{base(self.domain)}"

    def pending(self, now: datetime) -> bool:
        """Whether its challenge must be published."""
        return self.state in ("created", "requested") and (self.expires_at is None or self.expires_at > now)

    def renewable(self) -> bool:
        """Whether it can be repeated without a person."""
        return self.linked_service is not None and self.type != "dns-01"


@dataclass(frozen=True, slots=True)
class AuthorizationInput:
    """A checked request."""

    domain: str
    type: Type
    linked_service: str | None


def check_domain(check: Checker, attribute: str, text: str | None) -> str | None:
    """A domain name, or None after recording why not."""
    given = check.text(attribute, text, required=True)
    domain = normalize(given) if given else None
    if given and domain is None:
        check.fail(attribute, f"{attribute.capitalize()} isn't in the right format")
    return domain


def check_new(domain: str | None, type_: str | None, linked_service: str | None) -> AuthorizationInput:
    """A request for an authorization. Raises ValidationFailed."""
    check = Checker()
    name = check_domain(check, "domain", domain)
    chosen = check.text("authorization_type", type_, options=_TYPES) if type_ is not None else "dns-01"
    wanted: Type = _TYPES[chosen or "dns-01"]
    linked = (linked_service or "").strip() or None
    if chosen and wanted == "dns-01" and linked:
        check.fail("linked_service", f"Service link cannot be given for the {wanted} authorization type")
    if chosen and wanted != "dns-01" and not linked:
        check.fail("linked_service", f"Service link needs to be given for the {chosen} authorization type")
    check.done()
    return AuthorizationInput(name or "", wanted, linked)


def link_problem(given: AuthorizationInput, service: LinkedService | None) -> str | None:
    """Why a service cannot publish the challenge."""
    if service is None:
        return f"Linked service not found: {given.linked_service}"
    port = _PORT[given.type]
    if not service.host_network and port not in service.node_ports:
        return f"Linked service does not have port {port} open"
    return None


def status(authorization: Authorization, deploy_state: str | None, now: datetime) -> str:
    """What callers see; the first match wins. `deploy_state` is None when nothing is known of the deploy."""
    if deploy_state is not None and deploy_state not in _FINISHED and authorization.pending(now):
        return "deploying"
    if deploy_state == "error":
        return "deploy_error"
    if authorization.expires_at is not None and authorization.expires_at <= now:
        return "expired"
    return authorization.state


def variable_name(authorization: Authorization) -> str:
    """The environment variable that brings the challenge to the linked service (docs/spec/vault.md section 5.5)."""
    if authorization.type == "http-01":
        return f"ACME_CHALLENGE_{authorization.challenge.token}"
    return "ACME_ALPN_" + re.sub(r"[^a-z0-9]", "_", authorization.domain)
