"""What a caller may do."""

import pytest

from services.kernel.principal import Principal


@pytest.mark.parametrize(
    ("roles", "member", "allowed"),
    [
        ((), True, True),
        (("viewer",), True, False),
        (("viewer", "user_admin"), True, False),
        (("viewer", "grid_admin"), True, True),
        (("viewer", "grid_admin"), False, False),
        (("viewer", "master_admin"), False, True),
        (("user_admin",), False, False),
    ],
)
def test_who_may_change_a_grid(roles: tuple[str, ...], member: bool, allowed: bool) -> None:
    principal = Principal("user", roles=frozenset(roles), grid_ids=frozenset({"g"} if member else ()))
    assert principal.may_change("g") is allowed
