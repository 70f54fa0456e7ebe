"""A second replica of deploy_svc and of auth_svc beside the first: work is done once, revocations reach both."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from deploy.local import probes
from deploy.local.processes import service_env
from deploy.local.settings import LocalSettings, load_secrets
from kontena.auth.v1 import user_pb2
from kontena.auth.v1.user_pb2_grpc import UserServiceStub
from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon


def replica(suite: Suite, name: str, offset: int, changed: dict[str, str] | None = None) -> Iterator[str]:
    """A second process of a service on the suite's database, `changed` in its environment; yields its address."""
    settings = LocalSettings(var=suite.var, port=int(suite.env["KONTENA_PORT"]), port_base=suite.port_base)
    address = f"127.0.0.1:{suite.port_base + offset}"
    copy = {"LISTEN_ADDRESS": address, "METRICS_ADDRESS": "", "PYTHONPATH": f"{suite.folder}:{suite.folder}/gen"}
    env = {**service_env(settings, load_secrets(settings), name), **copy, **(changed or {})}
    command = [str(suite.folder / ".venv/bin/python"), "-m", f"services.{name}_svc"]
    process = subprocess.Popen(command, env=env, cwd=suite.folder, stderr=subprocess.DEVNULL)
    try:
        soon(lambda: probes.service_serves(address), message=f"the second {name}_svc serves")
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def second_deploy_svc(suite: Suite) -> Iterator[str]:
    yield from replica(suite, "deploy", 25)


@pytest.fixture(scope="module")
def second_auth_svc(suite: Suite) -> Iterator[str]:
    yield from replica(suite, "auth", 26)


@pytest.mark.usefixtures("second_deploy_svc")
def test_no_deploy_is_executed_twice(api: Api, docker: Docker, image: str) -> None:
    began = str(int(time.time()))
    body = {"image": image, "stateful": False, "instances": 2, "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    names = [f"twice-{number}" for number in range(8)]

    def deploy(name: str) -> str:
        service = str(api.call("POST", f"/v1/grids/{api.grid}/services", {**body, "name": name}, status=201)["id"])
        api.deploy(service)
        return service

    with ThreadPoolExecutor(8) as pool:
        services = list(pool.map(deploy, names))
    for service in services:
        assert len(docker.running(service)) == 2
    events = docker.command(
        "events", "--since", began, "--until", str(int(time.time()) + 1), "--filter", "event=create",
        "--format", '{{index .Actor.Attributes "name"}}',
    )  # fmt: skip
    created = Counter(name for name in events.split() if name.startswith("twice-"))
    assert created == {f"{name}-{number}": 1 for name in names for number in (1, 2)}
    for service in services:
        api.call("DELETE", f"/v1/services/{service}")
    soon(lambda: not any(docker.all(service) for service in services), message="all containers are gone")


def test_a_token_revoked_on_one_replica_is_refused_by_the_other_within_a_second(api: Api, second_auth_svc: str) -> None:
    body = {"response_type": "token", "scope": "user", "expires_in": "600"}
    token = api.call("POST", "/oauth2/authorize", body, status=201)
    metadata = (("authorization", f"Bearer {token['access_token']}"),)
    with grpc.insecure_channel(second_auth_svc) as channel:
        stub = UserServiceStub(channel)
        assert stub.GetCurrentUser(user_pb2.GetCurrentUserRequest(), metadata=metadata).email == "admin"
        assert Api(api.url, token["access_token"], api.grid).call("GET", "/v1/grids")["grids"]
        api.call("DELETE", f"/oauth2/tokens/{token['id']}")
        revoked = time.monotonic()

        def refused_everywhere() -> bool:
            # grid_svc caches principals; the second auth_svc has its own view.
            with pytest.raises(grpc.RpcError) as refusal:
                stub.GetCurrentUser(user_pb2.GetCurrentUserRequest(), metadata=metadata)
            assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
            return Api(api.url, token["access_token"], api.grid).request("GET", "/v1/grids").status_code == 401

        soon(refused_everywhere, within=1.0, message="the token is refused")
        assert time.monotonic() - revoked < 1.0
