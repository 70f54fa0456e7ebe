"""What a command works with: the context, a client of its master, the output, and names that become ids."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kontena_ctl.contexts import Context, Contexts
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import Output

if TYPE_CHECKING:
    from kontena_client import Client

NO_STACK = "null"


class ServiceName(NamedTuple):
    """The parts of a service's id."""

    grid: str
    stack: str
    service: str

    def __str__(self) -> str:
        return self.service if self.stack == NO_STACK else f"{self.stack}/{self.service}"

    @property
    def path(self) -> str:
        """Of the service in the API."""
        return f"/v1/services/{'/'.join(self)}"


@dataclass
class Session:
    """Nothing is read or connected before it is needed."""

    output: Output
    ctx: str = ""
    grid_option: str = ""
    contexts: Contexts = field(default_factory=Contexts.load)
    _client: "Client | None" = None

    @cached_property
    def context(self) -> Context:
        """Where to go, with a token that is not over. Raises Failure."""
        found = self.contexts.choose(self.ctx, self.grid_option)
        return self._renewed(found) if found.expired and found.refresh_token else found

    @property
    def client(self) -> "Client":
        """Raises Failure when no master is known."""
        if self._client is None:
            self._client = connect(self.context)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @cached_property
    def grid(self) -> str:
        """The grid that commands are about: the one that was said, or the only one that there is. Raises Failure."""
        if self.context.grid:
            return self.context.grid
        grids = [grid["name"] for grid in self.client.list_grids()["grids"]]
        if len(grids) == 1:
            return grids[0]
        if not grids:
            raise Failure("You are in no grid.", "kctl grid create NAME")
        raise Failure(
            f"Which grid: {', '.join(grids)}?", "add --grid NAME", "kctl ctx grid NAME makes it the usual one"
        )

    def service(self, name: str) -> ServiceName:
        """`service`, `stack/service` or `grid/stack/service`. A bare name is that of a service outside stacks, or of
        the only one in all stacks. Raises Failure, with names that are alike."""
        parts = name.split("/")
        if len(parts) == 3:
            return ServiceName(*parts)
        if len(parts) == 2:
            return ServiceName(self.grid, *parts)
        if len(parts) > 3 or not name:
            raise Failure(f"{name!r} is no name of a service.", "say SERVICE or STACK/SERVICE", code=Exit.USAGE)
        found = list(self.service_names())
        same = [one for one in found if one.service == name]
        for one in same:
            if one.stack == NO_STACK or len(same) == 1:
                return one
        if same:
            raise Failure(f"Several stacks have a service {name}: say which.", *(f"{one}" for one in same))
        raise unknown("service", name, self.grid, (str(one) for one in found))

    def service_names(self) -> Iterator[ServiceName]:
        """Those of the grid."""
        for service in self.client.list_services(self.grid)["services"]:
            yield ServiceName(self.grid, service["stack"]["name"], service["name"])

    @contextmanager
    def named(self, kind: str, name: str, others: Callable[[], Iterable[str]]) -> Iterator[None]:
        """A 404 in the block becomes a Failure that knows what there is."""
        from kontena_client import ApiError  # noqa: PLC0415 -- it brings httpx.

        try:
            yield
        except ApiError as error:
            if error.status != 404:
                raise
            raise unknown(kind, name, self.grid, others()) from error

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be taken back. Raises Failure when the answer is no, or nobody is there."""
        if yes:
            return
        import sys  # noqa: PLC0415

        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Failure(f"{question} Nobody is there to ask.", "add --yes", code=Exit.USAGE)
        import typer  # noqa: PLC0415

        if not typer.confirm(question, err=True):
            raise Failure("Nothing was done.")

    def _renewed(self, context: Context) -> Context:
        from kontena_ctl.login import refreshed  # noqa: PLC0415

        fresh = refreshed(context)
        if context.name in self.contexts.known:
            self.contexts.put(replace(fresh, grid=self.contexts.known[context.name].grid), use=False)
        return fresh


def connect(context: Context) -> "Client":
    """A client for the master of a context."""
    from kontena_client import Client  # noqa: PLC0415 -- it takes a third of the time of a command.

    return Client(context.url, context.token, ca_file=context.ca_file, user_agent="kontena-ctl")


def unknown(kind: str, name: str, grid: str, others: Iterable[str]) -> Failure:
    """There is no such thing; perhaps another one was meant."""
    have = sorted(others)
    alike = difflib.get_close_matches(name, have, n=3, cutoff=0.5)
    if alike:
        hint = f"did you mean {' or '.join(alike)}?"
    elif have:
        more = f" and {len(have) - 8} more" if len(have) > 8 else ""
        hint = f"there are: {', '.join(have[:8])}{more}"
    else:
        hint = f"the grid has no {kind}s"
    return Failure(f"Grid {grid} has no {kind} {name!r}.", hint)
