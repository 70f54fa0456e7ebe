"""OAuthService."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody

from kontena.auth.v1.oauth_pb2_grpc import OAuthServiceServicer
from services.auth_svc.convert import oauth as convert
from services.auth_svc.convert.access_tokens import issued_to_proto
from services.auth_svc.domain import parameters
from services.auth_svc.usecases.oauth import OAuth
from services.kernel import call


class OAuthServicer(OAuthServiceServicer):
    """Bodies in and out are raw; answers with a value are not to be cached (RFC 6749 section 5.1)."""

    def __init__(self, oauth: OAuth, server_name: str) -> None:
        self._oauth = oauth
        self._server_name = server_name

    async def ExchangeToken(self, request: HttpBody, context: Any) -> HttpBody:
        given = parameters.parse(request.content_type, request.data)
        token = issued_to_proto(await self._oauth.exchange(given), self._server_name)
        _forbid_caching()
        accept = str(dict(context.invocation_metadata()).get("accept", ""))
        if convert.answers_json(request.content_type, accept):
            return convert.json_body(token)
        return convert.form_body(token, given.text("state"))

    async def Authorize(self, request: HttpBody, context: Any) -> HttpBody:
        given = parameters.parse(request.content_type, request.data)
        issued = await self._oauth.authorize(call.principal(), given)
        _forbid_caching()
        call.reply_created()
        return convert.json_body(issued_to_proto(issued, self._server_name))


def _forbid_caching() -> None:
    call.current().reply_headers |= {"cache-control": "no-store", "pragma": "no-cache"}
