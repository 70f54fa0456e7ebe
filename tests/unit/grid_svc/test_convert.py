import pytest
from google.protobuf.json_format import ParseDict

from kontena.grid.v1 import grid_pb2, node_pb2
from services.grid_svc.convert import grid, node
from services.grid_svc.domain.grid_input import GridChanges, LogsInput, StatsdInput, StatsInput
from services.grid_svc.domain.node import NodeChanges


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({}, GridChanges()),
        ({"default_affinity": [], "trusted_subnets": []}, GridChanges([], [])),
        ({"default_affinity": ["a"]}, GridChanges(["a"])),
        ({"stats": None, "logs": None}, GridChanges()),
        ({"stats": {}}, GridChanges(stats=StatsInput())),
        ({"stats": {"statsd": None}}, GridChanges(stats=StatsInput())),
        ({"stats": {"statsd": {"port": "8125"}}}, GridChanges(stats=StatsInput(StatsdInput(None, 8125)))),
        ({"logs": {"opts": {"a": "b"}}}, GridChanges(logs=LogsInput(None, {"a": "b"}))),
        # What callers without a gateway say.
        ({"update_mask": "stats,logs"}, GridChanges(stats=StatsInput(), logs=LogsInput("none", {}))),
        ({"update_mask": "defaultAffinity"}, GridChanges(default_affinity=[])),
    ],
)
def test_which_attributes_an_update_sets(body: dict[str, object], changes: GridChanges) -> None:
    request = ParseDict(body, grid_pb2.UpdateGridRequest())
    # Null is not among what is present (services/kernel/call.py).
    present = {name for name, value in body.items() if value is not None} | {*request.update_mask.paths}
    assert grid.changes_from_proto(request, present) == changes


def test_which_attributes_of_a_node_an_update_sets() -> None:
    assert node.changes_from_proto(node_pb2.UpdateNodeRequest(), set()) == NodeChanges()
    assert node.changes_from_proto(node_pb2.UpdateNodeRequest(), {"labels"}) == NodeChanges([])
    assert node.changes_from_proto(node_pb2.UpdateNodeRequest(labels=["a"]), set()) == NodeChanges(["a"])
    assert node.changes_from_proto(node_pb2.UpdateNodeRequest(availability="drain"), set()) == NodeChanges(
        None, "drain"
    )
