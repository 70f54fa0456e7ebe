"""The steps of a login, as a browser and a person take them."""

from urllib.parse import parse_qs, urlsplit

from tests.integration.auth_svc.auth_client import AuthClient, Reply

CARL = {"id": 7, "login": "carl", "emails": ["carl@x.org", "other@x.org"], "email_verified": True}


def state_of(reply: Reply) -> str:
    assert reply.status == 302, reply.data
    return parse_qs(urlsplit(reply.headers["location"]).query)["state"][0]


def cookie_of(reply: Reply) -> str:
    """What the browser sends back."""
    return reply.headers["set-cookie"].partition(";")[0]


async def log_in(client: AuthClient, **parameters: str) -> Reply:
    begun = await client.begin_login(**{"redirect_uri": "/code", **parameters})
    return await client.end_login(state=state_of(begun), code="from-the-provider", cookie=cookie_of(begun))


async def token_of(client: AuthClient, reply: Reply) -> str:
    assert reply.status == 302, reply.data
    code = parse_qs(reply.headers["location"].partition("#")[2])["code"][0]
    return str((await client.redeem(code)).json["access_token"])
