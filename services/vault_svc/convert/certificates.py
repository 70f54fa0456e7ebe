"""Certificates and domain authorizations on the wire."""

import json

from google.api.httpbody_pb2 import HttpBody

from kontena.vault.v1 import certificate_pb2 as pb
from kontena.vault.v1 import domain_authorization_pb2 as authorization_pb
from services.kernel.times import shown
from services.vault_svc.domain.authorization import RECORD_NAME, Authorization
from services.vault_svc.domain.certificate import Certificate, Material
from services.vault_svc.usecases.certificates import CertificateView
from services.vault_svc.usecases.domain_authorizations import AuthorizationView


def certificate_to_proto(view: CertificateView) -> pb.Certificate:
    found = view.certificate
    return pb.Certificate(
        id=f"{view.grid}/{found.subject}",
        subject=found.subject,
        valid_until=shown(found.valid_until),
        alt_names=found.alt_names,
        auto_renewable=view.auto_renewable,
        renewal_error=found.renewal_error,
        next_renewal_at=shown(found.next_renewal_at) if found.renewal_error else None,
    )


def export_to_proto(grid: str, found: Certificate, material: Material) -> pb.ExportCertificateResponse:
    """A certificate with its key."""
    return pb.ExportCertificateResponse(
        id=f"{grid}/{found.subject}",
        subject=found.subject,
        certificate=material.leaf,
        chain=material.chain,
        private_key=material.key.reveal(),
    )


def record_to_proto(found: Authorization) -> pb.AuthorizeDomainResponse:
    """The DNS record to set."""
    return pb.AuthorizeDomainResponse(
        record_name=RECORD_NAME,
        record_type="TXT",
        record_content=found.challenge.content,
        record_fqdn=found.record_fqdn,
    )


def names_to_json(found: list[str]) -> HttpBody:
    """A JSON array: a message cannot be one."""
    return HttpBody(content_type="application/json", data=json.dumps(found).encode())


def authorization_to_proto(view: AuthorizationView) -> authorization_pb.DomainAuthorization:
    found = view.authorization
    challenge = found.challenge
    linked = f"{view.grid}/{found.linked_service}" if found.linked_service else None
    return authorization_pb.DomainAuthorization(
        id=f"{view.grid}/{found.domain}",
        domain=found.domain,
        status=view.status,
        challenge=authorization_pb.DomainChallenge(
            token=challenge.token, uri=challenge.url, type=challenge.type, status=challenge.status
        ),
        challenge_opts=_opts(found),
        authorization_type=found.type,
        expires_at=shown(found.expires_at),
        linked_service=authorization_pb.LinkedServiceRef(id=linked) if linked else None,
        problem=found.problem,
    )


def _opts(found: Authorization) -> authorization_pb.ChallengeOpts | None:
    content = found.challenge.content
    if found.type == "dns-01":
        return authorization_pb.ChallengeOpts(record_name=RECORD_NAME, record_type="TXT", record_content=content)
    if found.type == "http-01":
        return authorization_pb.ChallengeOpts(token=found.challenge.token, content=content)
    return None
