"""Challenges of domains: got from the authority, published through a linked service, answered and watched.

Callers hold the lease of the grid. Every step is stored before the next one begins.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.clients.grids import Grid
from services.clients.secret_usage import SecretUsage
from services.kernel.db import Database
from services.kernel.errors import ValidationFailed
from services.kernel.ids import new_id
from services.vault_svc.ca import tls_alpn
from services.vault_svc.ca.authority import Conversation
from services.vault_svc.ca.txt_records import TxtRecords
from services.vault_svc.domain.acme import NOT_FOUND, AcmeProblem, AuthorizationAtCa, one_answer
from services.vault_svc.domain.authorization import Authorization, AuthorizationInput
from services.vault_svc.domain.envelope import Sealed, seal
from services.vault_svc.store import authorizations as store
from services.vault_svc.usecases.vault import Vault

_POLL_SECONDS = 1.0
_FIRST_POLL_SECONDS = 0.1
_GONE = frozenset({"expired", "deactivated", "revoked"})


class Challenges:
    """`start`, then `publish`, then `verify`; the three may be far apart, with restarts in between."""

    def __init__(
        self, db: Database, vault: Vault, usage: SecretUsage, records: TxtRecords, *, verify_seconds: float
    ) -> None:
        self._db = db
        self._vault = vault
        self._usage = usage
        self._records = records
        self._verify_seconds = verify_seconds

    async def start(
        self, conversation: Conversation, grid: Grid, given: AuthorizationInput, *, fresh: bool
    ) -> Authorization:
        """A new authorization, not stored yet. One that the authority still counts as valid is used as it is, unless
        `fresh` or the challenge was of another type. Raises ValidationFailed, AcmeProblem."""
        order, found = await self._order(conversation, given.domain)
        if found.status == "valid" and (fresh or found.challenge(given.type) is None):
            valid = found.url
            await conversation(lambda session: session.deactivate(valid))
            order, found = await self._order(conversation, given.domain)
        challenge = found.challenge(given.type)
        if challenge is None:
            raise ValidationFailed({"challenge": f"LE did not offer any {given.type} challenge"})
        async with self._db.read() as tx:
            older = await store.find(tx, grid.id, given.domain)
        made = Authorization(
            id=older.id if older else new_id(),
            grid_id=grid.id,
            domain=given.domain,
            type=given.type,
            state="validated" if found.status == "valid" else "created",
            directory=conversation.directory,
            url=found.url,
            order_url=order,
            challenge=challenge,
            thumbprint=conversation.key.thumbprint,
            expires_at=found.expires_at,
            linked_service=given.linked_service,
        )
        return replace(made, sealed=await self._certificate(made))

    async def publish(self, grid: Grid, authorization: Authorization) -> Authorization:
        """Deploy the linked service, so that the challenge reaches it. Raises ValidationFailed."""
        if authorization.linked_service is None or authorization.state != "created":
            return authorization
        stack, _, name = authorization.linked_service.partition("/")
        event = f"{authorization.id} {authorization.challenge.url}"
        deploy = await self._usage.deploy_linked(grid.id, stack, name, event)
        if deploy is None:
            raise ValidationFailed({"linked_service": f"Linked service not found: {authorization.linked_service}"})
        return await self._save(replace(authorization, deploy_id=deploy))

    async def renewed(self, grid: Grid, old: Authorization, found: AuthorizationAtCa) -> Authorization:
        """Store the new challenge that an order asks for, and publish it. Raises ValidationFailed."""
        challenge = found.challenge(old.type)
        if challenge is None:
            raise ValidationFailed({"challenge": f"LE did not offer any {old.type} challenge"})
        fresh = replace(
            old,
            state="created",
            url=found.url,
            challenge=challenge,
            problem=None,
            expires_at=found.expires_at,
            deploy_id=None,
        )
        fresh = await self._save(replace(fresh, sealed=await self._certificate(fresh)))
        return await self.publish(grid, fresh)

    async def check_records(self, authorizations: Sequence[Authorization]) -> None:
        """Whether the DNS records that the authority will look for are there. Raises ValidationFailed."""
        asked = [one for one in authorizations if one.type == "dns-01" and one.state == "created"]
        seen = await asyncio.gather(*(self._records.holds(one.record_fqdn, one.challenge.content) for one in asked))
        missing = [one.domain for one, there in zip(asked, seen, strict=True) if not there]
        if missing:
            texts = (f"Expected DNS record not present for domain {domain}" for domain in missing)
            raise one_answer("dns_record", texts)

    async def verify(
        self, conversation: Conversation, grid: Grid, authorizations: Sequence[Authorization]
    ) -> list[Authorization]:
        """Let the authority verify all of them. Raises ValidationFailed with every domain that failed."""
        await self._deployed(grid, authorizations)
        asked = [await self._ask(conversation, one) for one in authorizations]
        limit = asyncio.timeout(self._verify_seconds * len(asked))
        try:
            async with limit:
                done = [await self._outcome(conversation, one) for one in asked]
        except TimeoutError:
            if not limit.expired():
                raise
            raise ValidationFailed({"challenge_verify": "Challenge verification timeout"}) from None
        failed = [f"{one.domain}: {one.problem}" for one in done if one.state == "error"]
        if failed:
            raise one_answer("challenge", failed)
        return done

    async def _ask(self, conversation: Conversation, one: Authorization) -> Authorization:
        found = await self._at_ca(conversation, one)
        if found.status in _GONE:
            raise _expired(one)
        if found.status != "pending":
            return one
        challenge = found.challenge(one.type)
        if challenge is not None and challenge.status == "pending":
            # Stored first: when the answer is lost, asking again finds out.
            one = await self._save(replace(one, state="requested"))
            await conversation(lambda session: session.answer(one.challenge))
        return one

    async def _outcome(self, conversation: Conversation, one: Authorization) -> Authorization:
        pause = _FIRST_POLL_SECONDS
        while True:
            found = await self._at_ca(conversation, one)
            if found.status == "valid":
                return await self._save(replace(one, state="validated", problem=None, expires_at=found.expires_at))
            if found.status == "invalid":
                return await self._save(replace(one, state="error", problem=found.problem))
            if found.status in _GONE:
                raise _expired(one)
            await asyncio.sleep(pause)
            pause = min(_POLL_SECONDS, pause * 2)

    async def _at_ca(self, conversation: Conversation, one: Authorization) -> AuthorizationAtCa:
        if one.thumbprint != conversation.key.thumbprint or one.directory != conversation.directory:
            raise _expired(one)
        try:
            return await conversation(lambda session: session.authorization(one.url))
        except AcmeProblem as problem:
            if problem.code in {"malformed", "unauthorized", NOT_FOUND}:
                # The authority no longer knows it.
                raise _expired(one) from None
            raise

    async def _order(self, conversation: Conversation, domain: str) -> tuple[str, AuthorizationAtCa]:
        order = await conversation(lambda session: session.new_order([domain]))
        return order.url, await conversation(lambda session: session.authorization(order.authorizations[0]))

    async def _deployed(self, grid: Grid, authorizations: Sequence[Authorization]) -> None:
        """Wait until the linked services have what they must publish. Raises ValidationFailed."""
        waiting = {one.deploy_id: one for one in authorizations if one.deploy_id and one.state == "created"}
        while waiting:
            states = await self._usage.deploy_states(grid.id, [deploy for deploy in waiting if deploy])
            failed = [one for deploy, one in waiting.items() if states.get(deploy or "") == "error"]
            if failed:
                texts = (f"{one.domain}: the deploy of {one.linked_service} failed" for one in failed)
                raise one_answer("challenge", texts)
            waiting = {d: one for d, one in waiting.items() if states.get(d or "", "success") != "success"}
            if waiting:
                await asyncio.sleep(_POLL_SECONDS)

    async def _certificate(self, one: Authorization) -> Sealed | None:
        if one.type != "tls-alpn-01":
            return None
        made = await asyncio.to_thread(tls_alpn.challenge_certificate, one.domain, one.challenge.content)
        return seal(self._vault.keyring(), one.binding(), made)

    async def _save(self, one: Authorization) -> Authorization:
        async with self._db.transaction() as tx:
            await store.save(tx, one)
        return one


def _expired(one: Authorization) -> ValidationFailed:
    return ValidationFailed({"authorization": f"Domain authorization expired for domain {one.domain}"})
