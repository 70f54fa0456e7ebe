"""What to do with one instance (docs/spec/orchestration.md section 8.3). Pure: the caller looks, this decides."""

import enum
from dataclasses import dataclass

RUNNING = "running"
STOPPED = "stopped"
INITIALIZED = "initialized"
DESIRED_STATES = frozenset({RUNNING, STOPPED, INITIALIZED})


class Action(enum.Enum):
    """One step towards the desired state."""

    NOTHING = "nothing"
    CREATE = "create"
    RECREATE = "recreate"
    START = "start"
    RESTART = "restart"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Desired:
    """What the master wants of an instance. `certain`: it said so itself, and no file of a while ago."""

    state: str
    service_revision: int
    deploy_rev: str
    load_balancer: str | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """The container an instance has. `deploy_rev` is the rollout that made it."""

    container_id: str
    image_id: str
    running: bool
    service_revision: int
    start_error: str = ""
    load_balancer: str | None = None
    deploy_rev: str = ""


def decide(
    desired: Desired, observed: Observed | None, *, restart: bool = False, image_id: str | None = None
) -> Action:
    """The next step. `restart`: a request newer than the last handled one. `image_id`: what the image's tag means now,
    given only when the deploy revision changed since the last apply; None means it was not looked up."""
    if desired.state == STOPPED:
        return Action.STOP if observed is not None and observed.running else Action.NOTHING
    if desired.state != RUNNING:
        return Action.NOTHING
    if observed is None:
        return Action.CREATE
    if outdated(desired, observed, image_id):
        return Action.RECREATE
    if not observed.running:
        return Action.START
    return Action.RESTART if restart else Action.NOTHING


def outdated(desired: Desired, observed: Observed, image_id: str | None) -> bool:
    """Whether the container must be replaced. One of a newer revision than asked for is left alone, unless the rollout
    that made it was canceled: then the master wants an earlier one again."""
    newer = observed.service_revision > desired.service_revision and observed.deploy_rev > desired.deploy_rev
    return (
        desired.service_revision > observed.service_revision
        or (newer and desired.certain)
        or desired.load_balancer != observed.load_balancer
        or (not observed.running and bool(observed.start_error))
        or (image_id is not None and image_id != observed.image_id)
    )


def must_check_image(desired: Desired, observed: Observed | None, applied_rev: str | None) -> bool:
    """Whether the image must be pulled before deciding: only for a running instance whose rollout is a new one.
    `applied_rev` is the rollout that was last applied here, None when that is not known."""
    if desired.state != RUNNING or observed is None or applied_rev is None:
        return False
    return desired.deploy_rev != applied_rev
