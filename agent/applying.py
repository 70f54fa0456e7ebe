"""Decides what one instance needs and does it."""

import contextlib
from dataclasses import dataclass

from agent.domain import decide as rules
from agent.domain import labels
from agent.domain.decide import Action, Desired, Observed, decide
from agent.domain.errors import AgentError
from agent.operations import Operations
from agent.runtime.ports import Container
from agent.state_documents import Record
from kontena.deploy.v1 import assignment_pb2 as pb


@dataclass(frozen=True, slots=True)
class Order:
    """What to bring about. `sealed`: read from the state file, so the secrets have no values."""

    assignment: pb.Assignment
    sealed: bool


class Applying:
    """Of one instance. What runs is touched only when `decide` says so."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def decide(self, order: Order, container: Container | None, record: Record, *, condemned: bool) -> Action:
        """What the container needs; a `condemned` one is restarted at least. Raises AgentError."""
        assignment = order.assignment
        desired = Desired(
            state=assignment.desired_state,
            service_revision=assignment.service_revision,
            deploy_rev=assignment.deploy_rev,
            load_balancer=assignment.pod.labels.get(labels.LOAD_BALANCER),
            certain=not order.sealed,
        )
        observed = None if container is None else _observed(container)
        image_id = None
        if rules.must_check_image(desired, observed, record.applied_rev):
            image_id = (await self._operations.image(assignment, sealed=order.sealed)).id
        restart = assignment.restarts > record.restarts or condemned
        return decide(desired, observed, restart=restart, image_id=image_id)

    async def act(self, action: Action, order: Order, container: Container | None) -> None:
        """Do it. What was to be replaced and could not be runs on; an agent that died in the middle may have stopped
        it. Raises AgentError."""
        try:
            await self._act(action, order, container)
        except AgentError:
            if action is Action.RECREATE and container is not None and not container.start_error:
                with contextlib.suppress(AgentError):
                    await self._operations.launch(container.id)
            raise

    async def _act(self, action: Action, order: Order, container: Container | None) -> None:
        match action:
            case Action.CREATE | Action.RECREATE:
                await self._operations.create(order.assignment, container, sealed=order.sealed)
            case Action.START if container is not None:
                await self._operations.start(order.assignment, container, sealed=order.sealed)
            case Action.STOP if container is not None:
                await self._operations.stop(order.assignment, container)
            case Action.RESTART if container is not None:
                await self._operations.restart(container, order.assignment.pod.stop_grace_period)


def _observed(container: Container) -> Observed:
    return Observed(
        container_id=container.id,
        image_id=container.image_id,
        running=container.running,
        service_revision=labels.number_label(container.labels, labels.SERVICE_REVISION),
        start_error=container.start_error,
        load_balancer=container.labels.get(labels.LOAD_BALANCER),
        deploy_rev=container.labels.get(labels.DEPLOY_REV, ""),
    )
