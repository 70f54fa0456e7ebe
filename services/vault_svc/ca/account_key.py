"""The key of an account: the secret LE_PRIVATE_KEY, in whatever PEM form an operator may have written it."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.b64 import b64encode
from josepy.jwa import ES256, RS256
from josepy.jwk import JWK, JWKEC, JWKRSA

from services.vault_svc.domain.plaintext import Plaintext


class UnusableKey(Exception):
    """No RSA key and no P-256 key."""


class AccountKey:
    """Signs what goes to the authority; never shows itself."""

    __slots__ = ("alg", "jwk", "thumbprint")

    def __init__(self, pem: Plaintext) -> None:
        try:
            key = load_pem_private_key(pem.data, password=None)
        except (ValueError, TypeError):
            raise UnusableKey from None
        self.jwk: JWK
        self.alg: Any
        if isinstance(key, rsa.RSAPrivateKey):
            self.jwk, self.alg = JWKRSA(key=key), RS256
        elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            self.jwk, self.alg = JWKEC(key=key), ES256
        else:
            raise UnusableKey
        self.thumbprint = b64encode(self.jwk.thumbprint()).decode()

    def __repr__(self) -> str:
        return f"AccountKey({self.thumbprint})"
