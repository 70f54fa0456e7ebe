import pytest

from services.clients.registries import registry_of
from services.vault_svc.domain.registry import name_of


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://registry.domain.com/", "registry.domain.com"),
        ("https://r.io:5000/v2/", "r.io:5000"),
        ("http://r.io:443", "r.io"),
        ("https://r.io:80", "r.io"),
        ("HTTPS://R.io/x?y#z", "r.io"),
        ("https://user:pass@r.io:5000", "r.io:5000"),
        ("https://[2001:db8::1]:5000/", "[2001:db8::1]:5000"),
        ("https://index.docker.io/v2/", "index.docker.io"),
        ("https://", None),
        ("https://:5000", None),
        ("https://r.io:99999", None),
        ("https://[::1", None),
        ("https://r%2f.io", None),
    ],
)
def test_the_name_comes_from_the_url(url: str, name: str | None) -> None:
    assert name_of(url) == name


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("redis", "index.docker.io"),
        ("redis:5", "index.docker.io"),
        ("library/redis", "index.docker.io"),
        ("docker.io/library/redis", "index.docker.io"),
        ("registry-1.docker.io/a/b", "index.docker.io"),
        ("r.io/a/b:1", "r.io"),
        ("r.io:5000/a", "r.io:5000"),
        ("localhost/a", "localhost"),
        ("localhost:5000/a@sha256:0", "localhost:5000"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert registry_of(image) == registry
