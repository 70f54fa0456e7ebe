"""The document made from the protos has exactly the routes that are written down by hand."""

import pytest

from tests.support.api_document import OPERATIONS
from tests.support.routes import ROUTES, Route


def test_no_route_is_missing_and_none_is_new() -> None:
    assert sorted((route.verb, route.path) for route in ROUTES) == sorted(OPERATIONS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.path}")
def test_the_document_says_what_the_table_says(route: Route) -> None:
    operation = OPERATIONS[route.verb, route.path]
    assert ("open" if operation["security"] == [] else "token") == route.auth
    described = operation["responses"][str(route.status)]
    if route.status >= 400:
        assert not [status for status in operation["responses"] if status < "400"], "it never succeeds"
    else:
        assert (route.content_type in described.get("content", {})) != (route.status == 302)
