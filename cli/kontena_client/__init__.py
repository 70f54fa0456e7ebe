"""The client library of Kontena Master: REST and gRPC, sync and async. docs/api.md shows how to use it.

`Client` and `AsyncClient` have a method for each call of the REST API, named like its RPC. `kontena_client.rpc` opens
gRPC channels for the stubs in `kontena.*.v1`; it needs the extra `grpc`.
"""

from typing import TYPE_CHECKING, Any

from kontena_client.errors import ApiError, KontenaError, Unreachable
from kontena_client.rest import Client

if TYPE_CHECKING:
    from kontena_client.rest_async import AsyncClient

__all__ = ["ApiError", "AsyncClient", "Client", "KontenaError", "Unreachable"]


def __getattr__(name: str) -> Any:
    """Who does not use asyncio does not wait for it."""
    if name == "AsyncClient":
        from kontena_client.rest_async import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
