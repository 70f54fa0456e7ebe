"""What an assignment must say to mean anything."""

from agent.domain.decide import DESIRED_STATES
from kontena.deploy.v1 import assignment_pb2 as pb


def problem_of(assignment: pb.Assignment) -> str:
    """Why it cannot be meant; empty when it names an instance and a state that exists."""
    if not assignment.instance_id or not assignment.service_id or assignment.instance_number < 1:
        return f"assignment {assignment.instance_id!r} names no instance"
    if assignment.desired_state not in DESIRED_STATES:
        return f"assignment {assignment.instance_id!r} has the unknown state {assignment.desired_state!r}"
    return ""
