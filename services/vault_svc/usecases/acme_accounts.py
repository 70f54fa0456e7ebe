"""The account of a grid at the certification authority, and who may use it at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.clients.grids import Grid
from services.kernel import audit
from services.kernel.errors import Unavailable, ValidationFailed
from services.kernel.ids import new_id
from services.kernel.principal import Principal
from services.kernel.validation import Checker
from services.vault_svc.ca.account_key import AccountKey, UnusableKey
from services.vault_svc.ca.authority import Authority, Conversation
from services.vault_svc.domain.acme import AcmeProblem, refusal
from services.vault_svc.domain.certificate import new_key
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import acme_accounts as store
from services.vault_svc.store import secrets as secret_store
from services.vault_svc.store import tables
from services.vault_svc.store.acme_accounts import Account
from services.vault_svc.usecases.parts import Parts, UseCases
from services.vault_svc.usecases.secret_writes import Change, SecretWriter

KEY_SECRET = "LE_PRIVATE_KEY"  # noqa: S105 -- the name of the secret.
_BAD_KEY = f"The secret {KEY_SECRET} holds neither an RSA nor a P-256 key in PEM"
_POLL_SECONDS = 0.2


class AcmeAccounts(UseCases):
    """Any number of replicas may work; for one grid, one at a time does."""

    def __init__(self, parts: Parts, writer: SecretWriter, authority: Authority, *, limit: float) -> None:
        super().__init__(parts)
        self._writer = writer
        self._authority = authority
        self._limit = limit

    async def register(self, principal: Principal, grid_name: str, email: str | None) -> None:
        """Open the account of a grid, or set its contact; the terms of service are accepted for the caller.
        Idempotent. Raises ValidationFailed, AcmeUnreachable."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        address = check_email(email)
        async with self.exclusive(grid):
            key = await self._key(grid) or await self._new_key(grid)
            try:
                conversation = await self._authority.connect(key)
                binding = self._authority.directory.binding
                url = await conversation(lambda session: session.register(address, binding))
            except AcmeProblem as problem:
                raise refusal(problem, registering=True) from None
            async with self._db.transaction() as tx:
                await store.save(tx, grid.id, conversation.directory, Account(url, key.thumbprint), address)
                resource = audit.Resource("Certificate", grid.id, address, grid.id, grid.name)
                await audit.record(tx, tables.outbox, "register", resource)

    async def open(self, grid: Grid, missing: ValidationFailed) -> Conversation:
        """A conversation as the account of the grid; raises `missing` without one. An account that the key has but
        that is not stored here, e.g. after the key was replaced, is looked up. Raises AcmeProblem, AcmeUnreachable."""
        key = await self._key(grid)
        if key is None:
            raise missing
        async with self._db.read() as tx:
            known = await store.find(tx, grid.id, self._authority.directory.url)
        conversation = await self._authority.connect(key)
        if known is None or known.thumbprint != key.thumbprint:
            url = await conversation(lambda session: session.find_account())
            if url is None:
                raise missing
            known = Account(url, key.thumbprint)
            async with self._db.transaction() as tx:
                await store.save(tx, grid.id, conversation.directory, known)
        account = known.url
        await conversation(lambda session: session.use_account(account))
        return conversation

    @asynccontextmanager
    async def exclusive(self, grid: Grid, *, within: float | None = None) -> AsyncIterator[None]:
        """Nobody else works at the authority for the grid inside the block, which must end within so many seconds from
        now, by default within the limit of a request. Raises Unavailable when others work there for half the time."""
        holder, seconds = new_id(), within or self._limit
        end = asyncio.get_running_loop().time() + seconds
        await self._take(grid, holder, seconds)
        limit = asyncio.timeout_at(end)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise ValidationFailed({"challenge_verify": "Challenge verification timeout"}) from None
        finally:
            async with self._db.transaction() as tx:
                await store.end_lease(tx, grid.id, holder)

    async def _take(self, grid: Grid, holder: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds / 2):
                while True:
                    if await self._try_to_take(grid, holder, seconds):
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            text = "Another request for certificates of this grid is in progress. Try again in a moment."
            raise Unavailable(text, reason="ACME_BUSY") from None

    async def _try_to_take(self, grid: Grid, holder: str, seconds: float) -> bool:
        async with self._db.transaction() as tx:
            # Longer than the block may take: a lease that ends by itself belonged to a process that is gone.
            return await store.take_lease(tx, grid.id, holder, seconds + 15)

    async def _key(self, grid: Grid) -> AccountKey | None:
        stored = await secret_store.stored(self._db, grid.id, KEY_SECRET)
        if stored is None:
            return None
        return _parsed(self._writer.open(stored))

    async def _new_key(self, grid: Grid) -> AccountKey:
        value = await asyncio.to_thread(new_key)
        async with self._db.transaction() as tx:
            await self._writer.put(tx, grid, Change(KEY_SECRET, value, upsert=True))
        return _parsed(value)


def _parsed(pem: Plaintext) -> AccountKey:
    try:
        return AccountKey(pem)
    except UnusableKey:
        raise ValidationFailed({"acme": _BAD_KEY}) from None


def check_email(email: str | None) -> str:
    """A contact address. Raises ValidationFailed."""
    check = Checker()
    text = check.text("email", email, required=True, longest=255)
    if text and (text.count("@") != 1 or any(part.isspace() for part in text) or not all(text.split("@"))):
        check.fail("email", "Email isn't in the right format")
    check.done()
    return text or ""
