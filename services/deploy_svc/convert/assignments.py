"""Assignments and status reports: message <-> domain."""

from collections.abc import Sequence
from dataclasses import replace

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.instance_status import STATES, InstanceStatus
from services.deploy_svc.domain.pod import Pod
from services.deploy_svc.store.jsonb import POD
from services.deploy_svc.usecases.assignment_feed import Snapshot
from services.deploy_svc.usecases.assignments import Ack, HooksAck, HooksStarted, Incoming, Outgoing, Report
from services.deploy_svc.usecases.pod_values import Assignment
from services.kernel.times import told

_LONGEST_TEXT = 4000
_NO_FILES = "the agent of this node is of a release that cannot bring files to containers: update it"
_MOST_DATA_VOLUMES = 100


def outgoing_to_proto(item: Outgoing, *, files: bool = True) -> pb.AttachResponse:
    """What is sent to an agent, which can bring `files` to containers or not."""
    if isinstance(item, Ack):
        return pb.AttachResponse(ack=pb.ReportAck(sequence=item.sequence))
    if isinstance(item, HooksAck):
        return pb.AttachResponse(hook_started=pb.HookStartedAck(sequence=item.sequence, run=item.run))
    if isinstance(item, Snapshot):
        told = [assignment_to_proto(assignment, files=files) for assignment in item.assignments]
        return pb.AttachResponse(snapshot=pb.Snapshot(assignments=told))
    told = [assignment_to_proto(assignment, files=files) for assignment in item.upserted]
    return pb.AttachResponse(delta=pb.Delta(upserted=told, removed=item.removed))


def assignment_to_proto(item: Assignment, *, files: bool = True) -> pb.Assignment:
    """The only place where secret values leave their wrapper."""
    if item.files and not files:
        item = replace(item, files=(), secrets=(), error=_NO_FILES)
    instance, login = item.instance, item.credentials
    pod = pod_to_proto(instance.pod) if instance.pod else pb.Pod()
    if login is not None:
        credentials = pb.ImageCredentials(username=login.username, password=login.password, email=login.email)
        pod.image_credentials.CopyFrom(credentials)
    return pb.Assignment(
        instance_id=instance.id,
        service_id=instance.service_id,
        instance_number=instance.instance_number,
        desired_state=instance.desired_state,
        # Without a revision, what the agent says about it never counts as the outcome of a deploy.
        deploy_rev=(instance.deploy_rev or "") if item.complete else "",
        service_revision=instance.service_revision,
        restarts=instance.restarts,
        pod=pod,
        secrets=[pb.PodSecret(name=name, type="env", value=value.reveal()) for name, value in item.secrets],
        error=item.error,
        files=[
            pb.PodFile(path=ref.path, mode=int(ref.mode, 8), uid=ref.uid, gid=ref.gid, content=value.reveal().encode())
            for ref, value in item.files
        ],
        data_volumes=[pb.DataVolume(path=path, name=name) for path, name in sorted(instance.data_volumes.items())],
    )


def pod_to_proto(pod: Pod) -> pb.Pod:
    """The pod as it was stored; its references to secrets and configs stay here."""
    return pb.Pod(**POD.dump_python(pod, exclude={"secrets", "certificates", "configs"}))


def incoming_from_proto(request: pb.AttachRequest) -> Incoming | None:
    """What an agent says; None when it is something that this release does not know."""
    match request.WhichOneof("message"):
        case "report":
            return report_from_proto(request)
        case "hook_started":
            hooks = request.hook_started
            ids = [text for text in map(_text, hooks.hook_ids) if text]
            return HooksStarted(hooks.sequence, hooks.instance_id, ids, _text(hooks.attempt) or "")
        case _:
            return None


def report_from_proto(request: pb.AttachRequest) -> Report:
    """What an agent reported. Entries in a state that does not exist are dropped."""
    report = request.report
    statuses = [status_from_proto(status) for status in report.statuses if status.state in STATES]
    return Report(report.sequence, statuses)


def status_from_proto(status: pb.InstanceStatus) -> InstanceStatus:
    """Texts are cut, as an agent's word is not checked by anybody else."""
    return InstanceStatus(
        instance_id=status.instance_id,
        rev=_text(status.rev),
        state=status.state,
        error=_text(status.error),
        container_id=_text(status.container_id),
        container_started_at=told(status.started_at),
        health=_text(status.health),
        data_volumes=_data_volumes(status.data_volumes),
        address=_text(status.address),
    )


def _data_volumes(told: Sequence[pb.DataVolume]) -> dict[str, str]:
    found = {_text(item.path): _text(item.name) for item in told[:_MOST_DATA_VOLUMES]}
    return {path: name for path, name in found.items() if path and name}


def _text(value: str) -> str | None:
    return value[:_LONGEST_TEXT] or None
