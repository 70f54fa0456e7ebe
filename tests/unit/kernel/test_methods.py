from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pb2

from services.kernel.methods import describe

GENERATED = Path(__file__).parents[3] / "gen"


def _services() -> list[str]:
    """Every service of the protos, from the descriptor set that the gateway serves too: none can be forgotten here."""
    files = descriptor_pb2.FileDescriptorSet.FromString((GENERATED / "descriptors.binpb").read_bytes()).file
    ours = [file for file in files if file.package.startswith("kontena.")]
    for file in ours:
        import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return [f"{file.package}.{service.name}" for file in ours for service in file.service]


def test_every_service_says_who_may_call_it() -> None:
    assert len({path.split("/")[1] for path in describe(_services())}) == len(_services()) > 30


def test_only_these_methods_are_called_without_an_access_token() -> None:
    opened = {path for path, method in describe(_services()).items() if method.open}
    assert opened == {
        "/kontena.auth.v1.OAuthService/Authenticate",
        "/kontena.auth.v1.OAuthService/Callback",
        "/kontena.auth.v1.OAuthService/ExchangeToken",
        "/kontena.auth.v1.OAuthService/GetCodePage",
        "/kontena.auth.v1.OAuthService/LogInWithPassword",
        # These take the join token of a grid or node instead.
        "/kontena.grid.v1.NodeSessionService/Connect",
        "/kontena.grid.v1.LegacyNodeService/GetLegacyNode",
        "/kontena.grid.v1.LegacyNodeService/UpdateLegacyNode",
    }
