"""deploy_svc behind a real gateway, with a scripted node: what an HTTP client sees, without containers."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from kontena.deploy.v1 import node_command_pb2 as command_pb
from services.deploy_svc.store import services, tables
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import running_it
from tests.integration.deploy_svc.container_agents import (
    command_agent,
    container,
    container_pusher,
    exited,
    output,
    result,
)
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1
from tests.integration.gateway import proxy
from tests.support.eventually import eventually
from tests.support.running import Running

NODE = "node-1"


def run(order: command_pb.NodeCommand) -> Sequence[command_pb.NodeCommandEvent]:
    """A node whose programs print their words and end."""
    match order.WhichOneof("message"):
        case "exec":
            return [output(" ".join(order.exec.cmd)), exited(0)]
        case "inspect":
            return [result('{"Id": "c1", "Name": "/web-1"}')]
        case "top":
            return [result('[{"PID": "1"}]')]
    return []


@dataclass
class Http:
    """The REST API with a member's token; every answer is checked for its status and for being JSON."""

    client: httpx.AsyncClient

    async def send(self, verb: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """The answer, whatever it is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(verb, path, json=body, headers=sent)

    async def call(self, verb: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """The JSON of an answer with `status`."""
        answer = await self.send(verb, path, body, **headers)
        assert answer.status_code == status, f"{verb} {path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    async def refused(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and `error` of a refusal."""
        answer = await self.send(verb, path, body, **headers)
        assert answer.status_code >= 400, f"{verb} {path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        assert document["error"], document
        return answer.status_code, document["error"]

    async def until(self, path: str, fact: Callable[[Any], bool], within: float = 30.0) -> Any:
        """The answer to GET once it satisfies `fact`."""

        async def found() -> Any:
            document = await self.call("GET", path)
            assert fact(document), document
            return document or True

        return await eventually(found, within=within, message=path)

    async def gone(self, path: str, within: float = 30.0) -> Any:
        """The `error` of the 404 that GET answers in the end."""

        async def missing() -> Any:
            status, error = await self.refused("GET", path)
            assert status == 404
            return error

        return await eventually(missing, within=within, message=f"{path} is gone")

    async def deployed(self, path: str, deploy: Any) -> Any:
        """A service deploy once it ended."""
        return await self.until(f"{path}/deploys/{deploy['id']}", lambda found: found.get("finished_at") is not None)


@dataclass
class HttpWorld:
    """One replica, one node and a gateway for a whole session; `fresh` gives each test an empty grid."""

    engine: Engine
    served: Running
    http: Http
    gateway: proxy.Gateway
    _sessions: Any = field(default_factory=lambda: itertools.count(1))

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Agent]:
        """node-1 is there, does as it is told and runs commands."""
        session = next(self._sessions)
        self.engine.around.grids.put_node(NODE_1, NODE, 1, session=session, public_ip="1.2.3.4")
        agent = self.engine.attach(self.served, NODE_1, session)
        async with command_agent(self.served.channel, run, session=session):
            await self.http.until("/v1/containers/g1", lambda found: found["containers"] == [])
            try:
                yield agent
            finally:
                agent.close()

    async def report(self, *names: str, path: str = "null/web") -> None:
        """The node reports running containers of a service."""
        stack, _, name = path.partition("/")
        async with self.engine.db.read() as tx:
            found = await services.find(tx, GRID, stack, name)
        assert found is not None
        node = self.engine.around.grids.nodes.records[NODE_1]
        async with (
            running_it(self.engine.db, found.id, NODE_1),
            container_pusher(self.served.channel, session=node.session) as pusher,
        ):
            await pusher.push(*(container(one, found.id) for one in names))


@asynccontextmanager
async def http_world(engine: Engine, folder: Path) -> AsyncIterator[HttpWorld]:
    """Everything up and healthy."""
    async with AsyncExitStack() as stack:
        served = await engine.start_replica()
        port = int(served.address.rpartition(":")[2])
        proxied = proxy.running(proxy.settings(folder, port), folder)
        # It waits for health checks, which this very loop answers.
        gateway = await asyncio.to_thread(proxied.__enter__)
        stack.push_async_callback(asyncio.to_thread, proxied.__exit__, None, None, None)
        headers = {"Accept": "application/json", "Authorization": "bearer member", "User-Agent": "kontena-cli/1.5.4"}
        client = httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60)
        yield HttpWorld(engine, served, Http(await stack.enter_async_context(client)), gateway)


# Written all the time by loops, whatever requests do.
_RESTLESS = {"node_streams", "service_checks"}


async def everything(db: Database) -> dict[str, list[Any]]:
    """Every row that requests could have written."""
    async with db.read() as tx:
        return {
            table.name: [tuple(row) for row in await tx.execute(sa.select(table).order_by(*table.primary_key))]
            for table in tables.metadata.sorted_tables
            if table.name not in _RESTLESS
        }
