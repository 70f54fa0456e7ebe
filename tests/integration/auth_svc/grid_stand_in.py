"""Stands in for grid_svc: the watch that auth_svc follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from services.kernel.server import OPTIONS

ALPHA, BETA = "a" * 24, "b" * 24
NAMES = {ALPHA: "alpha", BETA: "beta"}


class Grids(watch_pb2_grpc.GridWatchServiceServicer):
    """Two grids that never change."""

    async def WatchGrids(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for grid_id, name in NAMES.items():
            yield watch_pb2.GridEvent(upserted=watch_pb2.GridRecord(id=grid_id, name=name))
        yield watch_pb2.GridEvent(synced=watch_pb2.Synced())
        await asyncio.Event().wait()

    async def WatchNodes(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "auth_svc does not follow nodes")
        yield

    async def GetGridRecord(self, request: Any, context: Any) -> Any:
        ids = {name: grid_id for grid_id, name in NAMES.items()}
        if request.name not in ids:
            await context.abort(grpc.StatusCode.NOT_FOUND, "Not found")
        return watch_pb2.GridRecord(id=ids[request.name], name=request.name)


@asynccontextmanager
async def grid_svc() -> AsyncIterator[str]:
    """Its address."""
    server = grpc.aio.server(options=OPTIONS)
    watch_pb2_grpc.add_GridWatchServiceServicer_to_server(Grids(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)
