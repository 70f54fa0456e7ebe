"""Parts of the tests of pods on a real engine."""

from typing import Any

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.conftest import IMAGE
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.unit.agent import agent_factories

SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
SERVE = ["sh", "-c", "hostname | cut -d. -f1 > /www/index.html; exec httpd -f -p 8080 -h /www"]


def assignment(number: int = 1, *, pod: dict[str, Any] | None = None, **changed: Any) -> pb.Assignment:
    """An instance that runs and does nothing."""
    return agent_factories.assignment(number, pod={"image": IMAGE, "cmd": SLEEP, **(pod or {})}, **changed)


def redeployed(old: pb.Assignment, **changed: Any) -> pb.Assignment:
    """The assignment as a next rollout sends it."""
    new = pb.Assignment()
    new.CopyFrom(old)
    new.deploy_rev = old.deploy_rev + "+"
    for name, value in changed.items():
        setattr(new, name, value)
    return new


def hook(moment: str, name: str, cmd: str, *, oneshot: bool = False) -> pb.PodHook:
    return pb.PodHook(id=f"{moment}/{name}", type=moment, cmd=cmd, oneshot=oneshot)


async def gone(engine: Engine, name: str) -> None:
    """Returns once the engine has no container of this name."""

    async def missing() -> bool:
        names = [name for container in engine.containers() for name in container["Names"]]
        return f"/{name}" not in names

    await eventually(missing, message=f"{name} is gone")
