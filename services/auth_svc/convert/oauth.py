"""Bodies of the OAuth2 endpoints."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from kontena.auth.v1 import access_token_pb2 as pb
from services.auth_svc.domain.invitation import Invitation
from services.auth_svc.domain.parameters import is_json, parse

_LONGEST_COOKIES = 16384
_JSON_RANGES = ("application/json", "application/*", "*/*")


def answers_json(content_type: str, accept: str) -> bool:
    """Whether to answer JSON: yes, unless the client sent something else and accepts something else only."""
    if is_json(content_type) or not accept.strip():
        return True
    ranges = [part.split(";", 1)[0].strip().lower() for part in accept.split(",")]
    return any(name in _JSON_RANGES or name.endswith("+json") for name in ranges)


def json_body(token: pb.AccessToken) -> HttpBody:
    """The same JSON that the gateway makes of an AccessToken."""
    document = MessageToDict(token, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return HttpBody(content_type="application/json", data=json.dumps(document).encode())


def form_body(token: pb.AccessToken, state: str | None) -> HttpBody:
    """The answer of the token endpoint for clients that do not speak JSON."""
    fields = {
        "state": state,
        "access_token": token.access_token,
        "refresh_token": token.refresh_token or None,
        "expires_in": str(token.expires_in) if token.HasField("expires_in") else None,
        "username": token.user.name or token.user.email,
        "server_name": token.server.name or None,
    }
    data = urlencode({name: value for name, value in fields.items() if value is not None})
    return HttpBody(content_type="application/x-www-form-urlencoded", data=data.encode())


def invitation_body(invitation: Invitation) -> HttpBody:
    """An invitation with its code."""
    document = {"email": invitation.email, "invite_code": invitation.code, "link": invitation.link}
    return HttpBody(content_type="application/json", data=json.dumps(document).encode())


def cookies(header: str) -> dict[str, str]:
    """The cookies of a request by name; the first of a name counts, as it has the longest path."""
    pairs = (part.strip().partition("=") for part in header[:_LONGEST_COOKIES].split(";"))
    found: dict[str, str] = {}
    for name, _, value in pairs:
        found.setdefault(name, value)
    return found


def query_or_form(request: Message, form: HttpBody) -> Callable[[str], str]:
    """Looks parameters up in the query, then in the body; a missing one is empty. Raises OAuthError."""
    fields = parse(form.content_type, form.data) if form.data.strip() else None

    def given(name: str) -> str:
        return getattr(request, name) or (fields.text(name) if fields else None) or ""

    return given
