"""Who may do what with accounts and the installation (docs/spec/auth_grid.md section 2.2)."""

from collections.abc import Mapping

from services.auth_svc.domain.user import ADMIN_EMAIL, VIEWER, User
from services.kernel.errors import Forbidden, OAuthError, ValidationFailed
from services.kernel.principal import Principal

NOT_ALLOWED = "Operation not allowed"


def is_user_admin(caller: Principal) -> bool:
    """Whether the caller may list, invite and remove users."""
    return caller.is_master_admin or "user_admin" in caller.roles


def is_above(caller: Principal, user: User) -> bool:
    """Whether the user holds a right that the caller does not: the account is not the caller's to remove or enter."""
    if caller.is_master_admin:
        return False
    return user.email == ADMIN_EMAIL or any(role.name not in {*caller.roles, VIEWER} for role in user.roles)


def may_change_members(caller: Principal, grid_id: str) -> bool:
    """Whether the caller may add and remove members of the grid."""
    return caller.has_access(grid_id) and (is_user_admin(caller) or caller.is_grid_admin(grid_id))


def require_user_admin(caller: Principal) -> None:
    """Raises Forbidden."""
    if not is_user_admin(caller):
        raise Forbidden(NOT_ALLOWED)


def require_config_access(caller: Principal) -> None:
    """Raises OAuthError: the configuration refuses as the OAuth2 endpoints do."""
    if not caller.is_master_admin:
        raise OAuthError(403, "access_denied", "Access denied")


def bad_request(errors: Mapping[str, str]) -> ValidationFailed:
    """A field map with status 400, which only the deletion of users answers."""
    refusal = ValidationFailed(errors)
    refusal.http_status = 400
    return refusal
