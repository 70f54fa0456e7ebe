"""A deploy as people see it: made from the API's document, without I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kontena_ctl.failures import Exit
from kontena_ctl.words import count

_ROLLED_BACK = re.compile(r"rolling back to revision (\d+)")
_FINAL = {"success", "error"}


@dataclass(frozen=True)
class ServiceRollout:
    """One service of it; `waiting` until it begins."""

    name: str
    state: str
    done: int = 0
    wanted: int = 0
    nodes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def text(self) -> str:
        """One line."""
        if self.state == "waiting":
            return "waits for its turn"
        of = f"{self.done} of {count(self.wanted, 'instance')}"
        where = f" on {', '.join(self.nodes)}" if self.nodes else ""
        words = {"created": "queued", "ongoing": "deploying", "success": "done", "error": "failed"}
        because = f": {self.reason}" if self.reason else ""
        return f"{words.get(self.state, self.state)}, {of}{where}{because}"


@dataclass(frozen=True)
class Rollout:
    """The whole: of a service or of a stack."""

    id: str
    target: str
    state: str
    finished: bool
    services: tuple[ServiceRollout, ...]
    reason: str = ""
    canceled: bool = False

    @property
    def rolled_back_to(self) -> tuple[str, ...]:
        """Services (`stack/service`) that go back to their last good revision."""
        return tuple(one.name for one in self.services if _ROLLED_BACK.search(one.reason))

    @property
    def exit(self) -> Exit:
        """What it means for scripts, once it is finished."""
        if self.state == "success":
            return Exit.OK
        return Exit.ROLLED_BACK if self.rolled_back_to else Exit.DEPLOY_FAILED


def of_service(document: Mapping[str, Any]) -> Rollout:
    """From the document of a service's deploy."""
    service = _service(document)
    finished = "finished_at" in document
    canceled = "canceled_at" in document
    return Rollout(
        document["id"], f"service {service.name}", document["state"], finished, (service,), service.reason, canceled
    )


def of_stack(document: Mapping[str, Any], names: Iterable[str] = ()) -> Rollout:
    """From the document of a stack's deploy; services of `names` that it has not begun wait for their turn."""
    begun = {one.name: one for one in map(_service, document["service_deploys"])}
    stack = document["stack_id"].partition("/")[2]
    waiting = [f"{stack}/{name}" for name in names if f"{stack}/{name}" not in begun]
    state = document["state"]
    services = (*begun.values(), *(ServiceRollout(name, "waiting") for name in waiting if state not in _FINAL))
    finished = "finished_at" in document
    return Rollout(
        document["id"],
        f"stack {stack}",
        state,
        finished,
        services,
        document.get("reason") or "",
        "canceled_at" in document,
    )


def _service(document: Mapping[str, Any]) -> ServiceRollout:
    instances = document["instance_deploys"]
    reason = document.get("reason") or next((one["error"] for one in instances if one.get("error")), "")
    name = document["service_id"].partition("/")[2].removeprefix("null/")
    done = sum(one["state"] == "success" for one in instances)
    nodes = tuple(sorted({one["node"] for one in instances if one.get("node") and one["node"] != "(none)"}))
    # Of a daemon, `instance_count` is per node.
    wanted = max(document["instance_count"], len(instances))
    state = document["state"] if "finished_at" in document or document["state"] not in _FINAL else "ongoing"
    return ServiceRollout(name, state, done, wanted, nodes, reason)


def changes(before: Rollout | None, now: Rollout) -> Iterator[str]:
    """A line for each service that is not as it was."""
    known = {one.name: one.text for one in before.services} if before else {}
    for service in now.services:
        if known.get(service.name) != service.text:
            yield f"{service.name}: {service.text}"


def conclusion(rollout: Rollout) -> str:
    """One sentence about the end."""
    if rollout.state == "success":
        reason = next((f": {one.reason}" for one in rollout.services if one.reason), "")
        return f"{rollout.target} is deployed{reason}"
    if rollout.rolled_back_to:
        return (
            f"the deploy of {rollout.target} failed; {', '.join(rollout.rolled_back_to)} went back to what ran before"
        )
    reason = rollout.reason or next((one.reason for one in rollout.services if one.reason), "")
    how = "was canceled" if rollout.canceled else "failed"
    return f"the deploy of {rollout.target} {how}{f': {reason}' if reason else ''}"
