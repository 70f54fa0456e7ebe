"""Composition root of the agent."""

import asyncio
import signal
import uuid
from collections.abc import Callable
from functools import partial

import aiodocker

from agent.domain.backoff import retry_delay
from agent.domain.errors import AgentError, Overtaken
from agent.domain.log_rate import LogRate
from agent.files import Files
from agent.hook_journal import HookJournal
from agent.image_cleaner import ImageCleaner
from agent.logs.collector import LogCollector
from agent.logs.forwarder import LogForwarder
from agent.logs.line_queue import LineQueue
from agent.logs.positions import LogPositions
from agent.logs.shipper import LogShipper
from agent.machine import Machine
from agent.network.endpoint_stream import EndpointStream
from agent.network.network import Network, NetworkSettings
from agent.node_key import load_node_key
from agent.operations.overtaken import unless_overtaken
from agent.runtime.docker import DockerRuntime
from agent.runtime.hollow import HollowRuntime
from agent.runtime.ports import EngineInfo, Runtime
from agent.settings import AgentSettings
from agent.site import Site
from agent.state import State
from agent.state_dir import StateDir
from agent.streams.assignments import Assignments
from agent.streams.calls import open_channel, parse_uri
from agent.streams.membership import Membership
from agent.streams.reporter import Reporter
from agent.streams.session import Introduction, Session
from agent.streams.telemetry import Telemetry
from agent.worker import Worker
from kontena.grid.v1 import node_session_pb2
from services.kernel import garbage
from services.kernel.logs import get_logger
from services.kernel.loops import Supervisor
from services.kernel.version import VERSION

log = get_logger(__name__)

_RESYNC_SECONDS = 30.0
_IMAGES_SECONDS = 60.0
# How long the master is waited for before the agent goes on without it.
_PATIENCE_SECONDS = 3.0


async def serve(settings: AgentSettings) -> None:
    """Run the agent until SIGTERM or SIGINT. Containers keep running afterwards."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    garbage.settle()
    await run_until(settings, stop)


async def run_until(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Run the agent until `stop` is set."""
    folder = StateDir(settings.state_dir)
    state = State(folder)
    try:
        runtime = await unless_overtaken(stop, _ready_runtime(settings, state))
    except Overtaken:
        folder.close()
        return
    await _run(settings, stop, folder, state, runtime)


async def _run(settings: AgentSettings, stop: asyncio.Event, folder: StateDir, state: State, runtime: Runtime) -> None:
    state.runtime, state.docker_host = runtime.name, settings.docker_host
    state.touch()
    state.flush()
    channel = open_channel(settings.uri, settings.ca_file)
    membership, reporter = Membership(), Reporter()
    queue, positions = LineQueue(), LogPositions(folder)
    forwarder = LogForwarder(state.node)
    rate = LogRate(settings.log_lines_per_second, settings.log_lines_at_once)
    logs = LogCollector(runtime, queue, positions, forwarder.offer, rate)
    hooks = HookJournal()
    telemetry = Telemetry(channel, membership, runtime, state)
    images = ImageCleaner(runtime, folder, settings.image_keep_seconds)
    machine = Machine(runtime, parse_uri(settings.uri)[0], settings.public_ip, settings.private_ip)
    network = _network(settings, runtime, folder, machine, state)
    site = partial(
        Site,
        runtime,
        reporter,
        state,
        logs,
        hooks,
        events=telemetry.events,
        port_wait=settings.port_wait_seconds,
        settle=settings.settle_seconds,
        drain=settings.drain_seconds,
        pulled=images.pulled,
        network=network,
        names=network.names,
        files=Files(settings.files_dir, settings.files_mb * 1024**2, real=runtime.name == "docker"),
    )
    worker = Worker(site, logs)
    logs.instance_id = worker.instance_id
    introduction = Introduction(
        state.node_id, settings.node_name, VERSION, settings.labels, settings.join_metadata, load_node_key(folder)
    )
    on_node = _describing(state, worker, forwarder, network)
    supervisor = Supervisor()
    supervisor.add("state", folder.run)
    supervisor.add("engine events", worker.follow_events)
    supervisor.every("resync", _RESYNC_SECONDS, worker.resync, wake=worker.resync_wanted)
    supervisor.add("session", Session(channel, introduction, membership, machine, on_node, network=network).run)
    supervisor.add("assignments", Assignments(channel, membership, worker, reporter, hooks).run)
    network.supervise(supervisor)
    supervisor.add("endpoints", EndpointStream(channel, membership, network.names).run)
    supervisor.add("log forwarder", forwarder.run)
    supervisor.add("logs", LogShipper(channel, membership, queue, positions).run)
    if settings.image_keep_seconds:
        supervisor.every("unused images", min(_IMAGES_SECONDS, settings.image_keep_seconds), images.turn)
    telemetry.supervise(supervisor, settings.stats_seconds)
    log.info("agent starts", version=VERSION, runtime=runtime.name, node_id=state.node_id, master=settings.uri)
    try:
        async with worker, supervisor:
            worker.restore(_PATIENCE_SECONDS)
            await stop.wait()
    finally:
        await logs.close()
        folder.flush()
        await channel.close()
        await runtime.close()
        folder.close()
    log.info("agent stopped")


def _network(settings: AgentSettings, runtime: Runtime, folder: StateDir, machine: Machine, state: State) -> Network:
    """The network of the grid, as this node knew it last."""
    chosen = NetworkSettings(
        engine_id=state.node_id,
        assigned=lambda: state.assignments,
        enabled=settings.network == "auto",
        wireguard_port=settings.wireguard_port,
        vxlan_port=settings.vxlan_port,
    )
    network = Network(runtime, folder, chosen, machine.private_ip)
    if state.node is not None:
        network.describe_node(state.node)
    return network


def _describing(
    state: State, worker: Worker, forwarder: LogForwarder, network: Network
) -> Callable[[node_session_pb2.NodeDescription], None]:
    """Tells all parts who the master says this node is."""

    def on_node(node: node_session_pb2.NodeDescription) -> None:
        if state.node is not None and state.node.id != node.id:
            worker.forget()
        state.describe_node(node)
        forwarder.describe_node(node)
        network.describe_node(node)

    return on_node


async def _ready_runtime(settings: AgentSettings, state: State) -> Runtime:
    """The runtime asked for, once it is known which node this is."""
    runtime = await choose_runtime(settings, state)
    try:
        state.node_id = settings.node_id or state.node_id or (await _patient_info(runtime)).id
    except asyncio.CancelledError:
        await runtime.close()
        raise
    return runtime


async def choose_runtime(settings: AgentSettings, state: State) -> Runtime:
    """The runtime asked for. `auto` is Docker when an engine answers, when DOCKER_HOST names one, or when this agent
    has used one before: an engine that is slow to start must not turn a node with containers into a hollow one."""
    if settings.runtime != "hollow":
        docker = DockerRuntime(settings.docker_host)
        if settings.runtime == "docker" or settings.engine_chosen or state.runtime == "docker":
            return docker
        try:
            await docker.info()
        except (AgentError, aiodocker.DockerError) as error:
            await docker.close()
            log.warning("no container engine", docker_host=settings.docker_host, cause=str(error))
        else:
            return docker
    log.warning(
        "HOLLOW RUNTIME: this node pretends to run containers and runs none. "
        "Start a Docker Engine, or set DOCKER_HOST, and restart the agent to run them for real."
    )
    return HollowRuntime(state.node_id or f"HOLLOW-{uuid.uuid4().hex[:16].upper()}")


async def _patient_info(runtime: Runtime) -> EngineInfo:
    """The engine's description, as soon as it answers."""
    failures = 0
    while True:
        try:
            return await runtime.info()
        except AgentError as error:
            failures += 1
            log.warning("waiting for the container engine", cause=str(error))
            await asyncio.sleep(retry_delay(failures))
