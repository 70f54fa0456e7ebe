"""OAuthService."""

from collections.abc import Mapping

from google.api.httpbody_pb2 import HttpBody

from kontena.auth.v1 import oauth_pb2 as pb
from kontena.auth.v1.oauth_pb2_grpc import OAuthServiceServicer
from services.auth_svc.convert import code_page
from services.auth_svc.convert import oauth as convert
from services.auth_svc.convert.access_tokens import issued_to_proto
from services.auth_svc.domain import authorization, login, parameters
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.invitations import Invitations
from services.auth_svc.usecases.logins import Begun, Logins
from services.auth_svc.usecases.oauth import OAuth
from services.kernel import call
from services.kernel.authn import bearer_token
from services.kernel.errors import Forbidden, Unauthenticated
from services.kernel.methods import Context, texts


class OAuthServicer(OAuthServiceServicer):
    """Bodies in and out are raw; answers with a value are not to be cached (RFC 6749 section 5.1)."""

    def __init__(self, oauth: OAuth, invitations: Invitations, logins: Logins, config: Config) -> None:
        self._oauth = oauth
        self._invitations = invitations
        self._logins = logins
        self._config = config

    async def ExchangeToken(self, request: HttpBody, context: Context) -> HttpBody:
        given = parameters.parse(request.content_type, request.data)
        token = issued_to_proto(await self._oauth.exchange(given), await self._config.server_name())
        _forbid_caching()
        accept = texts(context).get("accept", "")
        if convert.answers_json(request.content_type, accept):
            return convert.json_body(token)
        return convert.form_body(token, given.text("state"))

    async def Authorize(self, request: HttpBody, context: Context) -> HttpBody:
        given = parameters.parse(request.content_type, request.data)
        _forbid_caching()
        call.reply_created()
        if authorization.response_type(given) == "invite":
            return convert.invitation_body(await self._invitations.invite(call.principal(), given))
        issued = await self._oauth.authorize(call.principal(), given)
        return convert.json_body(issued_to_proto(issued, await self._config.server_name()))

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> HttpBody:
        given = convert.query_or_form(request, request.form)
        token = _optional_token(texts(context))
        begun = await self._logins.begin(given("redirect_uri"), given("invite_code"), given("expires_in"), token)
        return _redirect(begun)

    async def Callback(self, request: pb.CallbackRequest, context: Context) -> HttpBody:
        given = convert.query_or_form(request, request.form)
        if given("error"):
            raise login.provider_refusal(given("error"), given("error_description"), given("error_uri"))
        cookies = convert.cookies(texts(context).get("cookie", ""))
        return _redirect(await self._logins.end(given("state"), given("code"), cookies))

    async def GetCodePage(self, request: pb.GetCodePageRequest, context: Context) -> HttpBody:
        call.current().reply_headers |= code_page.HEADERS
        return HttpBody(content_type="text/html; charset=utf-8", data=code_page.PAGE)

    async def LogInWithPassword(self, request: pb.LogInWithPasswordRequest, context: Context) -> HttpBody:
        raise Forbidden(login.no_passwords(call.current().user_agent))


def _redirect(step: Begun) -> HttpBody:
    _forbid_caching()
    call.current().http_status = 302
    # The address holds a state or a code, which no other site is to see.
    call.current().reply_headers |= {
        "location": step.url,
        "set-cookie": step.cookie,
        "referrer-policy": "no-referrer",
    }
    return HttpBody(content_type="text/plain")


def _forbid_caching() -> None:
    call.current().reply_headers |= {"cache-control": "no-store", "pragma": "no-cache"}


def _optional_token(metadata: Mapping[str, str]) -> str | None:
    """What this open method got of a credential; it decides by itself what that is worth."""
    try:
        return bearer_token(metadata)
    except Unauthenticated:
        return None
