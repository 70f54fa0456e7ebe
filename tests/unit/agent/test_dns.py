"""DNS names of containers: MH-50, MH-51."""

from typing import Any

import pytest

from agent.domain.dns import names


def found(**changed: Any) -> list[str]:
    fields = {
        "hostname": "web-1",
        "service": "web",
        "domain": "shop.g.kontena.local",
        "grid": "g",
        "stack": "shop",
        "exposed": False,
    }
    return names(**{**fields, **changed})


def test_a_service_of_the_default_stack() -> None:
    assert found(domain="g.kontena.local", stack="null") == [
        "web.g.kontena.local",
        "web-1.g.kontena.local",
        "web-1.kontena.local",
        "web.kontena.local",
    ]


def test_a_service_of_a_stack() -> None:
    assert found() == ["web.shop.g.kontena.local", "web-1.shop.g.kontena.local"]


def test_the_exposed_service_answers_for_its_stack() -> None:
    assert found(exposed=True)[2:] == ["shop.g.kontena.local", "shop-1.g.kontena.local"]


def test_the_default_stack_is_never_exposed() -> None:
    assert "null.g.kontena.local" not in found(domain="g.kontena.local", stack="null", exposed=True)


def test_without_a_domain_the_grid_is_the_domain() -> None:
    assert found(domain="", stack="null") == found(domain="g.kontena.local", stack="null")


@pytest.mark.parametrize("changed", [{"hostname": ""}, {"service": ""}])
def test_what_has_no_name_has_no_dns_name(changed: dict[str, str]) -> None:
    assert found(**changed) == []
