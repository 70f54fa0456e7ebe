"""Revisions as answers show them."""

from collections.abc import Iterable

from kontena.deploy.v1 import revision_pb2 as pb
from services.deploy_svc.convert.stacks import value_to_proto
from services.deploy_svc.domain.revision import Change, DocumentChanges, ServiceRevision, StackRevision
from services.kernel.times import shown


def service_revisions_to_proto(found: Iterable[tuple[ServiceRevision, tuple[Change, ...]]]) -> list[pb.ServiceRevision]:
    """In the same order."""
    return [
        pb.ServiceRevision(
            revision=item.revision,
            created_at=shown(item.created_at),
            author=item.author,
            changes=_changes(changes),
        )
        for item, changes in found
    ]


def stack_revisions_to_proto(found: Iterable[tuple[StackRevision, DocumentChanges]]) -> list[pb.StackRevision]:
    """In the same order."""
    return [
        pb.StackRevision(
            revision=item.revision,
            created_at=shown(item.created_at),
            author=item.author,
            version=item.document.version,
            changes=_changes(changes.attributes),
            services=[
                pb.ServiceChange(name=service.name, action=service.action, changes=_changes(service.changes))
                for service in changes.services
            ],
        )
        for item, changes in found
    ]


def _changes(changes: Iterable[Change]) -> list[pb.AttributeChange]:
    return [
        pb.AttributeChange(
            attribute=change.attribute, before=value_to_proto(change.before), after=value_to_proto(change.after)
        )
        for change in changes
    ]
