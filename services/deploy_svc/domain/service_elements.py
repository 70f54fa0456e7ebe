"""The lists of objects in a service: ports, secrets, certificates, links and hooks, checked element by element."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from services.deploy_svc.domain.loose_values import as_objects, flag, scalar_text
from services.deploy_svc.domain.service_spec import CertificateRef, Hook, HookType, Link, Port, SecretRef
from services.kernel.validation import Checker, title

Element = Mapping[str, Any]

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- the documented default.
_HOOK_TYPES: tuple[HookType, ...] = get_args(HookType)


@dataclass(frozen=True, slots=True)
class HookInput:
    """A hook as a client wrote it; `instances` is None when an answer of ours was sent back, which does not show it."""

    type: HookType
    name: str
    cmd: str
    instances: str | None
    oneshot: bool

    def merged(self, current: Hook | None) -> Hook:
        """The hook to store: what is not given stays as it is."""
        kept = current.instances if current else "*"
        return Hook(self.type, self.name, self.cmd, self.instances or kept, self.oneshot)


def ports(check: Checker, values: Sequence[Element]) -> tuple[Port, ...]:
    """Published ports."""
    checks = [Checker() for _ in values]
    found = []
    for one, value in zip(checks, values, strict=True):
        node = one.number("node_port", value.get("node_port"), required=True, smallest=0, biggest=65535)
        container = one.number("container_port", value.get("container_port"), required=True, smallest=1, biggest=65535)
        ip = one.text("ip", value.get("ip", _ANY_ADDRESS))
        protocol = one.text("protocol", value.get("protocol", "tcp"))
        found.append(Port(node or 0, container or 0, ip or "", protocol or ""))
    check.elements("ports", checks)
    return tuple(found)


def secrets(check: Checker, values: Sequence[Element]) -> tuple[SecretRef, ...]:
    """Mapped secrets; `type` is ignored."""
    return tuple(SecretRef(*pair) for pair in _pairs(check, "secrets", values, "secret", "name"))


def certificates(check: Checker, values: Sequence[Element]) -> tuple[CertificateRef, ...]:
    """Mapped certificates; `type` is ignored."""
    return tuple(CertificateRef(*pair) for pair in _pairs(check, "certificates", values, "subject", "name"))


def links(check: Checker, values: Sequence[Element], own_stack: str) -> tuple[Link, ...]:
    """Links; a name without a stack means the own one, unless the id of an answer of ours says which."""
    pairs = _pairs(check, "links", values, "name", "alias")
    return tuple(
        _link(own_stack, name, alias, value.get("id")) for (name, alias), value in zip(pairs, values, strict=True)
    )


def hooks(check: Checker, value: Any) -> tuple[HookInput, ...] | None:
    """Hooks as an object of lists by type, or as the list that answers show."""
    if isinstance(value, dict):
        nested = Checker()
        found = [_hooks_of(nested, kind, value[kind]) for kind in _HOOK_TYPES if value.get(kind) is not None]
        check.nested("hooks", nested)
        return tuple(hook for group in found for hook in group)
    objects = as_objects(check, "hooks", value)
    if objects is None:
        return None
    checks = [Checker() for _ in objects]
    answer = []
    for one, item in zip(checks, objects, strict=True):
        kind = one.text("type", scalar_text(item.get("type")), required=True, options=_HOOK_TYPES)
        answer.append(_hook(one, next((known for known in _HOOK_TYPES if known == kind), "post_start"), item))
    check.elements("hooks", checks)
    return tuple(answer)


def _hooks_of(check: Checker, kind: HookType, value: Any) -> list[HookInput]:
    objects = as_objects(check, kind, value)
    checks = [Checker() for _ in objects or ()]
    found = [_hook(one, kind, item, strict=True) for one, item in zip(checks, objects or (), strict=True)]
    check.elements(kind, checks)
    return found


def _hook(check: Checker, kind: HookType, item: Element, *, strict: bool = False) -> HookInput:
    name = _text(check, item, "name", required=True)
    cmd = _text(check, item, "cmd", required=True)
    instances = _text(check, item, "instances", required=strict)
    oneshot = flag(item.get("oneshot"), default=False)
    if oneshot is None:
        check.fail("oneshot", "Oneshot isn't a boolean")
    numbers = None if instances is None else ",".join(part.strip() for part in instances.split(","))
    return HookInput(kind, name or "", cmd or "", numbers, bool(oneshot))


def _text(check: Checker, item: Element, attribute: str, *, required: bool) -> str | None:
    value = item.get(attribute)
    text = scalar_text(value)
    if value is not None and text is None:
        check.fail(attribute, f"{title(attribute)} isn't a string")
        return None
    if required and value is None and attribute in item:
        check.fail(attribute, f"{title(attribute)} can't be nil")
        return None
    return check.text(attribute, text, required=required)


def _pairs(check: Checker, attribute: str, values: Sequence[Element], first: str, second: str) -> list[tuple[str, str]]:
    checks = [Checker() for _ in values]
    found = [
        (_text(one, value, first, required=True) or "", _text(one, value, second, required=True) or "")
        for one, value in zip(checks, values, strict=True)
    ]
    check.elements(attribute, checks)
    return found


def _link(own_stack: str, name: str, alias: str, link_id: str | None) -> Link:
    *rest, service = name.split("/")
    path = (link_id or "").split("/")
    if not rest and len(path) == 3 and path[2] == service:
        return Link(path[1], service, alias)
    return Link(rest[-1] if rest else own_stack, service, alias)
