"""One session: frames of the client to the gRPC stream and back, until the program ends or the client leaves."""

import asyncio
import json
from contextlib import suppress
from typing import Any, NamedTuple

import grpc
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from gateway.exec_bridge import frames
from gateway.exec_bridge.frames import BadFrame, ClientFrames, ServerFrames
from gateway.exec_bridge.target import Target
from gateway.exec_bridge.upstream import refusal

_DONE, _FAILED = 1000, 4000


class Ending(NamedTuple):
    """How a session ends for the client: the last frame, then the close."""

    how: str
    frame: str
    code: int
    reason: str = ""


async def run(websocket: ServerConnection, call: Any, target: Target, first_frame_seconds: float) -> str:
    """Bridge an opened session to its end; returns how it ended: exit, error or left.

    Every path sends `exit` or `error` before it closes, unless the client left. Both directions wait for the other
    side, so neither a program that prints without end nor a client that sends without end fills memory here.
    """
    reading = ClientFrames(interactive=target.interactive, tty=target.tty)
    pump = asyncio.create_task(_pass_on(websocket, call, reading, first_frame_seconds))
    show = asyncio.create_task(_show(websocket, call))
    try:
        await asyncio.wait({pump, show}, return_when=asyncio.FIRST_COMPLETED)
        # What the program did last counts more than what the client did at the same time.
        first = show if show.done() else pump
        # A lost connection cancels the stream, and that whoever waits for it.
        ending = None if first.cancelled() else first.result()
        if ending is None:
            return "left"
        with suppress(ConnectionClosed):
            await websocket.send(ending.frame)
            # The pump goes on: a peer that is busy sending must be heard out before it reads the close.
            await websocket.close(ending.code, _fitting(ending.reason))
        return ending.how
    finally:
        call.cancel()
        for task in (pump, show):
            task.cancel()
        await asyncio.gather(pump, show, return_exceptions=True)


async def _pass_on(
    websocket: ServerConnection, call: Any, reading: ClientFrames, first_frame_seconds: float
) -> Ending | None:
    """Client to program. None when the client left."""
    try:
        async with asyncio.timeout(first_frame_seconds):
            frame = await websocket.recv()
        await call.write(reading.read(frame))
        async for frame in websocket:
            for piece in frames.pieces(reading.read(frame)):
                await call.write(piece)
    except TimeoutError:
        return _failed(f"no cmd within {first_frame_seconds:g} s")
    except BadFrame as error:
        return _failed(str(error))
    except ConnectionClosed:
        return None
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        # The program has ended, and `_show` reads how; what still comes is for nobody.
        with suppress(ConnectionClosed):
            async for _ in websocket:
                pass
    return None


async def _show(websocket: ServerConnection, call: Any) -> Ending | None:
    """Program to client. None when the client left."""
    words = ServerFrames()
    try:
        async for response in call:
            kind = response.WhichOneof("message")
            if kind == "output":
                for frame in words.output(response.output):
                    await websocket.send(frame)
            elif kind == "exit":
                *rest, last = words.exit(response.exit.code)
                for frame in rest:
                    await websocket.send(frame)
                return Ending("exit", last, _DONE)
    except ConnectionClosed:
        return None
    except grpc.aio.AioRpcError:
        pass
    said = json.loads((await refusal(call)).body)["error"]
    return _failed(said if isinstance(said, str) else json.dumps(said))


def _failed(text: str) -> Ending:
    return Ending("error", frames.error(text), _FAILED, text)


def _fitting(reason: str) -> str:
    """A close reason has at most 123 bytes (RFC 6455 section 5.5)."""
    return reason.encode()[:120].decode(errors="ignore")
