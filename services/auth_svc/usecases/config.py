"""Server configuration: read live, so a change counts from the next request on, in every replica."""

from collections.abc import Mapping

from services.auth_svc.domain import configuration, sealing
from services.auth_svc.domain.configuration import SALT, Json
from services.auth_svc.domain.provider import OTHER_KEYS, PREFIX, Provider, provider_of
from services.auth_svc.policy import require_config_access
from services.auth_svc.store import config, users
from services.auth_svc.store.config import Stored
from services.auth_svc.usecases import trail
from services.kernel import locks
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound
from services.kernel.principal import Principal
from services.kernel.sealing import Keyring, Undecryptable


class Config:
    """Every verb is for master_admins, but `provider` and `server_name`, which are for the service itself."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def show(self, caller: Principal, pattern: str) -> dict[str, Json]:
        """The keys that a filter selects, sorted, with their values. Raises OAuthError."""
        require_config_access(caller)
        async with self._db.read() as tx:
            found = await config.find(tx)
        return self._open({key: stored for key, stored in found.items() if configuration.selects(pattern, key)})

    async def get(self, caller: Principal, key: str) -> dict[str, Json]:
        """One key with its value. Raises OAuthError, NotFound."""
        require_config_access(caller)
        async with self._db.read() as tx:
            found = await config.find(tx, [key])
        if not found:
            raise NotFound
        return self._open(found)

    async def update(self, caller: Principal, values: Mapping[str, Json]) -> None:
        """Set keys; null removes one. Raises OAuthError, ValidationFailed."""
        require_config_access(caller)
        checked = configuration.check(values)
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.CONFIGURATION)
            before = await config.find(tx, list(checked))
            changed = {key: value for key, value in checked.items() if not self._holds(before.get(key), key, value)}
            await self._write(tx, changed)
            for key in sorted(changed):
                await trail.config(tx, "modify", key)
            if configuration.ends_logins(changed):
                await users.clear_external_ids(tx)

    async def replace(self, caller: Principal, values: Mapping[str, Json]) -> None:
        """Make these keys the whole configuration. Raises OAuthError, ValidationFailed; then nothing was changed."""
        require_config_access(caller)
        checked = configuration.check(values)
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.CONFIGURATION)
            await config.delete(tx, list(await config.find(tx)))
            await trail.config(tx, "destroy_all", "none")
            await self._write(tx, checked)
            for key in sorted(checked):
                await trail.config(tx, "modify", key)
            await users.clear_external_ids(tx)

    async def delete(self, caller: Principal, key: str) -> None:
        """Remove a key; one that is not set is fine. Raises OAuthError, and NotFound for the reserved key."""
        require_config_access(caller)
        if key == SALT:
            raise NotFound
        await self.update(caller, {key: None})

    async def seed(self, tx: Tx, values: Mapping[str, Json]) -> None:
        """Set keys that are not set."""
        await config.put(tx, self._seal(values), replace=False)

    async def rotate_keys(self) -> int:
        """Encrypt with the current key what an older one encrypted, so that that one can be dropped. Returns how many
        values do not open; they stay as they are."""
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.CONFIGURATION)
            opened: dict[str, Json] = {}
            lost = 0
            for key, stored in (await config.find(tx)).items():
                if stored.sealed is None or sealing.is_current(self._keyring, stored.sealed):
                    continue
                try:
                    opened[key] = self._value(key, stored)
                except Undecryptable:
                    lost += 1
            await config.put(tx, self._seal(opened))
        return lost

    async def provider(self, tx: Tx) -> Provider | None:
        """The authentication provider, or None when it is not configured."""
        return provider_of(self._open(await config.find(tx, OTHER_KEYS, PREFIX)))

    async def server_name(self) -> str | None:
        """What clients call this installation."""
        return await config.server_name(self._db)

    async def _write(self, tx: Tx, values: Mapping[str, Json]) -> None:
        await config.delete(tx, [key for key, value in values.items() if value is None])
        await config.put(tx, self._seal(values))

    def _seal(self, values: Mapping[str, Json]) -> dict[str, Stored]:
        return {
            key: Stored(sealed=sealing.seal(self._keyring, key, value))
            if configuration.is_secret(key)
            else Stored(value)
            for key, value in values.items()
            if value is not None
        }

    def _open(self, found: Mapping[str, Stored]) -> dict[str, Json]:
        return {key: self._value(key, stored) for key, stored in found.items() if key != SALT}

    def _value(self, key: str, stored: Stored) -> Json:
        return stored.value if stored.sealed is None else sealing.unseal(self._keyring, key, stored.sealed)

    def _holds(self, stored: Stored | None, key: str, value: Json) -> bool:
        if stored is None:
            return value is None
        try:
            return bool(self._value(key, stored) == value)
        except Undecryptable:  # What cannot be decrypted any more can still be replaced.
            return False
