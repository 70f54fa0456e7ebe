"""Deploys as answers show them (docs/spec/deploy_rest.md section 6.1)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import service_deploy_pb2 as pb
from services.deploy_svc.convert.json_streams import NDJSON, following, line
from services.deploy_svc.domain.deploy_progress import Line
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.kernel.times import shown

# Clients print "to node" and this.
_NOWHERE = "(none)"


def deploy_to_proto(service: Service, deploy: ServiceDeploy) -> pb.ServiceDeploy:
    """The whole answer; `instance_count` is what the service wants now, or how many a rebalance moves."""
    return pb.ServiceDeploy(
        id=deploy.id,
        created_at=shown(deploy.created_at),
        queued_at=shown(deploy.queued_at),
        started_at=shown(deploy.started_at),
        finished_at=shown(deploy.finished_at),
        service_id=service.path,
        state=deploy.state,
        reason=deploy.reason,
        instance_count=service.spec.instances if deploy.moves is None else len(deploy.moves),
        instance_deploys=[
            pb.InstanceDeploy(
                instance_number=item.instance_number, node=item.node or _NOWHERE, state=item.state, error=item.error
            )
            for item in deploy.instance_deploys
        ],
        asked_by=deploy.asked.by,
        origin=deploy.asked.origin,
        origin_name=deploy.asked.name,
        seconds=seconds_between(deploy.started_at, deploy.finished_at),
        canceled_at=shown(deploy.canceled_at),
    )


async def progress(batches: AsyncIterator[Sequence[Line]]) -> AsyncIterator[HttpBody]:
    """What is told to followers, line by line: members without a value are left out."""
    lines = ([line(_shown(item)) for item in batch] async for batch in batches)
    async for piece in following(lines, NDJSON):
        yield piece


def _shown(item: Line) -> dict[str, Any]:
    return {name: value for name, value in asdict(item).items() if value is not None}


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """To the millisecond, as times are shown; None before the end."""
    return round((end - start).total_seconds(), 3) if start and end else None
