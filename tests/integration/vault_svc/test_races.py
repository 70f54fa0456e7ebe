import asyncio

import asyncpg
import pytest

from tests.integration.vault_svc.caller import Answer, Caller


def _statuses(answers: list[Answer]) -> list[int]:
    return sorted(found.status for found in answers)


@pytest.mark.parametrize("round_", range(5))
async def test_of_two_upserts_of_a_new_name_one_creates(member: Caller, round_: int) -> None:
    answers = await asyncio.gather(*(member.update("alpha/NEW", f"v{n}", upsert=True) for n in range(2)))
    assert _statuses(answers) == [200, 201]
    last = next(found for found in answers if found.status == 200)
    assert (await member.read("alpha/NEW")).body.value == last.body.value


async def test_of_many_creations_of_a_name_one_wins(member: Caller) -> None:
    answers = await asyncio.gather(*(member.create("NEW", f"v{n}") for n in range(8)))
    assert _statuses(answers) == [201] + [422] * 7
    assert {str(found.body) for found in answers if found.status == 422} == {
        str({"error": {"name": "is already taken"}})
    }


async def test_upserts_updates_and_deletions_at_once_never_fail_inside(member: Caller) -> None:
    async def storm(number: int) -> list[int]:
        calls = (
            member.update("alpha/NAME", f"v{number}", upsert=True),
            member.delete("alpha/NAME"),
            member.update("alpha/NAME", f"w{number}"),
            member.read("alpha/NAME"),
        )
        return [(await call).status for call in calls]

    statuses = {status for found in await asyncio.gather(*map(storm, range(12))) for status in found}
    assert statuses <= {200, 201, 404}


async def test_an_upsert_waits_for_a_creation_that_is_not_committed_yet(member: Caller, vault_url: str) -> None:
    await member.create("OTHER", "v")
    connection = await asyncpg.connect(vault_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "insert into vault.secrets (id, grid_id, name, key_id, sealed)"
        " select repeat('1', 24), grid_id, 'NEW', key_id, sealed from vault.secrets"
    )
    upsert = asyncio.create_task(member.update("alpha/NEW", "mine", upsert=True))
    done, _ = await asyncio.wait({upsert}, timeout=0.3)
    assert not done
    await transaction.commit()
    await connection.close()
    assert ((await upsert).status, (await member.read("alpha/NEW")).body.value) == (200, "mine")
