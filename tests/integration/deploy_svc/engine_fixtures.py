"""An engine under test: replicas of deploy_svc on one database, node agents that do as they are scripted."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import sqlalchemy as sa
from pydantic import SecretStr

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1.assignment_pb2_grpc import AssignmentServiceStub
from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc import app
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.service_deploy import Asked, ServiceDeploy
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import instances, service_deploys, services
from services.deploy_svc.usecases.patience import Patience
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor
from services.kernel.node_features import FILES
from services.kernel.principal import NodeSession
from tests.integration.deploy_svc.processes import Served
from tests.integration.deploy_svc.stand_ins import GRID, Neighbours, neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running, running

# How many connections to the database wait for a lock that another one holds.
WAITING = sa.text(
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)

Behaviour = Callable[[pb.Assignment], pb.InstanceStatus | None]


def settings(url: str, address: str = "127.0.0.1:1", **changed: Any) -> Settings:
    return Settings(
        **changed,
        database_url=url,
        cluster_secret=SecretStr(CLUSTER_SECRET),
        auth_address=address,
        grid_address=address,
        vault_address=address,
    )


def obey(assignment: pb.Assignment) -> pb.InstanceStatus | None:
    """What a healthy node reports."""
    state = assignment.desired_state if not assignment.error else "missing"
    return pb.InstanceStatus(
        instance_id=assignment.instance_id,
        rev=assignment.deploy_rev,
        state=state,
        error=assignment.error,
        container_id=f"c-{assignment.instance_id}",
    )


def ignore(assignment: pb.Assignment) -> pb.InstanceStatus | None:
    """A node that applies nothing."""
    return None


class Agent:
    """Speaks Attach for one node: holds what is assigned and reports what `behave` makes of it."""

    def __init__(self, channel: grpc.aio.Channel, node_id: str, session: int = 1, behave: Behaviour = obey) -> None:
        token = ClusterTokens(CLUSTER_SECRET).for_node(NodeSession(GRID, node_id, session))
        self.node_id = node_id
        self.behave = behave
        self.assigned: dict[str, pb.Assignment] = {}
        self.received: list[pb.AttachResponse] = []
        self.seen: list[pb.Assignment] = []
        self.acked = 0
        self.failure: grpc.aio.AioRpcError | None = None
        self._sequence = itertools.count(1)
        stub: Any = AssignmentServiceStub(channel)
        self._stream = stub.Attach(metadata=(("authorization", f"Bearer {token}"), (FILES, "1")))
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until the stream ends."""
        try:
            while (message := await self._stream.read()) is not grpc.aio.EOF:
                self.received.append(message)
                await self._handle(message)
        except grpc.aio.AioRpcError as error:
            self.failure = error

    async def _handle(self, message: pb.AttachResponse) -> None:
        match message.WhichOneof("message"):
            case "snapshot":
                self.assigned = {item.instance_id: item for item in message.snapshot.assignments}
                await self._apply(message.snapshot.assignments)
            case "delta":
                self.assigned.update({item.instance_id: item for item in message.delta.upserted})
                for key in message.delta.removed:
                    self.assigned.pop(key, None)
                await self._apply(message.delta.upserted)
            case "ack":
                self.acked = message.ack.sequence

    async def _apply(self, assignments: Any) -> None:
        self.seen += assignments
        statuses = [status for item in assignments if (status := self.behave(item)) is not None]
        if statuses:
            await self.report(*statuses)

    async def report(self, *statuses: pb.InstanceStatus, sequence: int | None = None) -> int:
        """Send a report; returns its sequence."""
        number = next(self._sequence) if sequence is None else sequence
        await self.send(pb.AttachRequest(report=pb.StatusReport(sequence=number, statuses=statuses)))
        return number

    async def send(self, request: pb.AttachRequest) -> None:
        """As the test and what answers orders both speak: two writes at once would end the call."""
        async with self._writing:
            await self._stream.write(request)

    async def catch_up(self) -> None:
        """Apply everything that is assigned now, as `behave` says now."""
        await self._apply(list(self.assigned.values()))

    def close(self) -> None:
        """Go away without a word."""
        self._stream.cancel()


class Engine:
    """What a test sees and moves."""

    def __init__(self, db: Database, around: Neighbours, url: str, stack: AsyncExitStack, **changed: Any) -> None:
        self.db = db
        self._settings = changed
        self.around = around
        self.url = url
        self._stack = stack
        self.agents: list[Agent] = []
        self.directory: NodeDirectory
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def replica(self, **changed: Any) -> AsyncIterator[Running]:
        """One more process of deploy_svc, in this one; `changed` are settings of its own."""
        chosen = settings(self.url, self.around.address, **{**self._settings, **changed})
        async with running(partial(app.build, chosen)) as served:
            yield served

    async def start_replica(self) -> Running:
        """A replica that lives as long as the engine."""
        return await self._stack.enter_async_context(self.replica())

    async def lone_loop(self) -> RolloutLoop:
        """A rollout loop that does nothing by itself, to be stepped by hand."""
        channel = ServiceChannel(self.around.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
        self._stack.push_async_callback(channel.close)
        self.directory = nodes = NodeDirectory(channel)
        grids = GridDirectory(channel)
        supervisor = Supervisor()
        supervisor.add("nodes", nodes.informer.run)
        supervisor.add("grids", grids.informer.run)
        await self._stack.enter_async_context(supervisor)
        return RolloutLoop(self.db, Listener(self.url, ()), nodes, grids, Patience(nodes))

    def node(self, node_id: str, number: int, **changed: Any) -> None:
        """Tell everybody about a node."""
        self.around.grids.put_node(node_id, f"n{number}", number, **changed)

    def attach(self, served: Running | Served, node_id: str, session: int = 1, behave: Behaviour = obey) -> Agent:
        """The agent of a node connects to a replica."""
        agent = Agent(served.channel, node_id, session, behave)
        self.agents.append(agent)
        self._tasks.append(asyncio.create_task(agent.run()))
        self._stack.callback(agent.close)
        return agent

    async def service(self, name: str = "web", **spec: Any) -> str:
        """Create a service; returns its id."""
        built = ServiceSpec(**{"image": "app", "stateful": False, **spec})
        async with self.db.transaction() as tx:
            made = await services.insert(tx, grid_id=GRID, grid="g1", stack="stack", name=name, spec=built)
            assert made is not None
        return made.id

    async def deploy(self, service_id: str) -> str:
        """Request a deploy; returns its id."""
        async with self.db.transaction() as tx:
            await services.request_deploy(tx, service_id, bump=False)
            return await service_deploys.insert(tx, service_id, Asked("deploy"))

    async def scale(self, service_id: str, wanted: int) -> str:
        """Request another number of instances like the REST side does; returns the id of the deploy."""
        async with self.db.transaction() as tx:
            found = await services.find_by_id(tx, service_id, lock=True)
            assert found is not None
            await services.update(tx, service_id, replace(found.spec, instances=wanted), bump=False)
            await services.request_deploy(tx, service_id, bump=False)
            return await service_deploys.insert(tx, service_id, Asked("scale"))

    async def stop(self, service_id: str) -> None:
        """Stop a service like the REST side does."""
        async with self.db.transaction() as tx:
            await services.find_by_id(tx, service_id, lock=True)
            await services.set_state(tx, service_id, "stopped")
            await instances.set_desired_state(tx, service_id, "stopped")

    async def result(self, service_id: str, deploy_id: str) -> ServiceDeploy:
        """The deploy as it is now."""
        async with self.db.read() as tx:
            found = await service_deploys.find(tx, service_id, deploy_id)
        assert found is not None
        return found

    async def started(self, service_id: str, deploy_id: str) -> bool:
        """Whether the deploy has placed an instance."""
        return bool((await self.result(service_id, deploy_id)).instance_deploys)

    async def finished(self, service_id: str, deploy_id: str, within: float = 30.0) -> ServiceDeploy:
        """The deploy once it ended."""

        async def ended() -> ServiceDeploy | None:
            found = await self.result(service_id, deploy_id)
            return found if found.finished_at else None

        found = await eventually(ended, within=within, message="the deploy ended")
        assert found is not None
        return found

    async def instances(self, service_id: str) -> list[Instance]:
        """Instances by number."""
        async with self.db.read() as tx:
            return await instances.of_service(tx, service_id)


@asynccontextmanager
async def engine(url: str, **changed: Any) -> AsyncIterator[Engine]:
    """An empty engine on a migrated, empty database; `changed` are settings of its replicas."""
    async with neighbours() as around, AsyncExitStack() as stack:
        db = Database(url, pool_size=3)
        found = Engine(db, around, url, stack, **changed)
        try:
            yield found
        finally:
            await stack.aclose()
            await asyncio.gather(*found._tasks, return_exceptions=True)
            await db.close()


async def deployed(world: Engine, agent: Agent, **spec: Any) -> str:
    """A service whose instances run on the agent's node."""
    service_id = await world.service(**spec)
    result = await world.finished(service_id, await world.deploy(service_id))
    assert result.state == "success", result
    return service_id


async def audited(world: Engine, count: int) -> list[Any]:
    """The audit events, once there are so many."""

    async def arrived() -> list[Any] | None:
        found = list(world.around.audit.events.values())
        return found if len(found) >= count else None

    return await eventually(arrived) or []


async def ended(agent: Agent) -> grpc.aio.AioRpcError | None:
    return agent.failure


async def attached(agent: Agent) -> bool:
    return bool(agent.received)


@contextmanager
def counted(world: Engine) -> Iterator[list[str]]:
    """The statements that are executed in the block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(world.db.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(world.db.engine.sync_engine, "before_cursor_execute", note)
