"""Answers put together from encoded parts are the messages that were meant."""

from hypothesis import given
from hypothesis import strategies as st

from kontena.deploy.v1 import service_pb2 as pb
from services.kernel import encoded


@given(st.lists(st.text(max_size=300), max_size=5))
def test_a_list_of_encoded_items_is_the_list(names: list[str]) -> None:
    items = [pb.Service(name=name) for name in names]
    made = encoded.listing(pb.ListServicesResponse, "services", [item.SerializeToString() for item in items])
    assert pb.ListServicesResponse.FromString(made) == pb.ListServicesResponse(services=items)
