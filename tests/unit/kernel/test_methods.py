from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pb2

from kontena.common.v1 import options_pb2
from services.kernel.methods import describe, repeatable
from tests.support.lists import PAGED

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


def test_calls_between_services_say_whether_they_may_be_repeated() -> None:
    found = describe(_services()).values()
    internal = {method.path for method in found if method.audience == options_pb2.AUDIENCE_INTERNAL}
    silent = internal - {f"/{service}/{method}" for service, method in repeatable()}
    # Whoever reads a stream connects again, and what is relayed to a node is done once.
    assert {path.split("/")[2] for path in silent if "/Watch" not in path} == {"RelayCommand"}


def test_methods_that_take_more_than_others_are_these() -> None:
    """In KiB."""
    found = describe(_services()).values()
    more = {method.path.split("/")[2]: method.request_limit >> 10 for method in found if method.message is not None}
    assert {name: limit for name, limit in more.items() if limit != 64} == {
        # The first message of an agent has 64.
        "Connect": 512,
        "CreateService": 512,
        "CreateGridConfig": 1024,
        "UpdateGridConfig": 1024,
        "UpdateService": 512,
        "PlanService": 512,
        "AddServiceEnv": 512,
        "CreateStack": 4096,
        "UpdateStack": 4096,
        "PlanStack": 4096,
        "PlanNewStack": 4096,
        "ConvertStack": 1024,
        "CreateSecret": 1024,
        "UpdateSecret": 1024,
        "PutGridSecret": 1024,
        "ImportCertificate": 256,
        "ExecContainer": 256,
        "AttachExec": 256,
        "Attach": 4096,
        "AttachCommands": 4096,
        "PushEvents": 4096,
        "PushLogs": 2048,
        "PushStats": 4096,
        "ReportContainers": 4096,
    }


def test_lists_and_stacks_are_made_a_few_at_a_time() -> None:
    found = {path.split(".")[-1]: method for path, method in describe(_services()).items()}
    large = {name for name, method in found.items() if method.large}
    assert large >= PAGED.keys() | {"StackService/GetStack", "StackService/CreateStack", "StackService/UpdateStack"}
    # Where a request may be that large, what is made of it is.
    public = {name for name, method in found.items() if method.audience == options_pb2.AUDIENCE_PUBLIC}
    assert {name for name in public if found[name].request_limit >= 2 << 20} <= large
