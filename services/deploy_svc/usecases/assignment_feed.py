"""What one attached node is told of its assignments, turn by turn. Nothing waits for values that it does not need."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.pod import outline
from services.deploy_svc.store import instances
from services.deploy_svc.store.instances import Fingerprint
from services.deploy_svc.usecases.pod_values import Assignment, PodValues
from services.kernel.db import Database
from services.kernel.principal import NodeSession

# How long an instance may wait for its values before that is its error, and that of its deploy.
VALUES_SECONDS = 60.0

# Of one message, far below what agents take.
MOST_BYTES = 16 * 1024**2

_FOLLOWS = "what this instance is made of is on its way"
_WAITS = "vault_svc does not answer: the secrets, certificates or registry login of this instance cannot be read"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All assignments of the node."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """Changed assignments, and ids of instances that are not on the node any more."""

    upserted: tuple[Assignment, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class _Wait:
    """An instance whose values are not known. `told`: its deadline has passed and the node knows."""

    fingerprint: Fingerprint
    since: float
    told: bool = False


class AssignmentFeed:
    """`turn` compares the database with what the node has; `wake` is called when vault_svc has answered meanwhile.

    At most one question to vault_svc is under way. What needs none of its answers never waits for them: it goes out
    with what is remembered, and once more when the answer says otherwise.
    """

    def __init__(
        self,
        db: Database,
        values: PodValues,
        session: NodeSession,
        wake: Callable[[], None],
        patience: float = VALUES_SECONDS,
    ) -> None:
        self._db = db
        self._values = values
        self._session = session
        self._wake = wake
        self._patience = patience
        self._sent: dict[str, Fingerprint | None] = {}
        self._waits: dict[str, _Wait] = {}
        self._unsure: dict[str, Assignment] = {}
        self._asking: asyncio.Task[tuple[list[Assignment], list[Instance]]] | None = None
        self._first = True

    @property
    def waiting(self) -> bool:
        """Whether an instance waits for its values."""
        return bool(self._waits)

    @property
    def unsure(self) -> bool:
        """Whether something was sent that vault_svc may know better."""
        return bool(self._unsure)

    async def close(self) -> None:
        """Ask no longer."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def turn(self) -> Snapshot | Delta | None:
        """What the node does not know yet, None when there is nothing; first of all a snapshot. Raises what the
        database raises; call it again then."""
        current = await instances.fingerprints(self._db, self._session.node_id)
        stale = [key for key, fingerprint in current.items() if self._sent.get(key) != fingerprint]
        rows = await instances.on_node(self._db, self._session.node_id, stale)
        removed = tuple(sorted(key for key in self._sent if key not in current))
        self._forget(key for key in {*self._sent, *self._waits, *self._unsure} if key not in current)
        upserted, later = _within_a_message(await self._completed(current, rows))
        if later:
            self._wake()
        self._sent.update({item.instance.id: fingerprint_of(item.instance) for item in upserted})
        postponed = {item.instance.id for item in later}
        left = [item for item in rows if self._sent.get(item.id) != current[item.id]]
        upserted += self._late([item for item in left if item.id not in postponed])
        upserted += self._announced([item.instance for item in later])
        if self._first:
            self._first = False
            return Snapshot(tuple(upserted))
        return Delta(tuple(upserted), removed) if upserted or removed else None

    def _forget(self, gone: Iterable[str]) -> None:
        for key in gone:
            self._sent.pop(key, None)
            self._waits.pop(key, None)
            self._unsure.pop(key, None)

    async def _completed(self, current: dict[str, Fingerprint], rows: Sequence[Instance]) -> list[Assignment]:
        """The assignments that can be sent now: those vault_svc has answered for, and those that need no answer."""
        known = {item.instance.id: item for item in await self._answered(rows)}
        # Asked a while ago: what was decided since then counts.
        known = {key: item for key, item in known.items() if fingerprint_of(item.instance) == current.get(key)}
        others = [item for item in rows if item.id not in known and not self._was_told(item)]
        if others:
            remembered, _ = await self._values.remembered(self._session.grid_id, others)
            known |= {item.instance.id: item for item in remembered}
        found = [item for key, item in known.items() if not self._has(key, item, current)]
        for key, item in known.items():
            self._waits.pop(key, None)
            self._unsure.pop(key, None)
            if not item.certain:
                self._unsure[key] = item
        return found

    def _has(self, key: str, item: Assignment, current: dict[str, Fingerprint]) -> bool:
        before = self._unsure.get(key)
        return self._sent.get(key) == current[key] and (before is None or before.filled == item.filled)

    def _was_told(self, item: Instance) -> bool:
        wait = self._waits.get(item.id)
        return wait is not None and wait.fingerprint == fingerprint_of(item)

    async def _answered(self, rows: Sequence[Instance]) -> list[Assignment]:
        """What vault_svc has answered for, now or to the question before. A question that takes long goes on."""
        if self._asking is None:
            wanted = {item.id: item for item in [*(item.instance for item in self._unsure.values()), *rows]}
            if not wanted:
                return []
            asking = self._values.complete(self._session.grid_id, list(wanted.values()))
            self._asking = asyncio.create_task(asking, name="values of pods")
            await self._values.patiently(self._asking)
            if not self._asking.done():
                self._asking.add_done_callback(lambda _: self._wake())
        if not self._asking.done():
            return []
        answered, self._asking = self._asking, None
        return answered.result()[0]

    def _late(self, rows: Sequence[Instance]) -> list[Assignment]:
        """What the node must hear of instances without values: that they exist, as it removes what it was not told of,
        and after a while that they fail."""
        now, found = asyncio.get_running_loop().time(), []
        for item in rows:
            if not self._was_told(item):
                self._waits[item.id] = _Wait(fingerprint_of(item), now)
            wait = self._waits[item.id]
            if now - wait.since >= self._patience and not wait.told:
                wait.told = True
                found.append(Assignment(_outlined(item), error=f"{_WAITS}, for {self._patience:.0f} s now"))
            elif item.id not in self._sent:
                found.append(Assignment(_outlined(item), error=_WAITS, complete=False))
            # None differs from every fingerprint: the values are still to come.
            self._sent.setdefault(item.id, None)
        return found

    def _announced(self, items: Sequence[Instance]) -> list[Assignment]:
        """What the node hears of instances whose assignments follow: it removes what it was not told of."""
        unknown = [
            Assignment(_outlined(item), error=_FOLLOWS, complete=False) for item in items if item.id not in self._sent
        ]
        self._sent.update({item.id: None for item in items})
        return unknown


def _outlined(item: Instance) -> Instance:
    """The instance for a message that only keeps it: there may be a thousand of them, each as large as it likes."""
    return item if item.pod is None else replace(item, pod=outline(item.pod))


def _within_a_message(items: Sequence[Assignment]) -> tuple[list[Assignment], list[Assignment]]:
    """Those that fit into a message, the first one always, and those that come with the next one."""
    size, fitting, later = 0, list[Assignment](), list[Assignment]()
    for item in items:
        size += item.bytes
        (later if size > MOST_BYTES and fitting else fitting).append(item)
    return fitting, later


def fingerprint_of(instance: Instance) -> Fingerprint:
    """What tells this assignment from another one of the same instance."""
    return Fingerprint(instance.desired_state, instance.deploy_rev or "", instance.service_revision, instance.restarts)
