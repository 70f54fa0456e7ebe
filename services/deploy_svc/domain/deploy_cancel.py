"""What canceling a deploy does: what runs stays, and everybody is told what became of each instance. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.instance_numbers import filled
from services.deploy_svc.domain.rollout_plan import Finish, MarkInstance
from services.deploy_svc.domain.service_deploy import InstanceDeploy, ServiceDeploy

_BACK = "canceled: the instance stays as it was"
_AGAIN = "canceled: the instance stays on the node it was to leave"
_DROPPED = "canceled: the new instance did not run yet and is gone"
_GOES_ON = "canceled, and yet it goes on: there is nothing to go back to"
_REMOVED = "canceled: the instance was removed"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What to do, by instance number: `back` shall be what they were before on their node, `again` run again on the
    node that they were to leave, `dropped` are new and go away. `marks` are of all that were under way."""

    marks: tuple[MarkInstance, ...]
    back: tuple[int, ...]
    again: tuple[int, ...]
    dropped: tuple[int, ...]
    finish: Finish


def cancel(
    deploy: ServiceDeploy, instances: Sequence[Instance], formers: Mapping[int, str | None], who: str
) -> Cancellation:
    """End an unfinished deploy. `formers` has the instances of which it is known what they were when the deploy came to
    them: the node they were on, or an empty text for what was not there at all, None for what was on no node."""
    by_number = {instance.instance_number: instance for instance in instances}
    ongoing = [item for item in deploy.instance_deploys if item.state == "ongoing"]
    fates = {item.instance_number: _fate(deploy, item, by_number, formers) for item in ongoing}
    marks = [MarkInstance(deploy.id, number, "error" if error else "success", error) for number, error in fates.items()]

    def met(*words: str) -> tuple[int, ...]:
        return tuple(number for number, error in fates.items() if error in words)

    back, again, dropped = met(_BACK), met(_AGAIN), met(_DROPPED)
    done = {item.instance_number for item in deploy.instance_deploys if item.state == "success"}
    stayed = {number for number in done if number in by_number and _is_untouched(by_number[number], deploy)}
    begun = {item.instance_number for item in deploy.instance_deploys}
    told = [
        ("deployed already", sorted({*done - stayed, *(number for number, error in fates.items() if error is None)})),
        ("as before", sorted({*stayed, *back, *again})),
        ("gone, as they did not run yet", dropped),
        ("still going on", met(_GOES_ON)),
        ("failed", [item.instance_number for item in deploy.instance_deploys if item.state == "error"]),
        ("not begun", [number for number in _wanted(deploy, by_number) if number not in begun]),
    ]
    return Cancellation(tuple(marks), back, again, dropped, Finish(deploy.id, "error", _reason(deploy, told, who)))


def _is_untouched(instance: Instance, deploy: ServiceDeploy) -> bool:
    """Whether the deploy left it as it was, which scaling does."""
    return (instance.deploy_rev or "") < (deploy.deploy_rev or "")


def _fate(
    deploy: ServiceDeploy,
    rollout: InstanceDeploy,
    instances: Mapping[int, Instance],
    formers: Mapping[int, str | None],
) -> str | None:
    """What becomes of an instance that is under way, as its error; None when it is done."""
    number = rollout.instance_number
    instance = instances.get(number)
    if instance is None or instance.node_id is None:
        return _REMOVED
    if instance.node_id != rollout.node_id:
        return _AGAIN
    reached = instance.rev is not None and instance.rev >= (deploy.deploy_rev or "")
    if reached and not instance.error and instance.state == "running":
        return None
    if formers.get(number) == rollout.node_id:
        return _BACK
    # What came from another node was stopped there, so it has to run here.
    return _DROPPED if formers.get(number) == "" else _GOES_ON


def _reason(deploy: ServiceDeploy, told: Iterable[tuple[str, Sequence[int]]], who: str) -> str:
    if deploy.started_at is None:
        return f"Canceled by {who} before it began: nothing was changed"
    found = "; ".join(f"{_numbers(numbers)} {what}" for what, numbers in told if numbers)
    return f"Canceled by {who}. Instances: {found or 'none'}"


def _wanted(deploy: ServiceDeploy, instances: Mapping[int, Instance]) -> Iterable[int]:
    return filled(instances.keys(), deploy.total or 0) if deploy.moves is None else sorted(deploy.moves)


def _numbers(numbers: Sequence[int]) -> str:
    """`1, 3 to 5` for 1, 3, 4, 5."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda item: item[1] - item[0])]
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return ", ".join(texts)
