"""The agent's key: made once, kept to itself, proven at each connect."""

import base64
import json
from pathlib import Path

from services.kernel.node_key import Statement, proves
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import NONCE, Master
from tests.support.eventually import eventually


async def welcomed(master: Master, times: int) -> None:
    async def heard() -> bool:
        return len(master.hellos) >= times and master.heartbeats > 0

    await eventually(heard)


async def test_the_key_is_made_once_kept_to_the_agent_and_proven_at_each_connect(tmp_path: Path) -> None:
    async with Master() as master:
        chosen = settings(master.uri, tmp_path)
        for times in (1, 2):
            master.heartbeats = 0
            async with running_agent(chosen):
                await welcomed(master, times)
    first, second = master.hellos
    assert first.node_key == second.node_key
    for hello, proof in zip(master.hellos, master.proofs, strict=True):
        assert proves(hello.node_key, proof, Statement(NONCE, "ENGINE-1", hello.start_id, "grid-token", ""))
        assert not proves(hello.node_key, proof, Statement(NONCE, "ENGINE-1", hello.start_id, "another-token", ""))
    path = tmp_path / "node_key.json"
    assert path.stat().st_mode & 0o777 == 0o600
    private = base64.b64decode(json.loads(path.read_text())["private_key"])
    said = b"".join(message.SerializeToString() for message in (*master.hellos, *master.infos)) + b"".join(
        master.proofs
    )
    assert private not in said


async def test_a_master_of_an_older_release_asks_for_no_proof(tmp_path: Path) -> None:
    async with Master() as master:
        master.challenges = False
        async with running_agent(settings(master.uri, tmp_path)):
            await welcomed(master, 1)
    assert master.proofs == []


async def test_a_key_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    """It may be read again tomorrow, and the node is known by it."""
    (tmp_path / "node_key.json").mkdir()
    async with Master() as master:
        master.challenges = False
        async with running_agent(settings(master.uri, tmp_path)):
            await welcomed(master, 1)
    assert master.hellos[0].node_key == b""
    assert (tmp_path / "node_key.json").is_dir()
