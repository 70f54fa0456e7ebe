"""What a token must be to count: of the right kind, of a known service, short-lived, issued in the past."""

import time
from typing import Any

import jwt
import pytest

from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import Unauthenticated
from services.kernel.principal import NodeSession

SECRET = "a-secret-of-more-than-sixteen-characters"
SESSION = NodeSession("g" * 24, "n" * 24, 7)


def forged(**claims: Any) -> str:
    """By somebody who has the secret of the release before, or a service that was taken over."""
    now = int(time.time())
    return jwt.encode({"sub": "grid_svc", "aud": "kontena-service", "iat": now, "exp": now + 300} | claims, SECRET)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("reader", [False, True])
def test_replicas_with_and_without_separate_keys_understand_each_other(*, separate: bool, reader: bool) -> None:
    signing, reading = ClusterTokens(SECRET, separate=separate), ClusterTokens(SECRET, separate=reader)
    assert reading.verify_service(signing.for_service("vault_svc")).service == "vault_svc"
    assert reading.verify_node(signing.for_node(SESSION)).node == SESSION


@pytest.mark.parametrize("separate", [False, True])
def test_one_kind_is_never_the_other(*, separate: bool) -> None:
    tokens = ClusterTokens(SECRET, separate=separate)
    for verify, token in (
        (tokens.verify_node, tokens.for_service("grid_svc")),
        (tokens.verify_service, tokens.for_node(SESSION)),
        (tokens.verify_service, ClusterTokens("another-secret-of-another-cluster-of-theirs").for_service("grid_svc")),
    ):
        with pytest.raises(Unauthenticated):
            verify(token)


def test_the_key_of_nodes_signs_no_service() -> None:
    tokens = ClusterTokens(SECRET, separate=True)
    key = tokens._own["kontena-node"]
    now = int(time.time())
    claims = {"sub": "grid_svc", "aud": "kontena-service", "iat": now, "exp": now + 300}
    with pytest.raises(Unauthenticated):
        tokens.verify_service(jwt.encode(claims, key))


def test_releases_before_say_no_time_of_issue() -> None:
    now = int(time.time())
    old = jwt.encode({"sub": "grid_svc", "aud": "kontena-service", "exp": now + 300}, SECRET)
    assert ClusterTokens(SECRET).verify_service(old).service == "grid_svc"
    eternal = jwt.encode({"sub": "grid_svc", "aud": "kontena-service", "exp": now + 10**8}, SECRET)
    with pytest.raises(Unauthenticated):
        ClusterTokens(SECRET).verify_service(eternal)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) + 10**7},
        {"iat": int(time.time()) + 10**6, "exp": int(time.time()) + 10**6 + 300},
        {"iat": 0},
        {"exp": int(time.time()) - 1},
        {"sub": "stranger_svc"},
        {"sub": ""},
        {"aud": "kontena-node"},
    ],
)
def test_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        ClusterTokens(SECRET).verify_service(forged(**claims))


def test_an_unsigned_token_is_refused() -> None:
    now = int(time.time())
    claims = {"sub": "grid_svc", "aud": "kontena-service", "iat": now, "exp": now + 300}
    with pytest.raises(Unauthenticated):
        ClusterTokens(SECRET).verify_service(jwt.encode(claims, "", "none"))
