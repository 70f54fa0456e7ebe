"""tls-alpn-01 (RFC 8737): the challenge type the library lacks, and its certificate."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from acme.challenges import Challenge, ChallengeResponse, KeyAuthorizationChallenge, KeyAuthorizationChallengeResponse
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from josepy.jwk import JWK

from services.vault_svc.domain.plaintext import Plaintext

TYPE = "tls-alpn-01"
_EXTENSION = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_LIFETIME = timedelta(days=30)


@ChallengeResponse.register
class TlsAlpn01Response(KeyAuthorizationChallengeResponse):
    """The answer to the challenge."""

    typ = TYPE


@Challenge.register
class TlsAlpn01(KeyAuthorizationChallenge):
    """The challenge."""

    typ = TYPE
    response_cls = TlsAlpn01Response

    def validation(self, account_key: JWK, **_kwargs: Any) -> str:
        """The key authorization, whose digest goes into the certificate."""
        return self.key_authorization(account_key)


def challenge_certificate(domain: str, key_authorization: str, now: datetime | None = None) -> Plaintext:
    """Self-signed certificate and key as PEM, to be served only for the protocol `acme-tls/1`."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = (now or datetime.now(UTC)) - timedelta(hours=1)
    name = x509.Name([])
    digest = sha256(key_authorization.encode()).digest()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(_EXTENSION, b"\x04\x20" + digest), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Plaintext(certificate.public_bytes(Encoding.PEM) + private)
