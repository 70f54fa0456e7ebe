"""Addresses of services, as settings list them: `host:port,host:port`. A host is a name, an IPv4 address or an IPv6
address in brackets."""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grpc

from services.kernel.identity import Callee
from services.kernel.logs import get_logger

log = get_logger(__name__)

# How connections come about, whoever makes them. An address that nobody answers at is tried often, so that a successor
# is found before a call that is repeated gives up (client.py).
_CONNECTING = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 400),
    # In spite of its name the time that an attempt gets, TLS and the server's first words included.
    ("grpc.min_reconnect_backoff_ms", 2_000),
)
_LOOK_AGAIN_SECONDS = 5.0
_FIRST_LOOK_AGAIN_SECONDS = 0.5

Address = tuple[str, int]


def split(text: str) -> Address:
    """Host, without brackets, and port of one address. Raises ValueError, which quotes it."""
    host, colon, port = text.strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        raise ValueError(f"{text!r} is not host:port; an IPv6 address stands in brackets")
    return bare, int(port)


def parse(text: str) -> list[Address]:
    """The addresses of a comma separated list. Raises ValueError."""
    return [split(one) for one in text.split(",")]


def fixed_target(addresses: Sequence[Address]) -> str | None:
    """What gRPC is to connect to, by turns; None for a list with names, which gRPC cannot look up."""
    if len(addresses) == 1:
        return f"dns:///{_bracketed(*addresses[0])}"
    known = [_ip(host) for host, _ in addresses]
    if any(ip is None for ip in known):
        return None
    return _target([(str(host), port) for host, port in addresses])


def open_channel(
    addresses: str, options: Sequence[tuple[str, Any]], interceptors: Sequence[Any] = (), callee: Callee | None = None
) -> Any:
    """A channel to all of the addresses, round robin: in plain text, or to the `callee` only. Names are looked up again
    and again, so a replica may come back elsewhere, and a new certificate is used soon after it is there."""
    known, options = parse(addresses), [*_CONNECTING, *options]
    if callee is not None:
        return FollowingChannel(known, partial(callee.open, options=options, interceptors=interceptors), callee)
    open_ = partial(grpc.aio.insecure_channel, options=options, interceptors=interceptors)
    target = fixed_target(known)
    return open_(target) if target is not None else FollowingChannel(known, open_)


class FollowingChannel:
    """What stubs need of a channel, for a list with names, and for a certificate that is replaced."""

    def __init__(
        self, addresses: Sequence[Address], open_: Callable[[str], grpc.aio.Channel], callee: Callee | None = None
    ) -> None:
        self._addresses = addresses
        self._open = open_
        self._callee = callee
        self._fixed = fixed_target(addresses)
        # Until all names are looked up, the first one.
        self._target = self._fixed or f"dns:///{_bracketed(*addresses[0])}"
        self._files = callee and callee.identity.files()
        self._channel = open_(self._target)
        # Calls under way: a channel of before is closed when its last one has ended, streams included.
        self._calls: Counter[grpc.aio.Channel] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._looking = asyncio.create_task(self._keep_looking())

    def unary_unary(self, *what: Any, **how: Any) -> Callable[..., Any]:
        """See grpc.aio.Channel; likewise the others."""
        return self._method("unary_unary", what, how)

    def unary_stream(self, *what: Any, **how: Any) -> Callable[..., Any]:
        return self._method("unary_stream", what, how)

    def stream_unary(self, *what: Any, **how: Any) -> Callable[..., Any]:
        return self._method("stream_unary", what, how)

    def stream_stream(self, *what: Any, **how: Any) -> Callable[..., Any]:
        return self._method("stream_stream", what, how)

    async def close(self, grace: float | None = None) -> None:
        """Close it; calls in flight are cancelled after `grace` seconds, or at once."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(channel.close(grace) for channel in {self._channel, *self._calls}), *self._closing)

    def _method(self, kind: str, what: tuple[Any, ...], how: dict[str, Any]) -> Callable[..., Any]:
        made: dict[grpc.aio.Channel, Any] = {}

        def call(*request: Any, **options: Any) -> Any:
            channel = self._channel
            if channel not in made:
                made.clear()
                made[channel] = getattr(channel, kind)(*what, **how)
            begun = made[channel](*request, **options)
            self._calls[channel] += 1
            begun.add_done_callback(lambda _call: self._ended(channel))
            return begun

        return call

    async def _keep_looking(self) -> None:
        pause = _FIRST_LOOK_AGAIN_SECONDS
        while True:
            target = self._fixed
            if target is None and (found := await _look_up(self._addresses)):
                target = _target(found)
            if target is not None:
                self._use(target)
                pause = _LOOK_AGAIN_SECONDS
            await asyncio.sleep(pause)

    def _use(self, target: str) -> None:
        files = self._callee and self._callee.identity.files()
        if (target, files) == (self._target, self._files):
            return
        old, self._channel, self._target, self._files = self._channel, self._open(target), target, files
        self._calls[old] += 1
        self._ended(old)

    def _ended(self, channel: grpc.aio.Channel) -> None:
        self._calls[channel] -= 1
        if self._calls[channel]:
            return
        del self._calls[channel]
        if channel is not self._channel:
            closing = asyncio.get_running_loop().create_task(channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _look_up(addresses: Sequence[Address]) -> list[Address]:
    """All addresses behind the names, sorted; a name that is not known at the moment is left out."""
    loop = asyncio.get_running_loop()
    answers = await asyncio.gather(
        *(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM) for host, port in addresses), return_exceptions=True
    )
    found: set[Address] = set()
    for (host, _), answer in zip(addresses, answers, strict=True):
        if isinstance(answer, BaseException):
            log.debug("name not found", host=host, error=repr(answer))
        else:
            found |= {(str(socket_address[0]), int(socket_address[1])) for *_, socket_address in answer}
    return sorted(found)


def _target(addresses: Sequence[Address]) -> str:
    """One target takes one family: beside an IPv6 address the others are written as such (RFC 4291 section 2.5.5.2),
    which gRPC understands also where there is no IPv6."""
    if all(":" not in host for host, _ in addresses):
        return "ipv4:" + ",".join(f"{host}:{port}" for host, port in addresses)
    return "ipv6:" + ",".join(_bracketed(host if ":" in host else f"::ffff:{host}", port) for host, port in addresses)


def _bracketed(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
