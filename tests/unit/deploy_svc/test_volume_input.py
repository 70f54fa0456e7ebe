"""Which volumes can be made."""

import pytest

from services.deploy_svc.domain.volume import parse
from services.kernel.errors import ValidationFailed


@pytest.mark.parametrize(
    ("name", "scope", "fine"),
    [
        ("data", "grid", True),
        ("v", "grid", False),
        ("_v", "grid", False),
        ("v", "instance", True),
        ("_v", "stack", True),
    ],
)
def test_engines_take_the_name_that_the_volume_will_have(name: str, scope: str, fine: bool) -> None:
    body = {"name": name, "scope": scope, "driver": "local"}
    if fine:
        assert parse(body).name == name
        return
    with pytest.raises(ValidationFailed) as caught:
        parse(body)
    assert caught.value.errors == {"name": "Name isn't in the right format"}
