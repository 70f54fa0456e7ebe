"""schemathesis over the API document with a real token: no 5xx, and no answer that contradicts the document.

It works in a grid of its own. Left out are calls that would take the suite away from the other tests.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.api_document import DOCUMENT
from tests.support.suite import Api, soon

EXAMPLES = 3
ACME = ("/v1/certificates/", "/v1/domain_authorizations/", "/v1/grids/{grid}/domain_authorizations")
CONFORMANCE = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CONFIG = schemathesis.Config.from_dict({"generation": {"mode": "all"}, "phases": {"coverage": {"enabled": False}}})
SCHEMA = (
    schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
    # The configuration of the server, and the pages of the gateway, which other tests read.
    .exclude(path_regex=r"^/v1/config", method=["PUT", "PATCH", "DELETE"])
    .exclude(tag="Gateway")
)


@pytest.fixture(scope="module")
def grid(api: Api) -> Iterator[str]:
    """A grid without nodes; it goes, with everything that was created here."""
    name = f"fuzz-{uuid.uuid4().hex[:8]}"
    before = {found["name"] for found in api.call("GET", "/v1/grids")["grids"]}
    api.call("POST", "/v1/grids", {"name": name}, status=201)
    yield name
    for found in api.call("GET", "/v1/grids")["grids"]:
        if found["name"] not in before:
            _remove(api, found["name"])


def _remove(api: Api, grid: str) -> None:
    for service in api.call("GET", f"/v1/grids/{grid}/services")["services"]:
        api.request("DELETE", f"/v1/services/{service['id']}")
    soon(lambda: api.request("DELETE", f"/v1/grids/{grid}").status_code in {200, 404}, message=f"{grid} is removed")


def no_fault(ctx: Any, response: Any, case: Any) -> bool | None:
    """501 and 502 of logins without a provider, and 503 where no ACME server answers, are answers."""
    explained = {501, 502} | ({503} if case.operation.path.startswith(ACME) else set())
    return None if response.status_code in explained else not_a_server_error(ctx, response, case)


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_answers_keep_to_the_document(case: schemathesis.Case[Any], api: Api, grid: str) -> None:
    # Most calls should get past the grid; those on the grid itself keep their invented one.
    if "grid" in case.path_parameters and case.operation.path != "/v1/grids/{grid}":
        case.path_parameters["grid"] = grid
    case.query.pop("follow", None)
    response = case.call(
        base_url=api.url, headers={"authorization": f"Bearer {api.token}"}, timeout=60, allow_redirects=False
    )
    case.validate_response(response, checks=[no_fault, *CONFORMANCE])
