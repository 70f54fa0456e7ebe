"""A POST that is sent again with the same Idempotency-Key gets the first answer, and does nothing."""

import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ParamSpec, cast

from google.protobuf.message import Message

from services.deploy_svc.domain.quotas import DeployQuotas
from services.deploy_svc.store import idempotency_keys as store
from services.kernel import call
from services.kernel.db import Database
from services.kernel.encoded import serialize
from services.kernel.errors import RateLimited, ValidationFailed
from services.kernel.quotas import QuotaExceeded

P = ParamSpec("P")

_OTHER_REQUEST = {"idempotency_key": "This Idempotency-Key was used for another request"}


class Idempotency:
    """Wraps the work of an RPC; without the header it only runs it."""

    def __init__(self, db: Database, quotas: DeployQuotas, kept: timedelta) -> None:
        self._db = db
        self._quotas = quotas
        self._kept = kept

    async def run(self, request: Message, work: Callable[[], Awaitable[Message | bytes]]) -> Any:
        """The answer of `work`, or its bytes, run once per caller, method and key while answers are kept.

        What `work` writes and its answer are committed together, so there is never one without the other; an error is
        not kept. Equal requests at the same time wait for one another. Raises ValidationFailed when the key was used
        for another request, RateLimited when answers of the caller take all that they may.
        """
        now = call.current()
        if not now.idempotency_key:
            return await work()
        caller = call.principal()
        key = store.Key(caller.user_id or caller.service, now.method, _digest(now.idempotency_key.encode()))
        members = ",".join(sorted(now.body_fields)) + "!" + ",".join(sorted(now.null_fields))
        asked = _digest(request.SerializeToString(deterministic=True) + b"\n" + members.encode())
        async with self._db.one_transaction() as tx:
            known = await store.claim(tx, key, self._kept)
            if known is not None:
                if known.request != asked:
                    raise ValidationFailed(_OTHER_REQUEST)
                now.http_status = known.http_status
                return known.response
            answer = await work()
            encoded = serialize(answer)
            held = await store.held(tx, key.principal) + len(encoded)
            if held > self._quotas.idempotency_bytes_per_user:
                raise RateLimited(self._quotas.text("idempotency_bytes_per_user"), reason=QuotaExceeded.reason)
            await store.remember(tx, key, store.Answer(asked, encoded, now.http_status))
            return answer

    async def expire(self) -> None:
        async with self._db.transaction() as tx:
            await store.expire(tx, self._kept)


def once(method: Callable[P, Coroutine[Any, Any, Message | bytes]]) -> Callable[P, Coroutine[Any, Any, Any]]:
    """Makes the method of a servicer, which has an Idempotency as `_once`, do its work once per key."""

    @wraps(method)
    async def run(*given: P.args, **named: P.kwargs) -> Any:
        servicer, request, *_ = cast(tuple[Any, ...], given)
        return await servicer._once.run(request, partial(method, *given, **named))

    return run


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
