"""Renewals, by any number of replicas, at a real ACME server."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.vault_svc.acme_fixtures import Serve, server
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.pebble import Pebble, pebble

pytestmark = pytest.mark.slow


async def _age(sql: Any, subject: str) -> None:
    await sql.execute(
        "update vault.certificates set valid_until = now() + interval '1 day' where subject = $1", subject
    )


async def test_a_due_certificate_is_renewed_once_by_two_replicas(
    serve: Serve, sql: Any, vault_neighbours: Neighbours
) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.http01("r.test")
        assert (await acme.create("r.test")).status == 201
        await acme.authorized("manual.test")
        assert (await acme.create("manual.test")).status == 201
    first = await sql.fetchval("select certificate from vault.certificates where subject = 'r.test'")
    manual = await sql.fetchval("select certificate from vault.certificates where subject = 'manual.test'")
    await _age(sql, "r.test")
    await _age(sql, "manual.test")
    vault_neighbours.audit.events.clear()
    async with serve(certificate_renewal_seconds=0.2) as acme, serve(certificate_renewal_seconds=0.2):

        async def renewed() -> bool:
            row = await sql.fetchrow("select * from vault.certificates where subject = 'r.test'")
            return row["certificate"] != first and ("renew", "r.test") in vault_neighbours.audit.seen()

        await eventually(renewed)
        await _quiet(sql)
        assert "renewal_error" not in (await acme.get("r.test")).body
    assert vault_neighbours.audit.seen().count(("renew", "r.test")) == 1
    ((kind, severity, message),) = vault_neighbours.grid_events.seen()
    assert (kind, severity) == ("certificate:renew", 1)
    assert message.startswith("certificate r.test was renewed, valid until 20")
    assert await sql.fetchval("select certificate from vault.certificates where subject = 'manual.test'") == manual


async def _quiet(sql: Any) -> None:
    async def delivered() -> bool:
        return await sql.fetchval("select count(*) from vault.outbox") == 0

    await eventually(delivered)


async def test_a_failing_renewal_is_shown_and_backs_off(serve: Serve, sql: Any, vault_neighbours: Neighbours) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.http01("ok.test", "bad.test")
        for domain in ("ok.test", "bad.test"):
            assert (await acme.create(domain)).status == 201
            await _age(sql, domain)
    ok = await sql.fetchval("select certificate from vault.certificates where subject = 'ok.test'")
    await sql.execute(
        "update vault.authorizations set linked_service = 'null/gone', state = 'error' where domain = 'bad.test'"
    )
    async with serve(certificate_renewal_seconds=0.2) as acme:

        async def told() -> Any:
            body = (await acme.get("bad.test")).body
            return body if body.get("renewal_error") else None

        shown: Any = await eventually(told)
        assert "Linked service not found: null/gone" in shown["renewal_error"]
        wait = datetime.fromisoformat(shown["next_renewal_at"]) - datetime.now(UTC)
        assert 3500 < wait.total_seconds() < 4000

        async def other_one() -> bool:
            return await sql.fetchval("select certificate from vault.certificates where subject = 'ok.test'") != ok

        await eventually(other_one)

        async def audited() -> bool:
            return ("renew_failed", "bad.test") in vault_neighbours.audit.seen()

        await eventually(audited)
        text = "certificate bad.test is not renewed: linked_service: Linked service not found: null/gone"

        async def told_people() -> bool:
            return [one for one in vault_neighbours.grid_events.seen() if one[1] == 3] == [
                ("certificate:renew", 3, text)
            ]

        await eventually(told_people)
    assert await sql.fetchval("select renewal_failures from vault.certificates where subject = 'bad.test'") == 1


async def test_a_renewal_at_a_server_that_reuses_nothing_publishes_new_challenges(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, vault_url: str, sql: Any, tmp_path: Path
) -> None:
    async with pebble(tmp_path / "ca", PEBBLE_AUTHZREUSE="0") as ca:
        serve = server(vault_settings, ca, vault_neighbours)
        async with serve() as acme:
            await acme.register()
            await acme.http01("n.test")
            assert (await acme.create("n.test")).status == 201
        first = await sql.fetchval("select certificate from vault.certificates")
        await _age(sql, "n.test")
        publisher = asyncio.create_task(_publish(ca, vault_url))
        async with serve(certificate_renewal_seconds=0.2):

            async def renewed() -> bool:
                return await sql.fetchval("select certificate from vault.certificates") != first

            async def published_anew() -> bool:
                # Whatever it is told, pebble reuses one authorization in a hundred: then another renewal is needed.
                if await renewed() and len(vault_neighbours.deploy.deployed) == 1:
                    await _age(sql, "n.test")
                return len(vault_neighbours.deploy.deployed) == 2

            try:
                await eventually(published_anew, within=60)
                await eventually(renewed, within=60)
            finally:
                publisher.cancel()


async def _publish(ca: Pebble, url: str) -> None:
    """What the linked service does: serve the challenge it was deployed with."""
    connection = await asyncpg.connect(url)
    try:
        while True:
            for row in await connection.fetch("select challenge from vault.authorizations"):
                challenge = json.loads(row["challenge"])
                await ca.add_http01(challenge["token"], challenge["content"])
            await asyncio.sleep(0.02)
    finally:
        await connection.close()
