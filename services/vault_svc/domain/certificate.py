"""Certificates: requests, PEM texts, and what an imported one must be (docs/spec/vault.md sections 4.3 and 5)."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from services.kernel.errors import ValidationFailed
from services.vault_svc.domain import bindings
from services.vault_svc.domain.envelope import Binding, Sealed
from services.vault_svc.domain.plaintext import Plaintext

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_LONGEST_CN = 64
_PKCS8 = b"-----BEGIN PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What may be shown of a certificate."""

    id: str
    grid_id: str
    subject: str
    alt_names: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    renewal_failures: int = 0
    renewal_error: str | None = None
    next_renewal_at: datetime | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """All names."""
        return (self.subject, *self.alt_names)

    def binding(self) -> Binding:
        """What the ciphertext of the private key is bound to."""
        return bindings.certificate(self.grid_id, self.subject, self.id)


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate with its texts and its encrypted key; `directory` is that of its issuer, None when imported."""

    shown: Certificate
    leaf: str
    chain: str
    sealed: Sealed
    directory: str | None


class Material(NamedTuple):
    """A certificate and its key as PEM, each text ending with one newline; `chain` may be empty."""

    leaf: str
    chain: str
    key: Plaintext

    def bundle(self) -> str:
        """The format of load balancers."""
        return self.leaf + self.chain + self.key.reveal()


@dataclass(frozen=True, slots=True)
class Validity:
    """What a leaf says of itself."""

    names: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime


def new_key() -> Plaintext:
    """A fresh RSA key, as PKCS#1."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Plaintext(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def as_exported(key: Plaintext) -> Plaintext:
    """The key as clients expect it: an RSA key as PKCS#1, as those of an authority are; others as they were given."""
    if not key.data.startswith(_PKCS8):
        return key
    found = _private_key(key)
    if not isinstance(found, rsa.RSAPrivateKey):
        return key
    return Plaintext(found.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def request(key: Plaintext, domains: tuple[str, ...]) -> bytes:
    """The certificate signing request as PEM."""
    name = [x509.NameAttribute(NameOID.COMMON_NAME, domains[0])] if len(domains[0]) <= _LONGEST_CN else []
    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(name)).add_extension(names, critical=False)
    return builder.sign(_private_key(key), SHA256()).public_bytes(Encoding.PEM)


def split(fullchain: str) -> tuple[str, str]:
    """Leaf and chain of what an authority sends. Raises ValueError without a certificate."""
    blocks = [block + "\n" for block in _BLOCK.findall(fullchain.replace("\r\n", "\n"))]
    if not blocks:
        raise ValueError("there is no certificate in the answer of the authority")
    return blocks[0], "".join(blocks[1:])


def belongs(leaf: str, key: Plaintext) -> bool:
    """Whether the key is the one of the certificate."""
    return _public(x509.load_pem_x509_certificate(leaf.encode()).public_key()) == _public(
        _private_key(key).public_key()
    )


def validity(leaf: str) -> Validity:
    """Names and times of a leaf."""
    parsed = x509.load_pem_x509_certificate(leaf.encode())
    return Validity(_names(parsed), parsed.not_valid_before_utc, parsed.not_valid_after_utc)


def check_import(
    subject: str, certificate: str | None, key: Plaintext | None, chain: list[str]
) -> tuple[Material, Validity]:
    """An imported certificate. Raises ValidationFailed."""
    errors = {
        name: f"{title} is required"
        for name, title, value in (
            ("certificate", "Certificate", certificate),
            ("private_key", "Private Key", key),
        )
        if value is None
    }
    if errors or certificate is None or key is None:
        raise ValidationFailed(errors)
    leaf = _parsed("certificate", [certificate])
    rest = _parsed("chain", chain)
    if len(leaf) != 1:
        # Some export leaf and chain as one text.
        leaf, rest = leaf[:1], [*leaf[1:], *rest]
    key = _only_key(key)
    private = _imported_key(key)
    _check_subject(subject, leaf[0])
    if _public(leaf[0].public_key()) != _public(private.public_key()):
        raise ValidationFailed({"private_key": "Private Key does not belong to the certificate"})
    texts = [one.public_bytes(Encoding.PEM).decode() for one in (*leaf, *rest)]
    found = Validity(_names(leaf[0]), leaf[0].not_valid_before_utc, leaf[0].not_valid_after_utc)
    return Material(texts[0], "".join(texts[1:]), as_exported(key)), found


def _check_subject(subject: str, leaf: x509.Certificate) -> None:
    common, names = _common_name(leaf), _dns_names(leaf)
    if subject in (common, *names):
        return
    if common is None:
        text = f"Unable to find CN from certificate subject: {leaf.subject.rfc4514_string()}"
        raise ValidationFailed({"certificate": text})
    text = f"Certificate subject '{common}' does not match expected subject '{subject}'"
    raise ValidationFailed({"subject": text})


def _parsed(attribute: str, texts: list[str]) -> list[x509.Certificate]:
    try:
        return [one for text in texts for one in x509.load_pem_x509_certificates(text.encode())]
    except ValueError as error:
        raise ValidationFailed({attribute: str(error)[:300]}) from None


def _only_key(text: Plaintext) -> Plaintext:
    """The first private key of a text, without what may stand around it. All of it where there is none."""
    found = _KEY.search(text.reveal().replace("\r\n", "\n"))
    return Plaintext(found[0] + "\n") if found else text


def _imported_key(key: Plaintext) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        return _private_key(key)
    except TypeError:
        raise ValidationFailed({"private_key": "Private Key is encrypted"}) from None
    except ValueError:
        # The text of the parser could quote the key.
        raise ValidationFailed({"private_key": "Private Key is not an RSA or EC key in PEM"}) from None


def _private_key(key: Plaintext) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    found = load_pem_private_key(key.data, password=None)
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("neither an RSA nor an EC key")
    return found


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    common = _common_name(leaf)
    return tuple(dict.fromkeys((*((common,) if common else ()), *_dns_names(leaf))))


def _common_name(leaf: x509.Certificate) -> str | None:
    found = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else None


def _dns_names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)
