import pytest

from services.kernel.addresses import fixed_target, parse, split


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("deploy_svc:7403", "dns:///deploy_svc:7403"),
        ("10.0.0.1:7403", "dns:///10.0.0.1:7403"),
        ("[::1]:7403", "dns:///[::1]:7403"),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[::1]:1,[fd00::2]:2", "ipv6:[::1]:1,[fd00::2]:2"),
        ("[::1]:1,10.0.0.2:2", "ipv6:[::1]:1,[::ffff:10.0.0.2]:2"),
        ("one:1,two:2", None),
        ("one:1,10.0.0.2:2", None),
    ],
)
def test_what_grpc_connects_to(text: str, target: str | None) -> None:
    assert fixed_target(parse(text)) == target


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:99999", "::1:1", "a:1,", ",", "a:1,b"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse(text)


def test_the_brackets_of_an_ipv6_address_belong_to_the_list_only() -> None:
    assert split("[::1]:7403") == ("::1", 7403)
