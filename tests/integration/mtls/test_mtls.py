"""Between the parts of the suite only its parts are talked to, each by those that the table of callers names."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import websockets
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy import identities
from kontena.auth.v1 import introspection_pb2, introspection_pb2_grpc, user_pb2, user_pb2_grpc
from kontena.grid.v1 import grid_pb2, grid_pb2_grpc
from kontena.vault.v1 import secret_delivery_pb2, secret_delivery_pb2_grpc
from services.kernel import addresses
from services.kernel.identity import Callee, Identity
from tests.integration.mtls.conftest import PARTS, Suite
from tests.support.eventually import eventually
from tests.support.running import service_metadata

SERVICES = PARTS[:-1]
UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@asynccontextmanager
async def channel(suite: Suite, to: str, identity: Identity, name: str = "") -> AsyncIterator[grpc.aio.Channel]:
    """To a part, as whoever the identity says, that looks for `name` there."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with Callee(name or to, identity).open(f"127.0.0.1:{suite.ports[to]}", options) as opened:
        yield opened


async def health(opened: grpc.aio.Channel) -> grpc.StatusCode:
    return await code(health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=60))


async def code(answer: Any) -> grpc.StatusCode:
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def shaken_hands(port: int, context: ssl.SSLContext) -> bool:
    """Whether a server goes on talking after a handshake of TLS 1.3, whose client is told of a refusal by the next
    message only."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="exec-bridge")
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            return bool(await asyncio.wait_for(reader.read(1), 60))
        finally:
            writer.close()
    except (ssl.SSLError, ConnectionError):
        return False


def client_context(authority: Path, identity: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    if identity is not None:
        context.load_cert_chain(identity / "tls.crt", identity / "tls.key")
    return context


async def test_every_hop_of_a_request_is_encrypted(suite: Suite) -> None:
    """Users, tokens, grids, services, secrets: gateway to each service, and services to one another."""
    for path in ("/v1/user", "/v1/grids/trusted", "/v1/grids/trusted/services", "/v1/grids/trusted/secrets"):
        answer = await suite.http.get(path)
        assert answer.status_code == 200, (path, answer.text)
    written = await suite.http.post("/v1/grids/trusted/secrets", json={"name": "A", "value": "b"})
    assert written.status_code in (200, 201), written.text


async def test_the_exec_bridge_is_reached_and_reaches_deploy_svc(suite: Suite) -> None:
    """The answer is one of deploy_svc, about a container that is not there."""
    headers = {"authorization": suite.http.headers["authorization"]}
    url = f"ws://127.0.0.1:{suite.gateway.settings.port}/v1/containers/trusted/node/web-1/exec"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 404, refused.value.response.body


@pytest.mark.parametrize("part", SERVICES)
async def test_plain_text_is_refused(suite: Suite, part: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{suite.ports[part]}") as plain:
        assert await health(plain) is grpc.StatusCode.UNAVAILABLE


async def test_plain_text_is_refused_by_the_exec_bridge(suite: Suite) -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.TransportError):
            await http.get(f"http://127.0.0.1:{suite.ports['exec-bridge']}/healthz")


@pytest.mark.parametrize("part", SERVICES)
async def test_a_certificate_of_another_authority_is_refused(suite: Suite, part: str, tmp_path: Path) -> None:
    identities.ensure(tmp_path)
    stranger, own = tmp_path / "gateway", (suite.folder / "gateway" / "ca.crt").read_bytes()
    # It trusts the suite; the suite does not trust it.
    (stranger / "ca.crt").unlink()
    (stranger / "ca.crt").write_bytes(own)
    async with channel(suite, part, Identity(stranger)) as opened:
        assert await health(opened) is grpc.StatusCode.UNAVAILABLE
    async with channel(suite, part, Identity(suite.folder / "gateway")) as opened:
        assert await health(opened) is grpc.StatusCode.OK


async def test_the_exec_bridge_looks_at_certificates(suite: Suite, tmp_path: Path) -> None:
    identities.ensure(tmp_path, ["gateway"])
    authority, port = suite.folder / "authority", suite.ports["exec-bridge"]
    assert await shaken_hands(port, client_context(authority, suite.folder / "gateway"))
    assert not await shaken_hands(port, client_context(authority, tmp_path / "gateway"))
    assert not await shaken_hands(port, client_context(authority, None))
    other = client_context(authority, suite.folder / "auth-svc")
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(
            f"wss://exec-bridge:{port}/v1/containers/a/b/c/exec",
            ssl=other,
            sock=socket.create_connection(("127.0.0.1", port)),
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_a_caller_talks_to_the_part_it_means_only(suite: Suite) -> None:
    async with channel(suite, "grid-svc", Identity(suite.folder / "deploy-svc"), name="vault-svc") as opened:
        assert await health(opened) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("name", ["auth-svc", "exec-bridge", "somebody"])
async def test_a_part_that_is_not_in_the_table_is_refused(suite: Suite, name: str) -> None:
    """With the right token, and over a connection that the authority vouches for."""
    request = secret_delivery_pb2.ResolveSecretsRequest()
    async with channel(suite, "vault-svc", suite.issue(name)) as opened:
        resolve = secret_delivery_pb2_grpc.SecretDeliveryServiceStub(opened).ResolveSecrets
        answer = resolve(request, metadata=service_metadata("deploy_svc"), timeout=60)
        assert await code(answer) is grpc.StatusCode.PERMISSION_DENIED
    async with channel(suite, "vault-svc", suite.issue("deploy-svc")) as opened:
        resolve = secret_delivery_pb2_grpc.SecretDeliveryServiceStub(opened).ResolveSecrets
        assert await code(resolve(request, metadata=service_metadata("deploy_svc"), timeout=60)) is grpc.StatusCode.OK


async def test_a_part_calls_in_its_own_name_only(suite: Suite) -> None:
    """grid_svc and deploy_svc may both look at tokens; neither with a token that names the other one."""
    request = introspection_pb2.IntrospectTokenRequest(token="no such token")
    async with channel(suite, "auth-svc", suite.issue("grid-svc")) as opened:
        introspect = introspection_pb2_grpc.IntrospectionServiceStub(opened).IntrospectToken
        for service, expected in (
            ("grid_svc", grpc.StatusCode.OK),
            ("deploy_svc", grpc.StatusCode.PERMISSION_DENIED),
        ):
            assert await code(introspect(request, metadata=service_metadata(service), timeout=60)) is expected


async def test_only_the_gateway_brings_calls_of_users(suite: Suite) -> None:
    metadata = (("authorization", suite.http.headers["authorization"]),)
    for name, expected in (
        ("gateway", grpc.StatusCode.OK),
        ("deploy-svc", grpc.StatusCode.PERMISSION_DENIED),
        ("exec-bridge", grpc.StatusCode.PERMISSION_DENIED),
    ):
        async with channel(suite, "grid-svc", suite.issue(name)) as opened:
            grids = grid_pb2_grpc.GridServiceStub(opened).ListGrids(
                grid_pb2.ListGridsRequest(), metadata=metadata, timeout=5
            )
            assert await code(grids) is expected


async def test_the_gateway_does_not_call_what_is_between_services(suite: Suite) -> None:
    """Whoever takes over the gateway has no more than what users send it, not even with a token of a service."""
    async with channel(suite, "vault-svc", suite.issue("gateway")) as opened:
        resolve = secret_delivery_pb2_grpc.SecretDeliveryServiceStub(opened).ResolveSecrets
        answer = resolve(
            secret_delivery_pb2.ResolveSecretsRequest(), metadata=service_metadata("deploy_svc"), timeout=5
        )
        assert await code(answer) is grpc.StatusCode.PERMISSION_DENIED


async def test_probes_without_a_certificate_learn_of_health_and_nothing_else(suite: Suite) -> None:
    async with grpc.aio.insecure_channel(suite.health) as plain:
        assert await health(plain) is grpc.StatusCode.OK
        user = user_pb2_grpc.UserServiceStub(plain).GetCurrentUser(user_pb2.GetCurrentUserRequest(), timeout=60)
        assert await code(user) is grpc.StatusCode.UNIMPLEMENTED


def served(suite: Suite, part: str) -> int:
    """Serial number of the certificate that a new connection is shown."""
    context = client_context(suite.folder / "authority", suite.folder / "gateway")
    with (
        socket.create_connection(("127.0.0.1", suite.ports[part]), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=part) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


def on_disk(suite: Suite, part: str) -> int:
    return x509.load_pem_x509_certificate((suite.folder / part / "tls.crt").read_bytes()).serial_number


@dataclass
class Users:
    """Ask every service for something, again and again, and the exec bridge, to which each request is a connection."""

    suite: Suite
    asked: int = 0
    lost: list[str] = field(default_factory=list)

    async def use(self) -> None:
        while True:
            for path in ("/v1/user", *(f"/v1/grids/trusted{more}" for more in ("", "/services", "/secrets"))):
                await self._ask(path, 200)
            await self._ask("/v1/containers/trusted/node/web-1/exec", 404, UPGRADE)

    async def _ask(self, path: str, expected: int, headers: dict[str, str] | None = None) -> None:
        answer = await self.suite.http.get(path, headers=headers)
        self.asked += 1
        if answer.status_code != expected:
            self.lost.append(f"{path}: {answer.status_code} {answer.text}")


async def test_certificates_are_replaced_under_load_without_a_lost_request(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, while connections are held and made; each time all parts show and use the new ones."""
    monkeypatch.setattr(addresses, "_LOOK_AGAIN_SECONDS", 0.3)
    users = Users(suite)

    async def all_shown() -> bool:
        pairs = [(await asyncio.to_thread(served, suite, part), on_disk(suite, part)) for part in PARTS]
        return all(shown == wanted for shown, wanted in pairs)

    def taken_over() -> int:
        return suite.gateway.counter("cluster.exec.client_ssl_socket_factory.ssl_context_update_by_sds")

    async def rotated() -> None:
        before, asked = await asyncio.to_thread(taken_over), users.asked
        await asyncio.to_thread(suite.rotate)
        await eventually(all_shown, within=60, message="every part shows its new certificate")

        async def used() -> bool:
            return await asyncio.to_thread(taken_over) > before and users.asked > asked + 60

        await eventually(used, within=60, message="Envoy calls with its new certificate, and requests go on")

    tasks = [asyncio.create_task(users.use()) for _ in range(3)]
    try:
        await rotated()
        await rotated()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not users.lost
