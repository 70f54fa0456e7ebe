"""Which names the resolver answers with which addresses."""

from dataclasses import replace

from agent.domain.resolver_names import Endpoint, addresses, hosts_file

OWN, OTHER = "node-1", "node-2"
WEB_1 = Endpoint("i1", "web", "shop", "web-1", "shop.main.kontena.local", True, "10.81.1.2", OWN)
WEB_2 = replace(WEB_1, instance_id="i2", hostname="web-2", address="10.81.2.2", node_id=OTHER)


def answers(*endpoints: Endpoint) -> dict[str, tuple[str, ...]]:
    return addresses(endpoints, "main", "10.81.0.0/16", OWN)


def test_names_lead_to_instances_of_all_nodes() -> None:
    both = ("10.81.1.2", "10.81.2.2")
    assert answers(WEB_1, WEB_2) == {
        "shop-1.main.kontena.local": ("10.81.1.2",),
        "shop-2.main.kontena.local": ("10.81.2.2",),
        "shop.main.kontena.local": both,
        "web-1.shop.main.kontena.local": ("10.81.1.2",),
        "web-2.shop.main.kontena.local": ("10.81.2.2",),
        "web.shop.main.kontena.local": both,
    }


def test_one_on_a_lost_node_is_answered_while_there_is_no_other() -> None:
    lost = replace(WEB_2, lost=True)
    assert answers(WEB_1, lost)["web.shop.main.kontena.local"] == ("10.81.1.2",)
    assert answers(WEB_1, lost)["web-2.shop.main.kontena.local"] == ("10.81.2.2",)
    assert answers(lost)["web.shop.main.kontena.local"] == ("10.81.2.2",)


def test_a_node_knows_that_its_own_instances_are_there() -> None:
    assert answers(replace(WEB_1, lost=True), WEB_2)["web.shop.main.kontena.local"] == ("10.81.1.2", "10.81.2.2")


def test_one_outside_of_the_overlay_is_known_on_its_own_node_only() -> None:
    assert answers(replace(WEB_1, address="172.18.0.2"))["web-1.shop.main.kontena.local"] == ("172.18.0.2",)
    assert answers(replace(WEB_2, address="172.18.0.2")) == {}
    assert answers(replace(WEB_1, address="")) == {}


def test_the_file_of_the_resolver() -> None:
    assert hosts_file({"a.kontena.local": ("10.81.1.2", "10.81.2.2")}) == (
        "10.81.1.2 a.kontena.local\n10.81.2.2 a.kontena.local\n"
    )
