from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.vault_svc.domain.acme import AcmeProblem, Challenge, refusal
from services.vault_svc.domain.authorization import Authorization, status, variable_name
from services.vault_svc.domain.domain_name import normalize
from services.vault_svc.domain.renewal import pause

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON, PAST = NOW + timedelta(days=1), NOW - timedelta(days=1)
ONE = Authorization(
    id="1" * 24,
    grid_id="a" * 24,
    domain="x-1.test",
    type="http-01",
    state="created",
    directory="",
    url="",
    order_url="",
    challenge=Challenge("http-01", "Tok_en-1", "", "pending", "Tok_en-1.print"),
    thumbprint="",
    linked_service="null/lb",
    deploy_id="d",
    expires_at=SOON,
)


@pytest.mark.parametrize(
    ("state", "deploy", "expires_at", "shown"),
    [
        ("created", "created", SOON, "deploying"),
        ("requested", "ongoing", None, "deploying"),
        ("validated", "ongoing", SOON, "validated"),
        ("created", "ongoing", PAST, "expired"),
        ("created", "error", SOON, "deploy_error"),
        ("created", "error", PAST, "deploy_error"),
        ("validated", "success", PAST, "expired"),
        ("created", "success", SOON, "created"),
        ("requested", None, SOON, "requested"),
        ("error", "success", None, "error"),
    ],
)
def test_the_first_status_that_matches_wins(
    state: str, deploy: str | None, expires_at: datetime | None, shown: str
) -> None:
    one = replace(ONE, state=state, expires_at=expires_at)  # type: ignore[arg-type]
    assert status(one, deploy, NOW) == shown


def test_names_of_the_variables_of_a_challenge() -> None:
    assert variable_name(ONE) == "ACME_CHALLENGE_Tok_en-1"
    assert variable_name(replace(ONE, type="tls-alpn-01")) == "ACME_ALPN_x_1_test"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Foo.Domain.COM", "foo.domain.com"),
        ("*.a.test", "*.a.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("a" * 63 + ".test", "a" * 63 + ".test"),
        ("a" * 64 + ".test", None),
        ("*.*.a.test", None),
        ("a.*.test", None),
        ("-a.test", None),
        ("a_b.test", None),
        ("10.0.0.1", None),
        ("a..test", None),
        ("a.test.", None),
        ("a b.test", None),
        (".".join(["a" * 60] * 5), None),
        ("", None),
    ],
)
def test_what_a_domain_is(text: str, name: str | None) -> None:
    assert normalize(text) == name


@pytest.mark.parametrize(
    ("code", "registering", "attribute"),
    [
        ("invalidContact", False, "acme"),
        ("malformed", True, "acme"),
        ("rejectedIdentifier", False, "acme_client"),
        ("accountDoesNotExist", False, "acme_client"),
        ("serverInternal", False, "acme_client"),
    ],
)
def test_problems_of_the_authority_have_an_attribute(code: str, registering: bool, attribute: str) -> None:
    refused = refusal(AcmeProblem(code, "detail", None, ("x.test: why",)), registering=registering)
    assert list(refused.errors) == [attribute]
    if code != "accountDoesNotExist":
        assert refused.errors[attribute] == "detail; x.test: why"


def test_a_rate_limit_says_when_to_come_back() -> None:
    assert refusal(AcmeProblem("rateLimited", "slowly", "120")).headers() == {"retry-after": "120"}


def test_failed_renewals_wait_longer_each_time_but_at_most_a_day() -> None:
    waits = [pause(failures, 0.0).total_seconds() / 3600 for failures in range(8)]
    assert waits == [1, 2, 4, 8, 16, 24, 24, 24]
    assert pause(0, 1.0) == timedelta(hours=1.1)
