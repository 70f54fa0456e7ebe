from collections.abc import Callable

import pytest

from tests.integration.vault_svc.caller import Caller
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.statements import prepared_of, statements_of

Callers = Callable[[str | None], Caller]

PEM = "-----BEGIN PRIVATE KEY-----\r\nMIIé ✓ \t \n-----END PRIVATE KEY-----\n\n"


async def test_create_list_read_update_delete(member: Caller) -> None:
    created = await member.create("SECRET_PWD", "T0Ps3crT")
    assert created.status == 201
    assert (created.body.id, created.body.name, created.body.value) == ("alpha/SECRET_PWD", "SECRET_PWD", "T0Ps3crT")
    assert created.body.created_at == created.body.updated_at
    assert list(created.body.services) == []

    listed = (await member.of_grid()).body.secrets
    assert [(secret.id, secret.HasField("value")) for secret in listed] == [("alpha/SECRET_PWD", False)]
    assert listed[0].updated_at == created.body.updated_at

    read = await member.read("alpha/SECRET_PWD")
    assert (read.status, read.body) == (200, created.body)

    updated = await member.update("alpha/SECRET_PWD", "other")
    assert (updated.status, updated.body.value) == (200, "other")
    assert updated.body.created_at == created.body.created_at
    assert updated.body.updated_at.ToDatetime() > created.body.updated_at.ToDatetime()

    assert (await member.delete("alpha/SECRET_PWD")).status == 200
    gone = await member.read("alpha/SECRET_PWD")
    assert (gone.status, gone.body) == (404, {"error": "Not found"})


@pytest.mark.parametrize("value", [PEM, " x ", "\u0001", "x" * 131_071, "\U0001f511\u2028", "=," * 5])
async def test_values_are_kept_byte_for_byte(member: Caller, value: str) -> None:
    assert (await member.create("EXACT", value)).body.value == value
    assert (await member.read("alpha/EXACT")).body.value == value
    assert (await member.update("alpha/EXACT", value + "\n")).body.value == value + "\n"
    assert (await member.read("alpha/EXACT")).body.value == value + "\n"


async def test_the_list_is_sorted_by_name_and_of_one_grid(member: Caller) -> None:
    for name in ("b", "B", "a_", "a-", "9", "_"):
        await member.create(name, "v")
    await member.create("elsewhere", "v", grid="beta")
    assert [secret.name for secret in (await member.of_grid()).body.secrets] == ["9", "B", "_", "a-", "a_", "b"]
    assert [secret.name for secret in (await member.of_grid("beta")).body.secrets] == ["elsewhere"]


@pytest.mark.parametrize(
    ("name", "value", "errors"),
    [
        (None, "v", {"name": "Name is required"}),
        ("", "v", {"name": "Name can't be blank"}),
        ("-x", "v", {"name": "Name isn't in the right format"}),
        ("a/b", "v", {"name": "Name isn't in the right format"}),
        ("a.b", "v", {"name": "Name isn't in the right format"}),
        ("a\nb", "v", {"name": "Name isn't in the right format"}),
        ("a\0b", "v", {"name": "Name isn't in the right format"}),
        ("x" * 256, "v", {"name": "Name is too long"}),
        ("N", None, {"value": "Value is required"}),
        ("N", "", {"value": "Value can't be blank"}),
        ("N", " \n\t", {"value": "Value can't be blank"}),
        ("N", "a\0", {"value": "Value is invalid"}),
        ("N", "x" * 131_073, {"value": "Value is too long"}),
        (None, None, {"name": "Name is required", "value": "Value is required"}),
    ],
)
async def test_refused_creations(member: Caller, name: str | None, value: str | None, errors: object) -> None:
    refused = await member.create(name, value)
    assert (refused.status, refused.body) == (422, {"error": errors})
    assert list((await member.of_grid()).body.secrets) == []


async def test_a_taken_name_is_refused_and_names_are_case_sensitive(member: Caller) -> None:
    await member.create("NAME", "first")
    taken = await member.create(" NAME ", "second")
    assert (taken.status, taken.body) == (422, {"error": {"name": "is already taken"}})
    assert (await member.create("name", "second")).status == 201
    assert (await member.create("NAME", "second", grid="beta")).status == 201
    assert (await member.read("alpha/NAME")).body.value == "first"


@pytest.mark.parametrize("put", ["update", "put_in_grid"])
async def test_upsert_creates_then_updates(member: Caller, put: str) -> None:
    async def change(value: str, *, upsert: bool) -> tuple[int, object]:
        if put == "update":
            found = await member.update("alpha/NAME", value, upsert=upsert)
        else:
            found = await member.put_in_grid("NAME", value, upsert=upsert)
        return found.status, found.body.value if found.status < 300 else found.body

    assert await change("one", upsert=False) == (404, {"error": "Not found"})
    assert await change("one", upsert=True) == (201, "one")
    assert await change("two", upsert=True) == (200, "two")
    assert await change("three", upsert=False) == (200, "three")


@pytest.mark.parametrize("upsert", [True, False])
async def test_refused_updates(member: Caller, upsert: bool) -> None:
    await member.create("NAME", "v")
    for value, message in (
        (None, "Value is required"),
        (" ", "Value can't be blank"),
        ("\0", "Value is invalid"),
        ("x" * 131_073, "Value is too long"),
    ):
        for path in ("alpha/NAME", "alpha/NEW") if upsert else ("alpha/NAME",):
            refused = await member.update(path, value, upsert=upsert)
            assert (refused.status, refused.body) == (422, {"error": {"value": message}})
    mismatch = await member.update("alpha/NAME", "w", name="OTHER", upsert=upsert)
    assert mismatch.body == {"error": {"name": "Name does not match the secret in the path"}}
    assert (await member.update("alpha/NAME", "w", name="NAME", upsert=upsert)).status == 200
    assert [secret.name for secret in (await member.of_grid()).body.secrets] == ["NAME"]


@pytest.mark.parametrize("name", ["-x", "a.b", "a%2Fb", " a", "a\0b"])
async def test_an_upsert_obeys_the_name_rule(member: Caller, name: str) -> None:
    refused = await member.update(f"alpha/{name}", "v", upsert=True)
    assert (refused.status, refused.body) == (422, {"error": {"name": "Name isn't in the right format"}})


@pytest.mark.parametrize("secret_id", ["alpha/none", "alpha/a.b", "alpha/", "alpha/a\0b", "alpha/a/b", "alpha"])
async def test_unknown_secrets_are_not_found(member: Caller, secret_id: str) -> None:
    for found in (await member.read(secret_id), await member.delete(secret_id), await member.update(secret_id, "v")):
        assert (found.status, found.body) == (404, {"error": "Not found"})


async def test_an_unchanged_value_writes_nothing(member: Caller, vault_neighbours: Neighbours) -> None:
    created = await member.create("NAME", "same")
    same = await member.update("alpha/NAME", "same", upsert=True)
    assert (same.status, same.body) == (200, created.body)
    await member.update("alpha/NAME", "same\n")

    async def delivered() -> bool:
        return len(vault_neighbours.audit.events) == 2

    await eventually(delivered)
    assert vault_neighbours.audit.seen() == [("create", "NAME"), ("update", "NAME")]


async def test_every_mutation_and_read_is_audited_without_values(member: Caller, vault_neighbours: Neighbours) -> None:
    await member.of_grid()
    await member.update("alpha/NAME", "hunter2-a", upsert=True)
    await member.read("alpha/NAME")
    await member.read("alpha/missing")
    await member.update("alpha/NAME", "hunter2-b")
    await member.delete("alpha/NAME")

    async def delivered() -> bool:
        return [event for event, _ in vault_neighbours.audit.seen()] == ["create", "show", "update", "delete"]

    await eventually(delivered)
    event = next(iter(vault_neighbours.audit.events.values()))
    assert (event.resource_type, event.resource_name, event.grid) == ("GridSecret", "NAME", "alpha")
    assert len({event.resource_id for event in vault_neighbours.audit.events.values()} - {""}) == 1
    assert event.user_email == "member@example.test"
    assert "hunter2" not in str(vault_neighbours.audit.events)


@pytest.mark.parametrize("token", [None, "unknown", "expired"])
async def test_without_a_good_token_401(callers: Callers, token: str | None) -> None:
    caller = callers(token)
    for found in (await caller.of_grid(), await caller.create("N", "v"), await caller.read("alpha/N")):
        assert found.status == 401
        assert found.body["error"] == "invalid_token"
        assert found.headers["www-authenticate"].startswith('Bearer realm="kontena_master"')


async def test_a_stranger_learns_nothing(callers: Callers, member: Caller) -> None:
    await member.create("THERE", "v")
    stranger = callers("stranger")
    for name in ("THERE", "MISSING", "a.b"):
        for found in (
            await stranger.read(f"alpha/{name}"),
            await stranger.update(f"alpha/{name}", "w", upsert=True),
            await stranger.delete(f"alpha/{name}"),
            await stranger.put_in_grid(name, None),
            await stranger.create(name, None),
            await stranger.of_grid(),
        ):
            assert (found.status, found.body) == (403, {"error": "Access denied"})


async def test_an_unknown_grid_is_404_for_everyone(callers: Callers) -> None:
    for token in ("member", "stranger", "admin", "viewer"):
        caller = callers(token)
        for found in (await caller.of_grid("none"), await caller.read("none/N"), await caller.create("", "", "none")):
            assert (found.status, found.body) == (404, {"error": "Not found"})


async def test_a_viewer_sees_names_and_no_value_and_changes_nothing(callers: Callers, member: Caller) -> None:
    await member.create("NAME", "v")
    viewer = callers("viewer")
    # Whether there is such a secret or not: a viewer is told why, and no more.
    for name in ("NAME", "NONE"):
        hidden = await viewer.read(f"alpha/{name}")
        assert hidden.status == 403
        assert "role viewer" in hidden.body["error"]
    assert len((await viewer.of_grid()).body.secrets) == 1
    for found in (
        await viewer.create("OTHER", "v"),
        await viewer.update("alpha/NAME", "w"),
        await viewer.put_in_grid("NAME", "w"),
        await viewer.delete("alpha/NAME"),
    ):
        assert found.status == 403


async def test_a_master_admin_needs_no_membership(callers: Callers) -> None:
    admin = callers("admin")
    assert (await admin.create("NAME", "v")).status == 201
    assert (await admin.read("alpha/NAME")).body.value == "v"


async def test_answers_with_a_value_are_not_to_be_stored(member: Caller) -> None:
    for found in (
        await member.create("NAME", "v"),
        await member.read("alpha/NAME"),
        await member.update("alpha/NAME", "w"),
        await member.put_in_grid("NAME", "x"),
    ):
        assert found.headers["cache-control"] == "no-store"


async def test_a_list_takes_two_queries_whatever_its_length(member: Caller) -> None:
    for number in range(6):
        await member.create(f"N{number}", "v")
        with statements_of("ListSecrets") as statements, prepared_of("ListSecrets") as prepared:
            assert len((await member.of_grid()).body.secrets) == number + 1
        assert (len(prepared), len(statements)) == (1, 1), "which secrets, and what was not shown before"
        assert not any("sealed" in found for found in (*prepared, *statements))


async def test_a_secret_is_written_and_read_with_few_statements(member: Caller) -> None:
    await member.create("FIRST", "v")
    with statements_of("CreateSecret") as written:
        await member.create("NAME", "v")
    assert len(written) == 1, "the secret with its audit event; what the grid holds is known for a while"
    with statements_of("UpdateSecret") as changed:
        await member.update("alpha/NAME", "w")
    assert [text.split()[0] for text in changed] == ["begin", "SELECT", "WITH", "commit"]
    await member.of_grid()
    with statements_of("ListSecrets") as listed:
        await member.of_grid()
    assert listed == [], "which secrets is a statement that is prepared; what is shown of them is kept"
    with statements_of("GetSecret") as read, prepared_of("GetSecret") as prepared:
        await member.read("alpha/NAME")
    assert (len(prepared), read) == (1, []), "the secret with the audit event of its read"
