import json
from typing import TypeVar

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.kernel.errors import (
    DomainError,
    InvalidRequest,
    NotFound,
    OAuthError,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from services.kernel.interceptor import status_metadata, to_domain_error

M = TypeVar("M", bound=Message)


def test_validation_errors_keep_the_field_map_as_the_body() -> None:
    metadata = dict(status_metadata(ValidationFailed({"name": "Name is too short", "env": [None, "bad"]})))
    assert metadata["x-http-status"] == "422"
    assert json.loads(metadata["x-error-json"]) == {"error": {"name": "Name is too short", "env": [None, "bad"]}}


def details(error: DomainError, message: M) -> M | None:
    """The detail of that type that gRPC callers get."""
    status = status_pb2.Status.FromString(bytes(dict(status_metadata(error))["grpc-status-details-bin"]))  # type: ignore[arg-type]
    return next((message for detail in status.details if detail.Unpack(message)), None)


def test_wrong_fields_are_told_to_grpc_callers() -> None:
    errors = {"name": "Name is too short", "env": [None, "bad"], "deploy_opts": {"min_health": "is too big"}}
    bad = details(ValidationFailed(errors), error_details_pb2.BadRequest())
    assert bad is not None
    assert {item.field: item.description for item in bad.field_violations} == {
        "name": "Name is too short", "env[1]": "bad", "deploy_opts.min_health": "is too big",
    }  # fmt: skip
    bad = details(InvalidRequest("from is no id", field="from"), error_details_pb2.BadRequest())
    assert bad is not None
    assert [item.field for item in bad.field_violations] == ["from"]
    assert details(InvalidRequest("what?"), error_details_pb2.BadRequest()) is None


def test_many_wrong_fields_fit_into_metadata() -> None:
    metadata = status_metadata(ValidationFailed({f"field_{number}": "x" * 500 for number in range(1000)}))
    assert sum(len(name) + len(value) * 4 / 3 for name, value in metadata) < 8192


def test_unauthenticated_carries_the_rfc_6750_challenge() -> None:
    metadata = dict(status_metadata(Unauthenticated("Token expired")))
    assert metadata["x-http-status"] == "401"
    assert 'error_description="Token expired"' in str(metadata["www-authenticate"])


def test_what_may_succeed_later_says_when() -> None:
    metadata = dict(status_metadata(Unavailable("m")))
    assert metadata["retry-after"] == "1"
    status = status_pb2.Status.FromString(bytes(metadata["grpc-status-details-bin"]))  # type: ignore[arg-type]
    retry = error_details_pb2.RetryInfo()
    assert [detail.Unpack(retry) for detail in status.details] == [False, True]
    assert retry.retry_delay.ToSeconds() == 1
    assert "retry-after" not in dict(status_metadata(NotFound()))


def test_oauth_errors_use_the_rfc_6749_body() -> None:
    assert OAuthError(400, "invalid_grant", "code").body() == {"error": "invalid_grant", "error_description": "code"}


def test_unknown_exceptions_have_no_public_meaning() -> None:
    assert to_domain_error(ValueError("secret")) is None
    assert to_domain_error(NotFound()) is not None
