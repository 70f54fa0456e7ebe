"""Every list of the public API in parts, through the gateway."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from tests.e2e.auth_people import email, people
from tests.support.lists import PAGED, List
from tests.support.suite import Api, Suite, soon

GRID = "paged"
PEOPLE = ("page-a", "page-b", "page-c")
# What nobody gets without an authority that looks for their domains.
CERTIFICATES = """
insert into vault.certificates
  (id, grid_id, subject, alt_names, valid_from, valid_until, certificate, chain, key_id, sealed)
  values ($1, $2, $3, '[]', $4, $4, '', '', '', '')
"""
AUTHORIZATIONS = """
insert into vault.authorizations
  (id, grid_id, domain, type, state, directory, url, order_url, challenge, thumbprint)
  values ($1, $2, $3, 'dns-01', 'created', '', '', '', '{"type": "dns-01", "url": "", "token": "", "status": ""}', '')
"""


@pytest.fixture(scope="module")
def paged(suite: Suite, api: Api, image: str) -> Iterator[dict[str, str]]:
    """At least three of everything; yields what the paths of lists name."""
    api.call("POST", "/v1/grids", {"name": GRID}, status=201)
    for number in range(3):
        plain = {"image": "none", "stateful": False}
        api.call("POST", f"/v1/grids/{GRID}/services", {"name": f"s-{number}", **plain}, status=201)
        document: dict[str, Any] = {"stack": "page/it", "version": "1", "source": "-", "registry": "-"}
        document |= {"services": [{"name": "web", **plain}]}
        api.call("POST", f"/v1/grids/{GRID}/stacks", document | {"name": f"t-{number}"}, status=201)
        api.call("POST", f"/v1/volumes/{GRID}", {"name": f"v-{number}", "driver": "local", "scope": "grid"}, status=201)
        api.call("POST", f"/v1/grids/{GRID}/configs", {"name": f"c-{number}", "content": "paged"}, status=201)
        api.call("POST", f"/v1/grids/{GRID}/nodes", {"name": f"n-{number}"}, status=201)
        api.call("POST", f"/v1/grids/{GRID}/secrets", {"name": f"S_{number}", "value": "paged-value"}, status=201)
        registry = {"username": "bot", "email": "bot@domain.com", "password": "paged-password"}
        path = f"/v1/grids/{GRID}/external_registries"
        api.call("POST", path, registry | {"url": f"https://r{number}.io"}, status=201)
        api.call("POST", "/v1/grids", {"name": f"{GRID}-{number}"}, status=201)
    asyncio.run(_certificates(suite))
    mint = {"response_type": "token", "scope": "user", "expires_in": "900"}
    tokens = [api.call("POST", "/oauth2/authorize", mint, status=201)["id"] for _ in range(3)]
    body = {"name": "pages", "image": image, "stateful": False, "instances": 3, "cmd": ["sleep", "1000"]}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body | {"stop_grace_period": "0s"}, status=201)["id"]
    # Before anything changes: only the first one starts containers.
    for _ in range(3):
        api.deploy(service)
    for turn in range(3):
        api.call("POST", f"/v1/services/{service}/envs", {"env": "A=1"})
        api.call("POST", f"/v1/stacks/{GRID}/t-0/deploy", {})
        api.call("PUT", f"/v1/stacks/{GRID}/t-0", document | {"labels": [f"turn={turn}"]})
    soon(lambda: len(api.call("GET", f"/v1/services/{service}/containers")["containers"]) == 3)
    with people(api, dict.fromkeys(PEOPLE, ())) as users:
        for name in users:
            api.call("POST", f"/v1/grids/{GRID}/users", {"email": email(name)}, status=201)
        yield {"grid": GRID, "service": service, "stack": f"{GRID}/t-0", "busy": api.grid}
    for token in tokens:
        api.call("DELETE", f"/oauth2/tokens/{token}")
    api.call("DELETE", f"/v1/services/{service}")
    asyncio.run(_forgotten(suite))
    for number in range(3):
        api.request("DELETE", f"/v1/services/{GRID}/null/s-{number}")
        api.request("DELETE", f"/v1/stacks/{GRID}/t-{number}")
        api.request("DELETE", f"/v1/secrets/{GRID}/S_{number}")
        api.request("DELETE", f"/v1/nodes/{GRID}/n-{number}")
        api.request("DELETE", f"/v1/volumes/{GRID}/v-{number}")
        api.request("DELETE", f"/v1/configs/{GRID}/c-{number}")
        api.request("DELETE", f"/v1/grids/{GRID}-{number}")
    soon(lambda: api.call("GET", f"/v1/grids/{GRID}/stacks")["stacks"] == [])
    soon(lambda: api.request("DELETE", f"/v1/grids/{GRID}").status_code == 200, message="the grid is gone")


async def _certificates(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.database_url)
    try:
        grid = await connection.fetchval("select id from grid.grids where name = $1", GRID)
        for number in range(3):
            at = (f"{number:024x}", grid, f"d{number}.example.com")
            await connection.execute(CERTIFICATES, *at, datetime(2999, 1, 1, tzinfo=UTC))
            await connection.execute(AUTHORIZATIONS, *at)
    finally:
        await connection.close()


async def _forgotten(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.database_url)
    try:
        await connection.execute("delete from vault.certificates where id < $1", f"{3:024x}")
        await connection.execute("delete from vault.authorizations where id < $1", f"{3:024x}")
    finally:
        await connection.close()


def _walk(api: Api, path: str, members: str, limit: int) -> list[list[dict[str, Any]]]:
    """The parts of a list, one after the other."""
    sign, parts, place = "&" if "?" in path else "?", [], ""
    while True:
        answer = api.call("GET", f"{path}{sign}limit={limit}&from={place}")
        parts.append(answer[members])
        if "next" not in answer:
            return parts
        place = answer["next"]


def _compared(api: Api, path: str, wanted: List) -> bool:
    """Whether nothing came or went while the parts were read, as containers do that a changed service replaces. The
    parts of a list that stayed the same are the list."""

    def read() -> list[str]:
        answer = api.call("GET", path)
        assert answer.keys() == {wanted.members}
        return [item[wanted.key] for item in answer[wanted.members]]

    whole = read()
    assert len(set(whole)) == len(whole) >= 3
    walks = {limit: _walk(api, path, wanted.members, limit) for limit in (1, 2, len(whole), len(whole) + 1)}
    if read() != whole:
        return False
    for limit, parts in walks.items():
        assert [item[wanted.key] for part in parts for item in part] == whole
        assert {len(part) for part in parts[:-1]} <= {limit}
    return True


@pytest.mark.parametrize("rpc", PAGED)
def test_the_parts_of_a_list_are_the_whole_list(api: Api, paged: dict[str, str], rpc: str) -> None:
    wanted: List = PAGED[rpc]
    # Containers are where something runs.
    grid = paged["busy"] if rpc.startswith("ContainerService") else GRID
    path = wanted.path.format(grid=grid, service=paged["service"], stack=paged["stack"])
    soon(lambda: _compared(api, path, wanted), message="the parts are the whole list")
    sign = "&" if "?" in path else "?"
    for wrong, attribute in (("limit=0", "limit"), ("limit=10001", "limit"), ("from=elsewhere", "from")):
        assert list(api.call("GET", f"{path}{sign}{wrong}", status=422)["error"]) == [attribute]


def test_what_goes_away_or_comes_meanwhile_moves_nothing(api: Api, paged: dict[str, str]) -> None:
    path, body = f"/v1/grids/{GRID}/services", {"image": "none", "stateful": False}
    before = [service["id"] for service in api.call("GET", path)["services"]]
    first = api.call("GET", f"{path}?limit=2")
    assert [service["id"] for service in first["services"]] == before[:2]
    gone = api.call("POST", path, {"name": "passing", **body}, status=201)["id"]
    part = api.call("GET", f"{path}?limit=1")
    assert [service["id"] for service in part["services"]] == [gone]
    api.call("DELETE", f"/v1/services/{gone}")
    after = api.call("GET", f"{path}?limit=10000&from={part['next']}")
    assert [service["id"] for service in after["services"]] == before
    rest = api.call("GET", f"{path}?from={first['next']}")
    assert [service["id"] for service in rest["services"]] == before[2:]
