"""One conversation with an ACME server. Everything here blocks; ca/authority.py runs it in threads."""

from collections.abc import Iterable
from typing import Any

import requests
from acme import challenges, messages
from acme.client import ClientNetwork, ClientV2
from acme.errors import ClientError, ConflictError
from cryptography import x509

from services.vault_svc.ca.account_key import AccountKey
from services.vault_svc.domain.acme import NOT_FOUND, AcmeProblem, AuthorizationAtCa, Challenge, OrderAtCa

_NONCE_ATTEMPTS = 10
_LONGEST_REASON = 500
_GONE = frozenset({404, 410})


def reason(problem: messages.Error) -> str:
    """What a problem document says: its detail or its type, whatever is there, not longer than a person reads."""
    said: object = problem.detail or problem.typ
    if not isinstance(said, str) or said == "about:blank":
        return "The authority gave no reason."
    return said[:_LONGEST_REASON]


class Network(ClientNetwork):
    """Tries again when a nonce is refused; the library itself does so only once."""

    retry_after: str | None = None
    status: int = 0

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(_NONCE_ATTEMPTS - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return self._post_once(*args, **kwargs)

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        response = super()._send_request(method, url, *args, **kwargs)
        # A problem document does not hold these, and the response is gone when the problem is raised.
        self.retry_after = response.headers.get("Retry-After")
        self.status = response.status_code
        return response


class Session:
    """Belongs to one account key. Used by one thread at a time."""

    def __init__(self, network: Network, key: AccountKey, directory: str) -> None:
        self.network = network
        self.key = key
        self._client = ClientV2(ClientV2.get_directory(directory, network), network)

    def use_account(self, url: str) -> None:
        """Sign as this account from now on."""
        self.network.account = messages.RegistrationResource(uri=url, body=messages.Registration())

    def find_account(self) -> str | None:
        """The URL of the account of the key, or None when the server knows none."""
        try:
            self._client.new_account(messages.NewRegistration(only_return_existing=True))
        except ConflictError as found:
            return str(found.location)
        except messages.Error as error:
            if error.code != "accountDoesNotExist":
                raise
        return None

    def register(self, email: str, binding: tuple[str, str] | None) -> str:
        """Open an account and accept the terms, or set the contact of the one the key has; returns its URL."""
        external = (
            messages.ExternalAccountBinding.from_data(self.key.jwk.public_key(), *binding, self._client.directory)
            if binding
            else None
        )
        wanted = messages.NewRegistration.from_data(
            email=email, external_account_binding=external, terms_of_service_agreed=True
        )
        try:
            return str(self._client.new_account(wanted).uri)
        except ConflictError as found:
            url = str(found.location)
        self.use_account(url)
        self._post(url, messages.UpdateRegistration.from_data(email=email))
        return url

    def new_order(self, names: Iterable[str]) -> OrderAtCa:
        """Ask for a certificate for the names."""
        identifiers = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names]
        response = self._post(self._client.directory["newOrder"], messages.NewOrder(identifiers=identifiers))
        return _order(response, response.headers["Location"])

    def order(self, url: str) -> OrderAtCa:
        """An order as it is now."""
        return _order(self._look(url), url)

    def authorization(self, url: str) -> AuthorizationAtCa:
        """An authorization as it is now."""
        return self._authorization(self._look(url), url)

    def deactivate(self, url: str) -> None:
        """Give an authorization up."""
        self._post(url, messages.UpdateAuthorization(status="deactivated"))

    def answer(self, challenge: Challenge) -> None:
        """Let the server look."""
        body = messages.ChallengeBody.from_json(
            {"type": challenge.type, "token": challenge.token, "url": challenge.url, "status": challenge.status}
        )
        self._post(challenge.url, body.chall.response(self.key.jwk))

    def finalize(self, order: OrderAtCa, csr_pem: bytes) -> OrderAtCa:
        """Hand the signing request in."""
        request = messages.CertificateRequest(csr=x509.load_pem_x509_csr(csr_pem))
        return _order(self._post(order.finalize, request), order.url)

    def download(self, url: str) -> str:
        """A certificate with its chain as PEM."""
        return str(self._look(url).text)

    def _look(self, url: str) -> requests.Response:
        """What is there. Raises AcmeProblem `notFound`, however the server says that there is nothing any more."""
        try:
            return self._post(url, None)
        except (messages.Error, ClientError) as error:
            if self.network.status not in _GONE:
                raise
            raise AcmeProblem(NOT_FOUND, "The authority does not know this any more.") from error

    def _post(self, url: str, body: Any) -> requests.Response:
        return self.network.post(url, body, new_nonce_url=self._client.directory["newNonce"])

    def _authorization(self, response: requests.Response, url: str) -> AuthorizationAtCa:
        body = messages.Authorization.from_json(response.json())
        name = f"*.{body.identifier.value}" if body.wildcard else body.identifier.value
        offered = [self._challenge(one) for one in body.challenges]
        known = tuple(one for one in offered if one is not None)
        return AuthorizationAtCa(url, name, body.status.name, body.expires, known)

    def _challenge(self, body: messages.ChallengeBody) -> Challenge | None:
        chall = body.chall
        if not isinstance(chall, challenges.KeyAuthorizationChallenge):
            return None
        key = self.key.jwk
        is_record = isinstance(chall, challenges.DNS01)
        content = chall.validation(key) if is_record else chall.key_authorization(key)
        problem = reason(body.error) if body.error is not None else None
        return Challenge(chall.typ, chall.encode("token"), body.uri, body.status.name, content, problem)


def _order(response: requests.Response, url: str) -> OrderAtCa:
    body = messages.Order.from_json(response.json())
    problem = reason(body.error) if body.error is not None else None
    return OrderAtCa(url, body.status.name, tuple(body.authorizations), body.finalize, body.certificate, problem)
