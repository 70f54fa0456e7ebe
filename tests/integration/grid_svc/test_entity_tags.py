"""ETag and If-Match on grids and nodes: who changes what is not the newest any more is told so, and changes nothing."""

import asyncio

from tests.integration.grid_svc.caller import Answer, Caller


def stale(answer: Answer) -> bool:
    return (answer.status, answer.body) == (412, {"error": "The resource changed since you read it"})


async def test_a_stale_grid_is_neither_changed_nor_deleted(admin: Caller) -> None:
    made = await admin.create_grid({"name": "careful"})
    assert made.headers["etag"] == (await admin.grid("careful")).headers["etag"]
    first = made.headers["etag"]
    changed = await admin.matching(first).update_grid("careful", {"default_affinity": ["label==a"]})
    assert changed.status == 200
    assert changed.headers["etag"] != first
    assert stale(await admin.matching(first).update_grid("careful", {"default_affinity": []}))
    assert stale(await admin.matching(first).delete_grid("careful"))
    assert (await admin.grid("careful")).body["default_affinity"] == ["label==a"]
    assert (await admin.matching("*").update_grid("careful", {"default_affinity": []})).status == 200
    newest = (await admin.grid("careful")).headers["etag"]
    assert (await admin.matching(f'"x", {newest}').delete_grid("careful")).status == 200


async def test_of_two_careful_writers_one_wins(admin: Caller) -> None:
    tag = (await admin.create_grid({"name": "raced"})).headers["etag"]
    careful = admin.matching(tag)
    answers = await asyncio.gather(
        *(careful.update_grid("raced", {"default_affinity": [f"label=={number}"]}) for number in range(5))
    )
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412]


async def test_a_stale_node_is_neither_changed_nor_deleted(admin: Caller) -> None:
    await admin.create_grid({"name": "careful"})
    first = (await admin.create_node("careful", {"name": "n1"})).headers["etag"]
    assert (await admin.node("careful/n1")).headers["etag"] == first
    changed = await admin.matching(first).update_node("careful/n1", {"labels": ["a=b"]})
    assert changed.status == 200
    assert stale(await admin.matching(first).update_node("careful/n1", {"labels": []}))
    assert stale(await admin.matching(first).delete_node("careful/n1"))
    assert (await admin.node("careful/n1")).body["labels"] == ["a=b"]
    assert (await admin.matching(changed.headers["etag"]).delete_node("careful/n1")).status == 200
