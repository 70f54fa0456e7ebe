"""The examples of the API page, as one story on the running suite: they answer what the page shows."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.openapi.examples import examples
from tests.e2e.auth_people import email
from tests.e2e.conftest import Authority
from tests.e2e.provider_logins import log_in
from tests.support.api_examples import Story, write
from tests.support.suite import Api, soon

pytestmark = pytest.mark.slow

AUTHORITY: dict[str, str] = {}
GRID, INVITATION, SECRET_CODE, STATE = "my-grid", "98afydaggf", "s8d9f9sd8yfsdy", "s89dfs98dfys8d9fy"


@pytest.fixture
def story(api: Api) -> Iterator[Story]:
    """In a grid of its own, which is gone afterwards, with the configuration as it was."""
    before = api.call("GET", "/v1/config")
    told = Story(api, {GRID: f"my-{uuid.uuid4().hex[:8]}"})
    yield told
    api.call("PUT", "/v1/config", before)
    grid = told.known[GRID]
    if api.request("GET", f"/v1/grids/{grid}").status_code == 200:
        for kind in ("stacks", "services", "nodes"):
            for one in api.call("GET", f"/v1/grids/{grid}/{kind}")[kind]:
                api.request("DELETE", f"/v1/{kind}/{one['id']}")
        soon(lambda: api.request("DELETE", f"/v1/grids/{grid}").is_success, message="nothing is left in the grid")


def nothing_is_in(api: Api, grid: str) -> bool:
    return all(api.call("GET", f"/v1/grids/{grid}/{kind}")[kind] == [] for kind in ("stacks", "services"))


async def test_examples_answer_what_the_page_shows(
    api: Api, authority: Authority, provider: dict[str, str], story: Story
) -> None:
    for example in examples():
        if example.call == "GET /oauth2/authenticate":
            api.call("PATCH", "/v1/config", provider)
            invited = {"response_type": "invite", "email": email("anna"), "external_id": None}
            story.known[INVITATION] = api.call("POST", "/oauth2/authorize", invited, status=201)["invite_code"]
        if example.call == "GET /cb":
            callback = await asyncio.to_thread(
                log_in, api, {"redirect_uri": "/code", "invite_code": story.known[INVITATION]}
            )
            [code], [state] = (parse_qs(urlsplit(callback).query)[name] for name in ("code", "state"))
            story.known |= {SECRET_CODE: code, STATE: state}
        if example.call == "DELETE /v1/grids/{grid}":
            soon(lambda: nothing_is_in(api, story.known[GRID]), message="stacks and services are gone")
        found = await asyncio.to_thread(story.tell, example)
        if example.call == "POST /v1/certificates/{grid}/authorize":
            await authority.ca.set_txt(found["record_fqdn"], found["record_content"])
    api.request("DELETE", f"/v1/users/{email('anna')}")
    if os.environ.get("KONTENA_GOLDEN") == "write":
        write(story.answers)
