"""Every secret value used here is searched for in everything the process writes."""

import asyncio
import os
import signal
import sys

import asyncpg
import grpc

from tests.integration.vault_svc.caller import Caller, resolve
from tests.integration.vault_svc.conftest import KEY
from tests.integration.vault_svc.stand_ins import ALPHA, Neighbours
from tests.support.eventually import eventually
from tests.support.leaks import dump, forms
from tests.support.ports import free_port
from tests.support.running import CLUSTER_SECRET

MARK = "hunter2-\u00e9-correct-horse"
VALUES = [f"{MARK}-created", f"{MARK}-updated\n", f"{MARK}-nul\0", MARK * 8_000, f"{MARK}-mismatch", f"{MARK}-refused"]


async def _use_everything(member: Caller, stranger: Caller, channel: grpc.aio.Channel, url: str) -> str:
    """Each verb with good and bad input; returns the bodies of all errors."""
    await member.create("A", VALUES[0])
    await member.update("alpha/A", VALUES[1])
    await member.update("alpha/A", VALUES[1])
    await member.read("alpha/A")
    await member.of_grid()
    assert dict((await resolve(channel, ALPHA, "A")).body.values) == {"A": VALUES[1]}
    refused = [
        await member.create("A", VALUES[0]),
        await member.create("-", VALUES[0]),
        await member.create("B", VALUES[2]),
        await member.create("B", VALUES[3]),
        await member.update("alpha/A", VALUES[4], name="OTHER"),
        await member.update("alpha/MISSING", VALUES[5]),
        await stranger.create("B", VALUES[5]),
        await Caller(channel, None).create("B", VALUES[5]),
    ]
    connection = await asyncpg.connect(url)
    await member.create("BROKEN", VALUES[0])
    await connection.execute("update vault.secrets set sealed = sealed || 'x' where name = 'BROKEN'")
    await connection.close()
    refused.append(await member.read("alpha/BROKEN"))
    assert [found.status for found in refused] == [422, 422, 422, 422, 422, 404, 403, 401, 503]
    return str([(found.body, found.headers) for found in refused])


async def test_values_reach_no_log_row_audit_event_or_error(vault_url: str, vault_neighbours: Neighbours) -> None:
    address = f"127.0.0.1:{free_port()}"
    env = {
        "DATABASE_URL": vault_url,
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "AUTH_ADDRESS": vault_neighbours.address,
        "GRID_ADDRESS": vault_neighbours.address,
        "DEPLOY_ADDRESS": vault_neighbours.address,
        "LISTEN_ADDRESS": address,
        "VAULT_KEY": KEY,
        "VAULT_IV": "ignored",
        "LOG_LEVEL": "debug",
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.vault_svc", env=os.environ | env, stdout=pipe, stderr=pipe
    )
    output = asyncio.create_task(process.communicate())
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 120)
            member = Caller(channel, "member")

            async def open_() -> bool:
                return (await member.of_grid()).status == 200

            await eventually(open_)
            errors = await _use_everything(member, Caller(channel, "stranger"), channel, vault_url)
            stored = await dump(vault_url, "vault")

            async def audited() -> bool:
                return len(vault_neighbours.audit.events) >= 4

            await eventually(audited)
    finally:
        process.send_signal(signal.SIGTERM)
        logs = b"".join(await output).decode()
    assert process.returncode == 0
    assert "stopped" in logs, "what it logged to its end is searched"
    assert "sealed" not in errors
    for place, text in {
        "logs": logs,
        "database": stored,
        "audit": str(vault_neighbours.audit.events),
        "errors": errors,
    }.items():
        assert text, place
        for secret in (MARK, KEY):
            for form in forms(secret):
                assert form not in text, f"{place} contains {form}"
