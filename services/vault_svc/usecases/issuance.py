"""From authorized domains to a certificate (docs/spec/vault.md section 6.5). Every step is stored: a repeated request
goes on where the last one ended, also in another process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.clients.grids import Grid
from services.kernel.db import Database
from services.kernel.errors import ValidationFailed
from services.kernel.ids import new_id
from services.kernel.sealing import Undecryptable
from services.vault_svc.ca.authority import Conversation
from services.vault_svc.domain import bindings, certificate
from services.vault_svc.domain.acme import NOT_FOUND, AcmeProblem, AuthorizationAtCa, OrderAtCa, one_answer, refusal
from services.vault_svc.domain.authorization import Authorization
from services.vault_svc.domain.certificate import Material
from services.vault_svc.domain.envelope import seal, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import orders as store
from services.vault_svc.store.orders import StoredOrder
from services.vault_svc.usecases.acme_accounts import AcmeAccounts
from services.vault_svc.usecases.challenges import Challenges
from services.vault_svc.usecases.domain_authorizations import NO_ACCOUNT
from services.vault_svc.usecases.vault import Vault

_POLL_SECONDS = 1.0
_FIRST_POLL_SECONDS = 0.1
_USABLE = frozenset({"pending", "ready", "processing", "valid"})


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate. Whoever stores it forgets the order in the same transaction."""

    material: Material
    directory: str
    order_id: str


class Issuance:
    """Gets certificates."""

    def __init__(self, db: Database, vault: Vault, accounts: AcmeAccounts, challenges: Challenges) -> None:
        self._db = db
        self._vault = vault
        self._accounts = accounts
        self._challenges = challenges

    async def issue(self, grid: Grid, domains: tuple[str, ...], *, within: float | None = None) -> Issued:
        """A certificate for the domains, the first as common name, within so many seconds: by default those of a
        request. Raises ValidationFailed, AcmeUnreachable."""
        self._vault.keyring()
        try:
            async with self._accounts.exclusive(grid, within=within):
                authorizations = await self._authorizations(grid, domains)
                await self._challenges.check_records(authorizations)
                conversation = await self._accounts.open(grid, NO_ACCOUNT)
                done = await self._challenges.verify(conversation, grid, authorizations)
                stored, order = await self._order(conversation, grid, domains, done)
                if order.status == "pending":
                    order = await self._authorize_order(conversation, grid, order, done)
                return await self._finish(conversation, stored, order, domains)
        except AcmeProblem as problem:
            raise refusal(problem) from None

    async def _authorizations(self, grid: Grid, domains: Sequence[str]) -> list[Authorization]:
        async with self._db.read() as tx:
            found = {one.domain: one for one in await authorization_store.of_grid(tx, grid.id, domains)}
        missing = [f"Domain authorization not found for domain {one}" for one in domains if one not in found]
        if missing:
            raise one_answer("authorization", missing)
        return [found[one] for one in domains]

    async def _order(
        self, conversation: Conversation, grid: Grid, domains: tuple[str, ...], done: list[Authorization]
    ) -> tuple[StoredOrder, OrderAtCa]:
        names = ",".join(sorted(domains))
        async with self._db.read() as tx:
            stored = await store.find(tx, grid.id, names)
        thumbprint, directory = conversation.key.thumbprint, conversation.directory
        if stored is not None and (stored.thumbprint, stored.directory) == (thumbprint, directory):
            known = await self._known_order(conversation, stored.url)
            if known is not None and known.status in _USABLE:
                return stored, known
        order = await self._known_order(conversation, done[0].order_url) if len(domains) == 1 else None
        if order is None or order.status not in {"pending", "ready"} or done[0].url not in order.authorizations:
            order = await conversation(lambda session: session.new_order(domains))
        order_id = new_id()
        # The key is stored before the authority gets to know it: what it issues is never without its key.
        key = await asyncio.to_thread(certificate.new_key)
        sealed = seal(self._vault.keyring(), bindings.order(grid.id, names, order_id), key)
        made = StoredOrder(order_id, grid.id, names, directory, order.url, thumbprint, sealed)
        async with self._db.transaction() as tx:
            await store.save(tx, made)
        return made, order

    async def _known_order(self, conversation: Conversation, url: str) -> OrderAtCa | None:
        try:
            return await conversation(lambda session: session.order(url))
        except AcmeProblem as problem:
            if problem.code in {"malformed", "unauthorized", NOT_FOUND}:
                return None
            raise

    async def _authorize_order(
        self, conversation: Conversation, grid: Grid, order: OrderAtCa, done: list[Authorization]
    ) -> OrderAtCa:
        """Authorizations that the authority did not take over from the ones just verified."""
        found = [await self._authorization(conversation, url) for url in order.authorizations]
        asked = {one.name: one for one in found if one.status == "pending"}
        pending = [(one, asked[one.domain]) for one in done if one.domain in asked]
        renewed = [await self._challenges.renewed(grid, old, new) for old, new in pending]
        records = [
            f"New DNS record required for domain {one.domain}: {one.record_fqdn} TXT {one.challenge.content}"
            for one in renewed
            if one.type == "dns-01"
        ]
        if records:
            raise one_answer("dns_record", records)
        await self._challenges.verify(conversation, grid, renewed)
        return await self._settled(conversation, order, {"pending"})

    async def _authorization(self, conversation: Conversation, url: str) -> AuthorizationAtCa:
        return await conversation(lambda session: session.authorization(url))

    async def _finish(
        self, conversation: Conversation, stored: StoredOrder, order: OrderAtCa, domains: tuple[str, ...]
    ) -> Issued:
        try:
            key = unseal(self._vault.keyring(), stored.binding(), stored.sealed)
        except Undecryptable:
            text = "The key of this order was written with another key than vault_svc has. Ask for it again"
            raise await self._forgotten(stored, text) from None
        if order.status == "ready":
            order = await self._finalize(conversation, order, key, domains)
        order = await self._settled(conversation, order, {"ready", "processing"})
        if order.status != "valid" or order.certificate is None:
            raise await self._forgotten(stored, order.problem or f"The order became {order.status}")
        url = order.certificate
        try:
            leaf, chain = certificate.split(await conversation(lambda session: session.download(url)))
        except AcmeProblem as problem:
            if problem.code != NOT_FOUND:
                raise
            text = "The authority does not have the certificate any more. Ask for it again"
            raise await self._forgotten(stored, text) from None
        if set(certificate.validity(leaf).names) != set(domains) or not certificate.belongs(leaf, key):
            raise ValidationFailed({"acme_client": "The authority sent another certificate than was asked for"})
        return Issued(Material(leaf, chain, key), conversation.directory, stored.id)

    async def _forgotten(self, stored: StoredOrder, text: str) -> ValidationFailed:
        """What to raise about an order of which nothing can come; the next request makes a new one."""
        async with self._db.transaction() as tx:
            await store.delete(tx, stored.id)
        return ValidationFailed({"acme_client": text})

    async def _finalize(
        self, conversation: Conversation, order: OrderAtCa, key: Plaintext, domains: tuple[str, ...]
    ) -> OrderAtCa:
        request = certificate.request(key, domains)
        try:
            return await conversation(lambda session: session.finalize(order, request))
        except AcmeProblem as problem:
            if problem.code != "orderNotReady":
                raise
            return replace(order, status="processing")

    async def _settled(self, conversation: Conversation, order: OrderAtCa, moving: set[str]) -> OrderAtCa:
        """The order once it has left the states that it leaves by itself; the caller's time limit ends the wait."""
        pause = _FIRST_POLL_SECONDS
        while order.status in moving:
            await asyncio.sleep(pause)
            pause = min(_POLL_SECONDS, pause * 2)
            order = await conversation(lambda session: session.order(order.url))  # noqa: B023 -- awaited at once.
        return order
