"""The agent and a master behind TLS."""

from collections.abc import Callable
from pathlib import Path

import grpc

from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.certificates import self_signed
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment


def made(folder: Path) -> tuple[Path, grpc.ServerCredentials]:
    """A certificate for localhost, and how to serve with it."""
    folder.mkdir()
    certificate, key = self_signed(folder)
    return certificate, grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])


async def test_a_master_with_a_trusted_certificate_is_joined(tmp_path: Path) -> None:
    certificate, tls = made(tmp_path / "good")
    wanted = assignment()
    async with Master(tls=tls) as master:
        master.assigned[wanted.instance_id] = wanted
        chosen = settings(f"https://localhost:{master.port}", tmp_path / "state", ca_file=certificate)
        async with running_agent(chosen):
            await master.running(wanted)


async def test_a_master_that_cannot_prove_who_it_is_gets_no_token(tmp_path: Path, logged: Callable[[], str]) -> None:
    _, tls = made(tmp_path / "forged")
    trusted, _ = made(tmp_path / "good")
    async with Master(tls=tls) as master:
        chosen = settings(f"grpcs://localhost:{master.port}", tmp_path / "state", ca_file=trusted)
        async with running_agent(chosen):

            async def refused() -> bool:
                return logged().count("not connected to the master") >= 2

            await eventually(refused)
        assert master.join_metadata == []
    assert "grid-token" not in logged()
