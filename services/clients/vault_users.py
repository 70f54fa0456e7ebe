"""Which services use which secrets, as deploy_svc knows it, followed by a watch."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from kontena.deploy.v1 import secret_usage_pb2 as pb
from kontena.deploy.v1.secret_usage_pb2_grpc import SecretUsageServiceStub
from services.clients.secret_usage import UsingService
from services.kernel.client import ServiceChannel
from services.kernel.informer import Change, Delete, Informer, Synced, Upsert, changes


@dataclass(frozen=True, slots=True)
class _User:
    grid_id: str
    service: UsingService
    secrets: tuple[str, ...]


class VaultUsers:
    """Answers at once. `informer.run` must be supervised for as long as it is used."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(SecretUsageServiceStub)
        self._by_secret: dict[tuple[str, str], dict[str, UsingService]] = defaultdict(dict)
        self._users: dict[str, _User] = {}
        self.informer: Informer[_User] = Informer("users of secrets", self._watch)
        self.informer.on_change(self._index)

    def of_secrets(self, grid_id: str, names: Collection[str]) -> dict[str, tuple[UsingService, ...]] | None:
        """Services by the name of the secret they use, sorted by id; an unused name is left out. None while nothing is
        known yet."""
        if self.informer.known() is None:
            return None
        found = {name: self._by_secret.get((grid_id, name), {}).values() for name in names}
        return {name: tuple(sorted(users, key=lambda one: one.id)) for name, users in found.items() if users}

    def is_unused(self, grid_id: str, name: str) -> bool:
        """Whether no service uses the secret; False also while that is not known for sure."""
        return self.informer.live and not self._by_secret.get((grid_id, name))

    def _index(self, change: Change[_User]) -> None:
        match change:
            case Upsert(key, user):
                self._forget(key)
                self._users[key] = user
                for name in user.secrets:
                    self._by_secret[user.grid_id, name][key] = user.service
            case Delete(key):
                self._forget(key)
            case Synced():
                pass

    def _forget(self, key: str) -> None:
        user = self._users.pop(key, None)
        if user is not None:
            for name in user.secrets:
                users = self._by_secret[user.grid_id, name]
                users.pop(key, None)
                if not users:
                    del self._by_secret[user.grid_id, name]

    def _watch(self) -> AsyncIterator[Change[_User]]:
        events = self._stub.WatchVaultUsers(pb.WatchVaultUsersRequest(), wait_for_ready=True)
        return changes(events, lambda record: (record.id, _user(record)))


def _user(record: pb.VaultUser) -> _User:
    service = UsingService(record.service.id, record.service.name)
    return _User(record.grid_id, service, tuple(record.secrets))
