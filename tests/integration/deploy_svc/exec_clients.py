"""Clients of the exec WebSocket, and the program that a node pretends to run for them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.exec_bridge.server import serving
from gateway.exec_bridge.settings import ExecBridgeSettings
from kontena.deploy.v1 import node_command_pb2 as command_pb
from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
    exited,
    failed,
    output,
)
from tests.support.eventually import eventually

PATH = "/v1/containers/g1/node-a/web-1/exec"


def reply(order: command_pb.NodeCommand) -> Sequence[command_pb.NodeCommandEvent]:
    """A program whose words say what it does, and that repeats its input."""
    match order.WhichOneof("message"):
        case "exec":
            return {
                "talk": [output("a"), output("b", "stderr"), exited(3)],
                "broken": [failed("refused", "container is paused")],
                "gone": [failed("not_found")],
                "flood": [output("x" * 32_000)],
            }.get(order.exec.cmd[0], [])
        case "input" if order.input.data == b"silent":
            return []
        case "input":
            read = command_pb.ReadInput(size=len(order.input.data) + 256)
            said = exited(0) if order.input.end else output(order.input.data.decode())
            return [command_pb.NodeCommandEvent(read=read), said]
        case "size":
            return [output(f"{order.size.width}x{order.size.height}")]
        case "read":
            return [output("x" * 32_000)] if order.read.size == 32_000 else []
    return []


@asynccontextmanager
async def bridge(address: str, **changed: Any) -> AsyncIterator[str]:
    settings = ExecBridgeSettings(listen_address="127.0.0.1:0", deploy_address=address, **changed)
    async with serving(settings) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def opened(
    url: str,
    query: str = "",
    path: str = PATH,
    token: str | None = "member",  # noqa: S107
    agent: str | None = "kontena-cli/1.5.4",
) -> connect:
    headers = {"X-Forwarded-For": "10.1.2.3", **({"Authorization": f"bearer {token}"} if token else {})}
    return connect(f"{url}{path}{query}", additional_headers=headers, user_agent_header=agent, compression=None)


async def say(client: ClientConnection, **frame: Any) -> None:
    await client.send(json.dumps(frame))


async def heard(client: ClientConnection) -> list[dict[str, Any]]:
    """All frames until the server closes."""
    async with asyncio.timeout(60):
        frames = []
        try:
            while True:
                frames.append(json.loads(await client.recv()))
        except ConnectionClosed:
            return frames


async def until(agent: CommandAgent, kind: str) -> None:
    async def seen() -> bool:
        return kind in agent.kinds()

    await eventually(seen, message=f"the node was told: {kind}")


async def until_begun(agent: CommandAgent, word: str) -> None:
    async def begun() -> bool:
        return [word] in [list(order.exec.cmd) for order in agent.orders]

    await eventually(begun, message=f"{word} runs")
