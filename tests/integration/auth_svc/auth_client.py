"""A REST-minded caller of auth_svc: bodies in, status and body out, as the gateway would show them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.api.httpbody_pb2 import HttpBody

from kontena.auth.v1 import access_token_pb2, config_pb2, oauth_pb2, user_pb2
from kontena.auth.v1.access_token_pb2_grpc import AccessTokenServiceStub
from kontena.auth.v1.config_pb2_grpc import ConfigServiceStub
from kontena.auth.v1.oauth_pb2_grpc import OAuthServiceStub
from kontena.auth.v1.user_pb2_grpc import UserServiceStub

if TYPE_CHECKING:  # The generated modules have these classes in their stub files only.
    from kontena.auth.v1.access_token_pb2_grpc import AccessTokenServiceAsyncStub
    from kontena.auth.v1.oauth_pb2_grpc import OAuthServiceAsyncStub
    from kontena.auth.v1.user_pb2_grpc import UserServiceAsyncStub

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    data: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.data)
        return parsed


class AuthClient:
    """Calls with the given access token, or without one."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None = None) -> None:
        self._channel = channel
        self._oauth: OAuthServiceAsyncStub = OAuthServiceStub(channel)
        self._tokens: AccessTokenServiceAsyncStub = AccessTokenServiceStub(channel)
        self._users: UserServiceAsyncStub = UserServiceStub(channel)
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    def with_token(self, token: str) -> "AuthClient":
        return AuthClient(self._channel, token)

    async def exchange(self, body: dict[str, Any] | bytes, content_type: str = JSON, accept: str = JSON) -> Reply:
        call = self._oauth.ExchangeToken(_body(body, content_type), metadata=(("accept", accept),))
        return await _raw(call)

    async def redeem(self, code: str) -> Reply:
        return await self.exchange({"grant_type": "authorization_code", "code": code})

    async def refresh(self, refresh_token: str) -> Reply:
        return await self.exchange({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def authorize(self, body: dict[str, Any] | bytes, content_type: str = JSON) -> Reply:
        return await _raw(self._oauth.Authorize(_body(body, content_type), metadata=self._metadata))

    async def begin_login(self, **parameters: str) -> Reply:
        return await _raw(
            self._oauth.Authenticate(oauth_pb2.AuthenticateRequest(**parameters), metadata=self._metadata)
        )

    async def end_login(self, *, cookie: str = "", **parameters: str) -> Reply:
        metadata = (("cookie", cookie),) if cookie else ()
        return await _raw(self._oauth.Callback(oauth_pb2.CallbackRequest(**parameters), metadata=metadata))

    async def invite(self, email: str, **more: str) -> Reply:
        return await self.authorize({"response_type": "invite", "email": email, **more})

    async def call(self, factory: Any, method: str, request: Any) -> Any:
        """Any method of any service of auth_svc."""
        return await getattr(factory(self._channel), method)(request, metadata=self._metadata)

    async def configure(self, values: dict[str, Any]) -> None:
        request = config_pb2.UpdateConfigRequest()
        request.values.update(values)
        await self.call(ConfigServiceStub, "UpdateConfig", request)

    async def user(self) -> user_pb2.User:
        return await self._users.GetCurrentUser(user_pb2.GetCurrentUserRequest(), metadata=self._metadata)

    async def works(self) -> bool:
        """Whether the token is accepted."""
        try:
            await self.user()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise
        return True

    async def tokens(self) -> list[access_token_pb2.AccessToken]:
        request = access_token_pb2.ListAccessTokensRequest()
        return list((await self._tokens.ListAccessTokens(request, metadata=self._metadata)).tokens)

    async def get_token(self, name: str) -> access_token_pb2.AccessToken:
        request = access_token_pb2.GetAccessTokenRequest(id=name)
        return await self._tokens.GetAccessToken(request, metadata=self._metadata)

    async def delete_token(self, name: str) -> None:
        request = access_token_pb2.DeleteAccessTokenRequest(id=name)
        await self._tokens.DeleteAccessToken(request, metadata=self._metadata)


async def refused(call: Any) -> tuple[int, Any]:
    """HTTP status and body of a call that must fail."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        headers = dict(error.trailing_metadata())
        return int(headers["x-http-status"]), json.loads(headers["x-error-json"])
    raise AssertionError("the call succeeded")


def _body(body: dict[str, Any] | bytes, content_type: str) -> HttpBody:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpBody(content_type=content_type, data=data)


async def _raw(call: Any) -> Reply:
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        headers = dict(error.trailing_metadata())
        return Reply(int(headers["x-http-status"]), JSON, headers["x-error-json"].encode(), headers)
    headers = {key: str(value) for key, value in await call.initial_metadata()}
    return Reply(int(headers.get("x-http-status", 200)), answer.content_type, answer.data, headers)
