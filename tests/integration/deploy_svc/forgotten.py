"""Between two tests: what runs on the nodes of the one before is forgotten before the next one writes anything."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import asyncpg

from services.kernel.ids import new_id
from tests.integration.deploy_svc.stand_ins import GRID
from tests.support.eventually import eventually

# As if they ran there; no service and no report has to be there for it.
_INSTANCE = """insert into deploy.instances (id, service_id, grid_id, instance_number, node_id)
    values ($1, $1, $2, 1, $3)"""
_CONTAINER = """insert into deploy.containers
    (id, grid_id, node_id, container_id, name, type, running, details, session, created_at)
    values ($1, $2, $3, 'gone', 'gone', 'container', true, '{}', 0, now())"""
_LEFT = """select node_id from deploy.instances where node_id = any($1)
    union all select node_id from deploy.containers where node_id = any($1)"""


@asynccontextmanager
async def all_forgotten(url: str, node_ids: Collection[str]) -> AsyncIterator[None]:
    """The block removes these nodes. Returns when the service that is served has forgotten all that ran on them, which
    it otherwise did some time later, to rows of the next test on a node with the same id."""
    connection = await asyncpg.connect(url, server_settings={"session_replication_role": "replica"})
    try:
        for node_id in node_ids:
            await connection.execute(_INSTANCE, new_id(), GRID, node_id)
            await connection.execute(_CONTAINER, new_id(), GRID, node_id)
        yield

        async def none_left() -> bool:
            return not await connection.fetch(_LEFT, list(node_ids))

        await eventually(none_left, message="what ran on removed nodes is forgotten")
    finally:
        await connection.close()
