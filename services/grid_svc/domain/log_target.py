"""The address of a grid's fluentd, as agents read it (agent/domain/fluent.py)."""

FLUENTD_ADDRESS = "fluentd-address"


def host_of(address: str) -> str:
    """`host`, `host:port`, `tcp://host:port` or `[v6]:port` without all but the host."""
    bare = address.removeprefix("tcp://").strip("/")
    host, colon, _port = bare.rpartition(":")
    return (bare if not colon or bare.endswith("]") else host).strip("[]")
