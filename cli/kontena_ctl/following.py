"""Follows a deploy to its end: looks when the master tells of something new, shows it, and says how it ended."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from kontena_ctl.failures import Exit, Failure
from kontena_ctl.progress import Progress, Quiet, display
from kontena_ctl.rollout import Rollout, conclusion, of_service, of_stack
from kontena_ctl.session import ServiceName, Session
from kontena_ctl.words import count

_T = TypeVar("_T")
_PAUSE_SECONDS = 0.4
_EVENTS_SECONDS = 2.0
_SECOND_CTRL_C_SECONDS = 3.0


class Followed:
    """One deploy: where its document is, and how it is read. `path` is that of its service or stack."""

    def __init__(self, session: Session, path: str, id_: str, read: Callable[[Mapping[str, Any]], Rollout]) -> None:
        self._session = session
        self.path = path
        self.id = id_
        self._read = read
        self._last_event: str | None = None
        self.document: Mapping[str, Any] = {}

    def look(self) -> Rollout:
        """As it is now."""
        self.document = self._session.client.call("GET", f"{self.path}/deploys/{self.id}")
        return self._read(self.document)

    def signs(self) -> Iterator[bool]:
        """Whether there is something new, again and again until it has ended."""
        for line in self._session.client.progress(f"{self.path}/deploys/{self.id}/follow"):
            yield line is not None

    def mark(self) -> None:
        """Events from here on are about this deploy."""
        logs = self._events({"limit": 1})
        self._last_event = logs[-1]["id"] if logs else None

    def news(self) -> list[str]:
        """What was told about it since it was asked last, the oldest first."""
        query = {"from": self._last_event, "limit": 100} if self._last_event else {"limit": 100}
        logs = self._events(query)
        if logs:
            self._last_event = logs[-1]["id"]
        return [str(event["message"]) for event in logs]

    def went_back(self, name: str) -> bool:
        """Whether the deploy that brings a service (`stack/service`) back has ended."""
        grid = self.path.split("/")[3]
        service = f"{grid}/{name}" if "/" in name else f"{grid}/null/{name}"
        query = {"limit": 5}
        deploys = self._session.client.call("GET", f"/v1/services/{service}/deploys", query)["deploys"]
        return any(
            one.get("origin") == "failed_deploy"
            and one["created_at"] > self.document["created_at"]
            and "finished_at" in one
            for one in deploys
        )

    def _events(self, query: Mapping[str, Any]) -> Any:
        return self._session.client.call("GET", f"{self.path}/event_logs", query)["logs"]


def service_deploy(session: Session, document: Mapping[str, Any]) -> Followed:
    """The deploy that an answer to `deploy` or `scale` of a service names."""
    return Followed(session, f"/v1/services/{document['service_id']}", document["id"], of_service)


def stack_deploy(session: Session, document: Mapping[str, Any], services: Iterable[str] = ()) -> Followed:
    """The deploy that an answer to `deploy` of a stack names; `services` are those of the stack."""
    names = tuple(services)
    return Followed(session, f"/v1/stacks/{document['stack_id']}", document["id"], lambda found: of_stack(found, names))


def finish(session: Session, deploy: Followed, *, progress: Progress, wait: bool, timeout: float) -> int:
    """Follow it as far as the caller wants; returns the exit code. Whatever happens here, the deploy itself goes on."""
    again = f"kctl wait {deploy.path.removeprefix('/v1/')} --deploy {deploy.id}"
    if not wait:
        session.output.say(f"deploy {deploy.id} goes on: {again}")
        return _told(session, deploy, Exit.OK)
    try:
        with display(progress, session.output) as shown:
            rollout = _followed(deploy, shown, time.monotonic() + timeout)
    except KeyboardInterrupt:
        return _left(session, deploy, again)
    if rollout is None:
        session.output.say(f"no end after {timeout:.0f} s; the deploy goes on: {again}", "red")
        return _told(session, deploy, Exit.TIMED_OUT)
    session.output.say(conclusion(rollout), "green" if rollout.exit is Exit.OK else "red")
    if rollout.exit is Exit.DEPLOY_FAILED and not rollout.canceled:
        failed = [one.name for one in rollout.services if one.state == "error"]
        for name in failed:
            session.output.say(f"  kctl explain {name}")
    return _told(session, deploy, rollout.exit)


def _followed(deploy: Followed, shown: Quiet, deadline: float) -> Rollout | None:
    deploy.mark()
    rollout, note, news = deploy.look(), "", False
    looked = asked = time.monotonic()
    for sign in deploy.signs() if not rollout.finished else ():
        now, news = time.monotonic(), news or sign
        # Many instances may be told about at once.
        if news and now - looked >= _PAUSE_SECONDS:
            rollout, looked, news = deploy.look(), now, False
        if now - asked >= _EVENTS_SECONDS:
            note, asked = next(reversed(deploy.news()), note), now
        if rollout.finished:
            break
        shown.show(rollout, note)
        if now > deadline:
            return None
    if not rollout.finished:
        rollout = deploy.look()
    shown.show(rollout)
    return rollout if not rollout.rolled_back_to else _rolled_back(deploy, rollout, shown, deadline)


def _rolled_back(deploy: Followed, rollout: Rollout, shown: Quiet, deadline: float) -> Rollout | None:
    """Wait until all that goes back has arrived there, for which each of them has a deploy of its own."""
    left = set(rollout.rolled_back_to)
    while left:
        shown.show(rollout, f"going back: {', '.join(sorted(left))}")
        left = {name for name in left if not deploy.went_back(name)}
        if time.monotonic() > deadline:
            return None
        if left:
            time.sleep(_PAUSE_SECONDS)
    return rollout


def _left(session: Session, deploy: Followed, again: str) -> int:
    """Ctrl-C leaves a deploy alone; a second one asks whether it shall end."""
    output = session.output
    output.say(f"\nLeft alone; the deploy goes on. Come back with: {again}")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return Exit.DETACHED
    try:
        # Whoever reads this may be quick.
        output.say(f"Ctrl-C again within {_SECOND_CTRL_C_SECONDS:.0f} s to cancel the deploy")
        time.sleep(_SECOND_CTRL_C_SECONDS)
    except KeyboardInterrupt:
        output.say()
        import typer  # noqa: PLC0415

        if not typer.confirm("Cancel the deploy?", err=True):
            return Exit.DETACHED
        canceled = session.client.call("POST", f"{deploy.path}/deploys/{deploy.id}/cancel", {}, {})
        output.say(f"canceled: {canceled.get('reason') or 'nothing had begun'}", "red")
        return Exit.DEPLOY_FAILED
    return Exit.DETACHED


def _told(session: Session, deploy: Followed, code: Exit) -> int:
    """Data on stdout for whoever asked for some: the document of the deploy."""
    if session.output.structured:
        if not deploy.document:
            deploy.look()
        session.output.document(deploy.document)
    elif session.output.format == "name":
        session.output.line(deploy.id)
    return code


def until(what: str, timeout: float, look: Callable[[], _T | None]) -> _T:
    """What `look` finds, as soon as it finds something. Raises Failure, about what did not happen, when that takes too
    long."""
    deadline = time.monotonic() + timeout
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not after {timeout:.0f} s", code=Exit.TIMED_OUT)
        time.sleep(_PAUSE_SECONDS)
    return found


def wait_until(session: Session, service: ServiceName, timeout: float, state: str) -> None:
    """Wait until a service is in this state. Raises Failure, about what is missing, when that takes too long."""
    deadline = time.monotonic() + timeout
    said = ""
    while True:
        found, instances = session.client.get_service(*service), session.client.list_instances(*service)["instances"]
        missing = missing_of_service(found, instances, state)
        if not missing:
            session.output.say(f"{service} is as it shall be", "green")
            return
        if missing != said:
            session.output.say(f"{service}: {missing}")
            said = missing
        if time.monotonic() > deadline:
            raise Failure(f"{service} is not there after {timeout:.0f} s: {missing}", code=Exit.TIMED_OUT)
        time.sleep(_PAUSE_SECONDS)


def missing_of_service(service: Mapping[str, Any], instances: Iterable[Mapping[str, Any]], state: str) -> str:
    """What is missing until a service is in this state; empty when nothing is."""
    listed = list(instances)
    if state == "running" and service["state"] != "running":
        return f"it is {service['state']}"
    late = [one for one in listed if one["state"] != state or one.get("rev") != one.get("deploy_rev")]
    if state == "stopped":
        return f"{count(len(late), 'instance')} not stopped yet" if late else ""
    wanted = service["instances"] if service["strategy"] != "daemon" else len(listed)
    if len(listed) < wanted or late:
        ready = len(listed) - len(late)
        return f"{ready} of {count(wanted, 'instance')} as wanted"
    health = service.get("health_status")
    if health and health["healthy"] < health["total"]:
        return f"{health['healthy']} of {health['total']} healthy"
    return ""
