"""Files to the document of a stack. Nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.clients.grids import Grid
from services.deploy_svc.clients.converter import Converter
from services.deploy_svc.domain.findings import Finding
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.stack_conversion import Outcome
from services.deploy_svc.domain.stack_source import (
    COMPOSE,
    KONTENA,
    MOST_BYTES,
    MOST_FILES,
    MOST_VARIABLES,
    Converted,
    Source,
    unpack,
)
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.store import volumes as volume_store
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.kernel.errors import ValidationFailed
from services.kernel.principal import Principal

# Names in the vault may depend on whether others exist.
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for."""

    source: Source
    kind: str | None = None
    ignore_unsupported: bool = False


@dataclass(frozen=True, slots=True)
class Conversion:
    """The result: of volumes those that do not exist yet, of secrets and configs these and those that are written."""

    made: Converted
    warnings: tuple[Finding, ...]


class StackConversions(UseCases):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._converter = Converter()

    async def convert(self, principal: Principal, grid_name: str, request: Request) -> Conversion:
        """What the files become. Raises ValidationFailed with everything that is wrong by its place."""
        grid = await self._grids.changeable(principal, grid_name)
        _refuse(request)
        source = replace(await self._with_what_is_kept(grid, request), grid=grid.name)
        outcome = await self._rounds(grid, request, source)
        if outcome.made is None:
            raise ValidationFailed(outcome.errors)
        return Conversion(await self._needed(grid, outcome.made), outcome.warnings)

    async def _with_what_is_kept(self, grid: Grid, request: Request) -> Source:
        """With the values, and without files the files, that the stack of this name keeps."""
        source = request.source
        document: Document | None = None
        if source.name:
            async with self._db.read() as tx:
                stack = await stack_store.find(tx, grid.id, source.name)
            document = stack.document if stack is not None else None
        if document is None:
            if not source.files:
                raise ValidationFailed({"files": "There are no files, and no stack of this name that keeps any"})
            return source
        source = replace(source, kept=document.variables)
        if source.files:
            return source
        files, order = unpack(document.source, "stack.yml")
        return replace(source, files=files, order=source.order or order)

    async def _rounds(self, grid: Grid, request: Request, source: Source) -> Outcome:
        """Convert until it is known of every secret that was asked for whether it exists."""
        asked: frozenset[str] = frozenset()
        known: frozenset[str] = frozenset()
        for _ in range(_ROUNDS):
            outcome = await self._converter.convert(
                source, kind=request.kind, ignore_unsupported=request.ignore_unsupported, known_secrets=known
            )
            if asked >= frozenset(outcome.asked):
                break
            asked |= frozenset(outcome.asked)
            known = (await self._vault.existing(grid, VaultNames(secrets=asked))).secrets
        return outcome

    async def _needed(self, grid: Grid, made: Converted) -> Converted:
        async with self._db.read() as tx:
            volumes = await volume_store.find_many(tx, grid.id, {volume["name"] for volume in made.volumes})
        secrets, configs = (frozenset(one["name"] for one in given) for given in (made.secrets, made.configs))
        known = await self._vault.existing(grid, VaultNames(secrets=secrets, configs=configs))
        return replace(
            made,
            volumes=[volume for volume in made.volumes if volume["name"] not in volumes],
            secrets=[secret for secret in made.secrets if "value" in secret or secret["name"] not in known.secrets],
            configs=[one for one in made.configs if "content" in one or one["name"] not in known.configs],
        )


def _refuse(request: Request) -> None:
    """Raise ValidationFailed for what is too much, or no kind."""
    source, errors = request.source, dict[str, Any]()
    size = _size(source.files)
    if len(source.files) > MOST_FILES or size > MOST_BYTES:
        errors["files"] = f"At most {MOST_FILES} files of {MOST_BYTES // 1024} KiB together"
    if len(source.variables) > MOST_VARIABLES:
        errors["variables"] = f"At most {MOST_VARIABLES} variables"
    if request.kind not in (None, COMPOSE, KONTENA):
        errors["kind"] = f"Kind is not one of {COMPOSE}, {KONTENA}"
    if missing := [name for name in source.order if name not in source.files and source.files]:
        errors["order"] = f"{missing[0][:200]} is not among the files"
    if errors:
        raise ValidationFailed(errors)


def _size(files: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(text.encode()) for name, text in files.items())
