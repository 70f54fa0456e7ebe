"""What may be asked for: domains, and the secrets that old clients get them in (docs/spec/vault.md section 4.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.kernel.errors import ValidationFailed
from services.kernel.validation import Checker
from services.vault_svc.domain.certificate import Material
from services.vault_svc.domain.domain_name import normalize
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import is_name

CertType = Literal["fullchain", "cert", "chain"]

_TYPES: dict[str, CertType] = {"fullchain": "fullchain", "cert": "cert", "chain": "chain"}
_SUFFIXES = ("_PRIVATE_KEY", "_CERTIFICATE", "_BUNDLE")
_MOST_DOMAINS = 100


@dataclass(frozen=True, slots=True)
class SecretCertificateInput:
    """A checked request for a certificate in secrets."""

    secret_name: str
    domains: tuple[str, ...]
    cert_type: CertType


def check_domains(given: Sequence[str]) -> tuple[str, ...]:
    """The domains in the order given, each once. Raises ValidationFailed."""
    check = Checker()
    found = _domains(check, given)
    check.done()
    return found


def check_secret_certificate(
    secret_name: str | None, domains: Sequence[str], cert_type: str | None
) -> SecretCertificateInput:
    """A request for a certificate in secrets. Raises ValidationFailed with all problems."""
    check = Checker()
    name = check.text("secret_name", secret_name, required=True) or ""
    if name and not is_name(name + max(_SUFFIXES, key=len)):
        check.fail("secret_name", "Secret Name isn't in the right format")
    found = _domains(check, domains)
    kind = "fullchain" if cert_type is None else check.text("cert_type", cert_type, options=_TYPES)
    check.done()
    return SecretCertificateInput(name, found, _TYPES[kind or "fullchain"])


def secret_values(given: SecretCertificateInput, material: Material) -> list[tuple[str, Plaintext]]:
    """Names and values of the three secrets: key, certificate, and both in the format of load balancers."""
    texts = {"fullchain": material.leaf + material.chain, "cert": material.leaf, "chain": material.chain}
    text = texts[given.cert_type]
    if not text:
        raise ValidationFailed({"cert_store": "Certificate storing to vault failed: the authority sent no chain"})
    values = (material.key, Plaintext(text), Plaintext(text + material.key.reveal()))
    return [(given.secret_name + suffix, value) for suffix, value in zip(_SUFFIXES, values, strict=True)]


def _domains(check: Checker, given: Sequence[str]) -> tuple[str, ...]:
    names = [normalize(text) for text in given]
    if not names:
        check.fail("domains", "Domains can't be blank")
    elif len(names) > _MOST_DOMAINS:
        check.fail("domains", "Domains is too long")
    elif None in names:
        check.fail("domains", "Domains isn't in the right format")
    return tuple(dict.fromkeys(name for name in names if name))
