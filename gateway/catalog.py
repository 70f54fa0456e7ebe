"""What the protos say about who may call what: the only source of the public surface."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

from kontena.common.v1 import options_pb2

# What a method takes that says nothing else (protos/kontena/common/v1/options.proto).
DEFAULT_REQUEST_LIMIT = 64 * 1024
_VARIABLE = re.compile(r"\{([A-Za-z_][\w.]*)")
_PATTERN_OF_VARIABLE = re.compile(r"\{[\w.]+=([^}]+)\}")
_BARE_VARIABLE = re.compile(r"\{[\w.]+\}")


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST form of a method, e.g. `GET /v1/nodes/{id=*/*}`."""

    verb: str
    template: str
    body: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the request fields the path decides."""
        return tuple(_VARIABLE.findall(self.template))

    @property
    def pattern(self) -> str:
        """A regular expression for the paths of this form."""
        plain = _BARE_VARIABLE.sub("*", _PATTERN_OF_VARIABLE.sub(r"\1", self.template))
        return re.escape(plain).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC; `path` is its gRPC path. An `open` one is called without a token; `request_limit` is in bytes."""

    path: str
    streaming: bool
    bindings: tuple[Binding, ...]
    open: bool = False
    request_limit: int = DEFAULT_REQUEST_LIMIT

    @property
    def is_read(self) -> bool:
        """Done twice it is as good as done once. Open ones are steps of a login."""
        return not self.open and bool(self.bindings) and all(binding.verb == "GET" for binding in self.bindings)


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service; `upstream` is the process that serves it (`auth`, `grid`, ...)."""

    name: str
    upstream: str
    audience: int
    methods: tuple[Method, ...]

    @property
    def public(self) -> bool:
        """Has REST forms and access-token callers."""
        return self.audience == options_pb2.AUDIENCE_PUBLIC

    @property
    def routed(self) -> bool:
        """Reachable from outside at all."""
        return self.audience in (options_pb2.AUDIENCE_PUBLIC, options_pb2.AUDIENCE_AGENT)


def path_variables(services: Iterable[Service]) -> tuple[str, ...]:
    """Query parameters that would name a field which some path decides: the field's name and its JSON name."""
    names = {
        name
        for service in services
        for method in service.methods
        for binding in method.bindings
        for name in binding.variables
    }
    return tuple(sorted(names | {json_name(name) for name in names}))


def json_name(name: str) -> str:
    """The name protobuf gives a field in JSON: `deploy_id` to `deployId`."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def load_descriptors(path: Path) -> descriptor_pb2.FileDescriptorSet:
    """The descriptor set `make protos` built."""
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())


def services(descriptors: descriptor_pb2.FileDescriptorSet) -> tuple[Service, ...]:
    """Every service with its audience, by name. Raises ValueError for one that names none."""
    return tuple(sorted(_services(descriptors.file), key=lambda service: service.name))


def _services(files: Iterable[descriptor_pb2.FileDescriptorProto]) -> Iterator[Service]:
    for file in files:
        for service in file.service:
            name = f"{file.package}.{service.name}"
            audience = service.options.Extensions[options_pb2.audience]
            if audience == options_pb2.AUDIENCE_UNSPECIFIED:
                raise ValueError(f"service {name} names no audience")
            methods = tuple(_method(name, method) for method in service.method)
            yield Service(name, upstream_of(file.package), audience, methods)


def upstream_of(package: str) -> str:
    """`kontena.grid.v1` to `grid`. Raises ValueError for a package outside the suite."""
    words = package.split(".")
    if len(words) != 3 or words[0] != "kontena":
        raise ValueError(f"package {package} is not kontena.<service>.<version>")
    return words[1]


def _method(service: str, method: descriptor_pb2.MethodDescriptorProto) -> Method:
    rule = method.options.Extensions[annotations_pb2.http]
    bindings = tuple(filter(None, map(_binding, (rule, *rule.additional_bindings))))
    streaming = method.client_streaming or method.server_streaming
    options = method.options.Extensions
    limit = options[options_pb2.request_limit_kb] * 1024 or DEFAULT_REQUEST_LIMIT
    return Method(f"/{service}/{method.name}", streaming, bindings, options[options_pb2.open], limit)


def _binding(rule: http_pb2.HttpRule) -> Binding | None:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        return None
    if kind == "custom":
        return Binding(rule.custom.kind, rule.custom.path, rule.body)
    return Binding(kind.upper(), getattr(rule, kind), rule.body)
