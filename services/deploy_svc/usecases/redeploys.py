"""Deploys of the services that use a secret, a certificate or a config that has changed."""

import hashlib
from collections.abc import Mapping

from services.deploy_svc.domain.service_deploy import Asked, Origin
from services.deploy_svc.store import secret_usage as store
from services.deploy_svc.store.secret_usage import Usage
from services.kernel.db import Tx

_ORIGINS: Mapping[Usage, Origin] = {"secrets": "secret", "certificates": "certificate", "configs": "config"}


async def redeploy_users(
    tx: Tx, grid_id: str, usage: Usage, name: str, event_id: str, *, by: str | None = None
) -> None:
    """Raise the revision of each service that uses the name, and queue one deploy per running one, unless one waits to
    start. Called again for an event, it does nothing to services whose deploy it queued. `by`: who changed it."""
    users = await store.lock_users(tx, grid_id, usage, name)
    deploys = {service.id: deploy_id_of(event_id, service.id) for service in users}
    done = await store.with_deploy(tx, deploys.values())
    left = [service for service in users if deploys[service.id] not in done]
    waiting = await store.about_to_deploy(tx, [service.id for service in left])
    await store.bump(tx, [service.id for service in left])
    due = [service for service in left if service.state == "running" and service.id not in waiting]
    asked = Asked(_ORIGINS[usage], by=by, name=name)
    await store.queue(tx, [(deploys[service.id], service.id) for service in due], asked)


def deploy_id_of(event_id: str, service_id: str) -> str:
    """The id of the deploy that an event causes: the same one each time the event is told."""
    # Ids begin with a time, so that they sort; what is left is taken from a digest.
    digest = hashlib.sha256(f"{event_id} {service_id}".encode()).hexdigest()
    return (event_id[:8] if len(event_id) == len(service_id) else digest[-8:]) + digest[:16]
