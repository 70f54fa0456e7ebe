import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.render import write
from gateway.settings import Endpoint, GatewaySettings, parse_endpoints

README = (Path(__file__).parents[3] / "gateway" / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("a:1", (Endpoint("a", 1),)),
        (" grid-0.grid:7402 , 10.0.0.1:7402,", (Endpoint("grid-0.grid", 7402), Endpoint("10.0.0.1", 7402))),
        ("[::1]:7402", (Endpoint("::1", 7402),)),
        ("", ()),
    ],
)
def test_endpoints_are_read(text: str, endpoints: object) -> None:
    assert parse_endpoints(text) == endpoints


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:b", "a:0", "a:65536", "a:1,b"])
def test_wrong_endpoints_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_endpoints(text)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "80")
    monkeypatch.setenv("GATEWAY_GRID_ADDRESSES", "a:1,b:2")
    monkeypatch.setenv("GATEWAY_RATE_LIMIT_EXEMPT", "10.0.0.1, ::1")
    settings = GatewaySettings()
    assert settings.port == 80
    assert settings.upstreams["grid"] == (Endpoint("a", 1), Endpoint("b", 2))
    assert settings.rate_limit_exempt == ("10.0.0.1", "::1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRID_ADDRESSES", ""),
        ("PORT", "0"),
        ("TLS_CERT_FILE", "/cert.pem"),
        ("CONNECTION_LIMIT", "0"),
    ],
)
def test_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"GATEWAY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        GatewaySettings()


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"`GATEWAY_(\w+)`", README))
    assert documented == {name.upper() for name in GatewaySettings.model_fields}


@pytest.mark.parametrize("number", [0, 1], ids=["compose", "kubernetes"])
def test_examples_of_the_readme_are_good_settings(monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[number]
    for name, value in re.findall(r"(GATEWAY_\w+): (.*)", example):
        monkeypatch.setenv(name, value.strip('"'))
    settings = GatewaySettings()
    assert settings.tls
    assert all(endpoint.port == 7400 for upstream in settings.upstreams.values() for endpoint in upstream)
    write(settings, tmp_path / "envoy.json")
