from google.protobuf import descriptor_pool

from kontena.auth.v1 import (
    access_token_pb2,
    audit_log_pb2,
    audit_pb2,
    config_pb2,
    grid_user_pb2,
    introspection_pb2,
    membership_pb2,
    oauth_pb2,
    user_pb2,
)
from kontena.deploy.v1 import assignment_pb2, container_log_pb2, grid_usage_pb2, service_pb2
from kontena.grid.v1 import grid_pb2, node_pb2, node_session_pb2, watch_pb2
from kontena.vault.v1 import secret_delivery_pb2, secret_pb2
from services.kernel.methods import describe

FILES = (
    access_token_pb2,
    audit_log_pb2,
    audit_pb2,
    config_pb2,
    grid_user_pb2,
    introspection_pb2,
    membership_pb2,
    oauth_pb2,
    user_pb2,
    assignment_pb2,
    container_log_pb2,
    grid_usage_pb2,
    service_pb2,
    grid_pb2,
    node_pb2,
    node_session_pb2,
    watch_pb2,
    secret_delivery_pb2,
    secret_pb2,
)


def test_only_these_methods_are_called_without_a_token() -> None:
    assert descriptor_pool.Default() is not None
    names = [service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]
    opened = {path for path, method in describe(names).items() if method.open}
    assert opened == {
        "/kontena.auth.v1.OAuthService/Authenticate",
        "/kontena.auth.v1.OAuthService/Callback",
        "/kontena.auth.v1.OAuthService/ExchangeToken",
        "/kontena.auth.v1.OAuthService/GetCodePage",
        "/kontena.auth.v1.OAuthService/LogInWithPassword",
        "/kontena.grid.v1.NodeSessionService/Connect",
    }
