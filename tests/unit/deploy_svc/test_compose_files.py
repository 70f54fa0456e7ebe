"""Secrets and configs of compose files."""

from services.deploy_svc.domain.stack_source import Converted
from tests.support.stack_sources import convert

FILE = """
name: shop
services:
  web:
    image: nginx
    configs:
      - nginx
      - {source: motd, target: /etc/motd, mode: 0440, uid: "33", gid: "33"}
      - shared
    secrets:
      - key
      - {source: token, target: api-token, mode: 0o400, uid: "1000"}
configs:
  nginx: {file: ./nginx.conf}
  motd: {content: "hello ${WHO}"}
  shared: {external: true, name: shared.conf}
  unused: {content: x}
secrets:
  key: {file: tls/key.pem}
  token: {environment: TOKEN}
"""
FILES = {"compose.yaml": FILE, "nginx.conf": "events {}", "tls/key.pem": "a private key"}


def made(files: dict[str, str] = FILES) -> Converted:
    outcome = convert(files, variables={"WHO": "you", "TOKEN": "a secret token"})
    assert outcome.errors == {}
    assert outcome.made is not None
    return outcome.made


def test_they_become_files_of_the_service() -> None:
    (web,) = made().document["services"]
    assert web["configs"] == [
        {"config": "shop-nginx", "path": "/nginx"},
        {"config": "shop-motd", "path": "/etc/motd", "uid": 33, "gid": 33, "mode": "0440"},
        {"config": "shared.conf", "path": "/shared"},
    ]
    assert web["secrets"] == [
        {"secret": "shop-key", "type": "file", "path": "/run/secrets/key"},
        {"secret": "shop-token", "type": "file", "path": "/run/secrets/api-token", "uid": 1000, "mode": "0400"},
    ]


def test_what_has_to_be_written_first_is_told_with_what_the_files_say() -> None:
    result = made()
    assert result.configs == [
        {"name": "shop-nginx", "content": "events {}"},
        {"name": "shop-motd", "content": "hello you"},
        {"name": "shared.conf"},
    ]
    assert result.secrets == [
        {"name": "shop-key", "value": "a private key"},
        {"name": "shop-token", "value": "a secret token"},
    ]


def test_the_stack_keeps_no_secret_and_is_converted_again_without() -> None:
    document = made().document
    assert "events {}" in document["source"]
    assert "private key" not in str(document)
    assert "secret token" not in str(document)
    assert document["variables"] == {"WHO": "you"}
    left = {name: text for name, text in FILES.items() if name != "tls/key.pem"}
    outcome = convert(left, kept={"WHO": "you"})
    assert outcome.made is not None
    assert outcome.made.secrets == [{"name": "shop-key"}, {"name": "shop-token"}]
    assert {warning.path for warning in outcome.warnings} == {"secrets.key", "secrets.token"}
