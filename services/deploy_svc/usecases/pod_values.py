"""Fills in what a pod refers to: secrets, certificates, challenges, configs, registry logins, and which hooks ran.

Values are resolved when an assignment is sent; they stay in memory and are never stored or logged.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from services.clients.certificates import CertificateResolver
from services.clients.registries import DOCKER_HUB, RegistryCredentials, RegistryResolver, registry_of
from services.clients.secrets import SecretResolver, SecretValue
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.pod import weight
from services.deploy_svc.domain.service_spec import ConfigRef, FileRef, SecretRef
from services.deploy_svc.store import grid_configs, hook_runs
from services.deploy_svc.usecases.asked_together import AskedTogether
from services.kernel.db import Database
from services.kernel.errors import Unavailable
from services.kernel.logs import get_logger

log = get_logger(__name__)

V = TypeVar("V")
_MOST_REMEMBERED = 2000
# Of the values of one instance, each counted as often as it is named; an agent takes messages of 64 MiB.
MOST_VALUE_BYTES = 16 * 1024**2
# How long whoever asks waits for a vault_svc that answered the last time; a slow one is not waited for at all.
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """An instance as its node should run it. `error` says why it cannot be applied.

    `complete` is False for one that only keeps the node from removing the instance: its secrets come later. `certain`
    is False while vault_svc may know of a registry login or a challenge that is missing here.
    """

    instance: Instance
    secrets: tuple[tuple[str, SecretValue], ...] = ()
    files: tuple[tuple[FileRef, SecretValue], ...] = ()
    error: str = ""
    complete: bool = True
    credentials: RegistryCredentials | None = None
    certain: bool = True

    @property
    def filled(self) -> tuple[object, ...]:
        """What vault_svc has to do with."""
        return (self.secrets, self.files, self.credentials, self.error)

    @property
    def bytes(self) -> int:
        """How many it takes in a message, about."""
        values = (value for _, value in (*self.secrets, *self.files))
        pod = 0 if self.instance.pod is None else weight(self.instance.pod)
        return pod + sum(len(value.reveal()) for value in values)


@dataclass(frozen=True, slots=True)
class Refs:
    """What the pod of an instance needs. A stopped instance needs nothing, so it can stop without vault_svc."""

    secrets: tuple[tuple[str, str], ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()
    secret_files: tuple[SecretRef, ...] = ()
    configs: tuple[ConfigRef, ...] = ()
    registry: str = ""
    service: str = ""

    @property
    def secret_names(self) -> set[str]:
        """The secrets, each once."""
        return {name for _, name in self.secrets} | {item.secret for item in self.secret_files}


def refs(instance: Instance) -> Refs:
    """(variable, name) pairs in the order of the service; the registry of the image; `stack/service`."""
    pod = instance.pod
    if instance.desired_state != "running" or pod is None:
        return Refs()
    return Refs(
        tuple((item.name, item.secret) for item in pod.secrets if not item.is_file),
        tuple((item.name, item.subject) for item in pod.certificates),
        tuple(item for item in pod.secrets if item.is_file),
        pod.configs,
        registry_of(pod.image),
        instance.service,
    )


@dataclass
class _Remembered(Generic[V]):
    """The last known answers, for the time in which vault_svc cannot be asked. None: it was known to have none."""

    values: dict[tuple[str, str], V | None] = field(default_factory=dict)

    def learn(self, grid_id: str, asked: Iterable[str], answers: Mapping[str, V]) -> None:
        for name in asked:
            self.values.pop((grid_id, name), None)
            self.values[grid_id, name] = answers.get(name)
        while len(self.values) > _MOST_REMEMBERED:
            del self.values[next(iter(self.values))]

    def knows(self, grid_id: str, name: str) -> bool:
        return (grid_id, name) in self.values

    def get(self, grid_id: str, name: str) -> V | None:
        return self.values.get((grid_id, name))


class PodValues:
    """Completes assignments, with one call per kind of value however many instances there are."""

    def __init__(
        self,
        db: Database,
        secrets: SecretResolver,
        certificates: CertificateResolver,
        registries: RegistryResolver,
    ) -> None:
        self._db = db
        self._secrets = secrets
        self._certificates = certificates
        # What nearly each assignment asks for, and most have none of.
        self._asked_logins = AskedTogether(registries.resolve)
        self._asked_challenges = AskedTogether(certificates.challenges)
        self._logins: _Remembered[RegistryCredentials] = _Remembered()
        self._challenges: _Remembered[tuple[tuple[str, SecretValue], ...]] = _Remembered()
        # Whether vault_svc has answered the last question in time.
        self._answering = True

    async def patiently(self, asking: asyncio.Task[Any]) -> None:
        """Wait a moment for what is being asked, and no moment when the last question was not answered in time."""
        _, late = await asyncio.wait([asking], timeout=_PATIENCE_SECONDS if self._answering else 0)
        if late:
            self._answering = False

    async def complete(self, grid_id: str, instances: Sequence[Instance]) -> tuple[list[Assignment], list[Instance]]:
        """Assignments of the instances, and those that must wait because vault_svc does not answer.

        Only what needs a secret, a certificate or the login of a private registry waits.
        """
        instances = await self._without_done_hooks(instances)
        configs = await self._texts(grid_id, instances)
        needs = {instance.id: refs(instance) for instance in instances}
        named = {name for need in needs.values() for name in need.secret_names}
        subjects = {name for need in needs.values() for _, name in need.certificates}
        hosts, users = _optional(list(needs.values()))
        async with asyncio.TaskGroup() as calls:
            asked = calls.create_task(self._ask(self._secrets.resolve, grid_id, named))
            certified = calls.create_task(self._ask(self._certificates.bundles, grid_id, subjects))
            logging_in = calls.create_task(self._learn(self._asked_logins.resolve, self._logins, grid_id, hosts))
            challenging = calls.create_task(
                self._learn(self._asked_challenges.resolve, self._challenges, grid_id, users)
            )
        certain = logging_in.result() and challenging.result()
        return self._assembled(grid_id, instances, asked.result(), certified.result(), configs, certain=certain)

    async def remembered(self, grid_id: str, instances: Sequence[Instance]) -> tuple[list[Assignment], list[Instance]]:
        """As `complete`, without asking anybody: nothing that needs a secret or a certificate."""
        instances = await self._without_done_hooks(instances)
        configs = await self._texts(grid_id, instances)
        return self._assembled(grid_id, instances, None, None, configs, certain=False)

    async def _texts(self, grid_id: str, instances: Sequence[Instance]) -> Mapping[str, SecretValue]:
        """The texts of the configs that the instances have as files."""
        names = {item.config for instance in instances for item in refs(instance).configs}
        if not names:
            return {}
        async with self._db.read() as tx:
            found = await grid_configs.contents(tx, grid_id, names)
        return {name: SecretValue(text) for name, text in found.items()}

    def _assembled(
        self,
        grid_id: str,
        instances: Sequence[Instance],
        secrets: Mapping[str, SecretValue] | None,
        bundles: Mapping[str, SecretValue] | None,
        configs: Mapping[str, SecretValue],
        *,
        certain: bool,
    ) -> tuple[list[Assignment], list[Instance]]:
        """None for values that are not known."""
        found, waiting = [], []
        for instance in instances:
            need = refs(instance)
            late = (need.secret_names and secrets is None) or (need.certificates and bundles is None)
            private = need.registry not in ("", DOCKER_HUB)
            if late or (private and not self._logins.knows(grid_id, need.registry)):
                waiting.append(instance)
                continue
            assignment = _filled(instance, need, secrets or {}, bundles or {}, configs)
            extra = self._challenges.get(grid_id, need.service) or ()
            found.append(
                replace(
                    assignment,
                    secrets=() if assignment.error else (*assignment.secrets, *extra),
                    credentials=self._logins.get(grid_id, need.registry),
                    certain=certain or need == Refs(),
                )
            )
        return found, waiting

    async def _without_done_hooks(self, instances: Sequence[Instance]) -> list[Instance]:
        oneshot = {item.service_id for item in instances if item.pod and any(hook.oneshot for hook in item.pod.hooks)}
        if not oneshot:
            return list(instances)
        async with self._db.read() as tx:
            done = await hook_runs.done(tx, oneshot)
        return [_without(item, done.get((item.service_id, item.instance_number), frozenset())) for item in instances]

    async def _learn(
        self,
        resolve: Callable[[str, Iterable[str]], Coroutine[Any, Any, Mapping[str, V]]],
        known: _Remembered[V],
        grid_id: str,
        names: set[str],
    ) -> bool:
        """Whether vault_svc has answered, so that what is remembered is what it says."""
        answers = await self._ask(resolve, grid_id, names)
        if answers is not None:
            known.learn(grid_id, names, answers)
        return answers is not None

    async def _ask(
        self,
        resolve: Callable[[str, Iterable[str]], Coroutine[Any, Any, Mapping[str, V]]],
        grid_id: str,
        names: set[str],
    ) -> Mapping[str, V] | None:
        """None when vault_svc does not answer."""
        if not names:
            return {}
        try:
            answers = await resolve(grid_id, names)
        except Unavailable as error:
            log.warning("values of pods cannot be resolved", grid_id=grid_id, values=len(names), error=error.message)
            return None
        self._answering = True
        return answers


def _optional(needs: Collection[Refs]) -> tuple[set[str], set[str]]:
    """Registries that may want a login, services that may have challenges."""
    return {need.registry for need in needs if need.registry}, {need.service for need in needs if need.service}


def _closed(names: set[str], values: Mapping[str, SecretValue]) -> list[str]:
    """Those that exist and that vault_svc cannot open, sorted."""
    return sorted(name for name in names if name in values and not values[name].readable)


def _unreadable(kind: str, name: str) -> str:
    return f"{kind} {name} was written with another key than vault_svc has: write it anew"


def _filled(
    instance: Instance,
    need: Refs,
    secrets: Mapping[str, SecretValue],
    bundles: Mapping[str, SecretValue],
    configs: Mapping[str, SecretValue],
) -> Assignment:
    """Secrets first, then certificates, each in the order of the service: values of one name are joined so."""
    missing = [
        *(f"Secret {name} does not exist" for name in sorted(need.secret_names - set(secrets))),
        *(f"Certificate {name} does not exist" for name in sorted({n for _, n in need.certificates} - set(bundles))),
        *(f"Config {name} does not exist" for name in sorted({item.config for item in need.configs} - set(configs))),
    ]
    missing += [
        *(_unreadable("Secret", name) for name in _closed(need.secret_names, secrets)),
        *(_unreadable("Certificate", name) for name in _closed({name for _, name in need.certificates}, bundles)),
    ]
    if missing:
        return Assignment(instance, error="; ".join(missing))
    if (size := _size(need, secrets, bundles, configs)) > MOST_VALUE_BYTES:
        return Assignment(
            instance,
            error=f"The secrets, certificates and configs of this instance have {size:,} bytes together, each counted "
            f"as often as it is named; {MOST_VALUE_BYTES:,} may be sent to a node: name fewer or smaller ones",
        )
    values = [(variable, secrets[name]) for variable, name in need.secrets]
    values += [(variable, bundles[subject]) for variable, subject in need.certificates]
    files: list[tuple[FileRef, SecretValue]] = [(item, secrets[item.secret]) for item in need.secret_files]
    files += [(item, configs[item.config]) for item in need.configs]
    return Assignment(instance, tuple(values), tuple(files))


def _size(
    need: Refs,
    secrets: Mapping[str, SecretValue],
    bundles: Mapping[str, SecretValue],
    configs: Mapping[str, SecretValue],
) -> int:
    """Of all values together; one may be named thousands of times."""
    named = [(secrets, name) for _, name in need.secrets]
    named += [(secrets, item.secret) for item in need.secret_files]
    named += [(bundles, subject) for _, subject in need.certificates]
    named += [(configs, item.config) for item in need.configs]
    return sum(len(known[name].reveal()) for known, name in named)


def _without(instance: Instance, done: frozenset[str]) -> Instance:
    """The instance without the one-shot hooks that ran."""
    if instance.pod is None or not done:
        return instance
    kept = tuple(hook for hook in instance.pod.hooks if not (hook.oneshot and hook.id in done))
    return replace(instance, pod=replace(instance.pod, hooks=kept))
