"""A gRPC server that implements every service of the suite: remembers each call, answers what the call asks for.

A test steers the answer of its own call with the request header `x-test`, a JSON object:
`initial` and `trailing` (pairs of metadata), `abort` ([code, message]), `after` (messages to send before the abort),
`reply` (the response as JSON), `bodies` (raw bodies of a stream), `burst` (number of generated bodies), `pause`
(seconds before each body but the first), `then_wait` (never ends by itself).
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.support.ports import free_port

GEN = Path(__file__).parents[3] / "gen"
# One limit instead of a soft and a hard one: in between, gRPC refuses at random.
METADATA_LIMIT = 8192
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_metadata_size", METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
]
CODES = {code.name: code for code in grpc.StatusCode}


@dataclass
class Call:
    """One RPC as the service saw it; `message` is the last one so far, None before the first of a stream."""

    path: str
    metadata: dict[str, str]
    message: Any = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class Echo:
    """The server, running in a thread of its own until `stop`."""

    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    calls: dict[str, Call] = field(default_factory=dict)
    # Whether it answers unary calls at all.
    silent: bool = False
    _last_call: float = 0.0

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60), "echo server did not start"

    def stop(self) -> None:
        """End at once, as a killed process would; does nothing when it is not running."""
        self._end(self._server.stop(0))

    def received(self, request_id: str) -> Any:
        """The last message of a call, None while there is none."""
        call = self.calls.get(request_id)
        return None if call is None else call.message

    def drain(self) -> None:
        """End as the services of the suite do on SIGTERM: unhealthy until nobody calls, then running calls end."""
        self._end(self._drain())

    async def _drain(self) -> None:
        await self._serving.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        end = time.monotonic() + 20
        while (left := min(end, self._last_call + 0.3) - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        await self._server.stop(10)

    def _end(self, how: Any) -> None:
        if not self._loop.is_running():
            how.close()
            return
        asyncio.run_coroutine_threadsafe(how, self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start(ready))
        self._loop.run_forever()

    async def _start(self, ready: threading.Event) -> None:
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers(tuple(self._handlers()))
        self._serving = serving = health.aio.HealthServicer()
        await serving.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(serving, self._server)
        self.port = self._server.add_insecure_port(f"{self.host}:{self.port}")
        await self._server.start()
        ready.set()

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        for service in services():
            methods = {method.name: self._handler(service.full_name, method) for method in service.methods}
            yield grpc.method_handlers_generic_handler(service.full_name, methods)

    def _handler(self, service: str, method: Any) -> Any:
        path = f"/{service}/{method.name}"
        request_class, response_class = map(message_factory.GetMessageClass, (method.input_type, method.output_type))

        async def unary(request: Any, context: Any) -> Any:
            _, plan = await self._begin(path, request, context)
            await asyncio.sleep(60 if self.silent or plan.get("then_wait") else 0)
            await _maybe_abort(plan, context)
            return json_format.ParseDict(plan.get("reply", {}), response_class())

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            call, plan = await self._begin(path, None if method.client_streaming else request, context)
            if method.client_streaming:
                await context.send_initial_metadata((("x-accepted", "1"),))
                async for message in request:
                    call.message = message
                    # A heartbeat for a heartbeat: the shape does not matter, that it comes back at once does.
                    yield response_class.FromString(b"")
                return
            for sent, body in enumerate(_bodies(plan)):
                if sent == plan.get("after", -1):
                    break
                await asyncio.sleep(plan.get("pause", 0) if sent else 0)
                yield body
            if plan.get("then_wait"):
                await asyncio.sleep(60)
            await _maybe_abort(plan, context)

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        handle = stream if method.server_streaming else unary
        return make(handle, request_class.FromString, response_class.SerializeToString)

    async def _begin(self, path: str, request: Any, context: Any) -> tuple[Call, dict[str, Any]]:
        self._last_call = time.monotonic()
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        call = Call(path, metadata, request)
        context.add_done_callback(lambda _: call.ended.set())
        self.calls[metadata.get("x-request-id", "")] = self.calls[path] = call
        plan: dict[str, Any] = json.loads(metadata.get("x-test", "{}"))
        if "initial" in plan:
            await context.send_initial_metadata([tuple(pair) for pair in plan["initial"]])
        return call, plan


async def _maybe_abort(plan: dict[str, Any], context: Any) -> None:
    trailing = tuple(tuple(pair) for pair in plan.get("trailing", ()))
    if "abort" in plan:
        code, message = plan["abort"]
        await context.abort(CODES[code], message, trailing)
    context.set_trailing_metadata(trailing)


def _bodies(plan: dict[str, Any]) -> Iterator[httpbody_pb2.HttpBody]:
    texts = plan.get("bodies") or [
        f'{{"id":"{number}","pad":"{"x" * (number % 97)}"}}\n' for number in range(plan.get("burst", 0))
    ]
    for text in texts:
        yield httpbody_pb2.HttpBody(content_type=plan.get("content_type", "application/json"), data=text.encode())


def services() -> list[Any]:
    """Descriptors of every service in `gen/`."""
    found = []
    for stub in sorted(GEN.rglob("*_pb2.py")):
        name = ".".join(stub.relative_to(GEN).with_suffix("").parts)
        file = import_module(name).DESCRIPTOR
        found += [descriptor_pool.Default().FindServiceByName(s.full_name) for s in file.services_by_name.values()]
    return found


def main() -> None:
    """Serve on the port in the first argument, as a process that a test can kill; with `never` it does not answer."""
    server = Echo(port=int(sys.argv[1]), silent="never" in sys.argv)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
