"""Services as answers show them (docs/spec/deploy_rest.md section 4.2)."""

from dataclasses import fields
from functools import lru_cache

from kontena.deploy.v1 import service_pb2 as pb
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import Link, ServiceSpec
from services.deploy_svc.domain.service_view import ServicePart, ServiceView, ShownService, Surroundings, needs
from services.deploy_svc.store.jsonb import SPEC
from services.kernel.times import shown

# The attributes that answers show as they are stored.
_SHOWN = {field.name for field in fields(ServiceSpec)} & set(pb.Service.DESCRIPTOR.fields_by_name)
_SHOWN -= {"affinity", "links"}
_HIDDEN = {"hooks": {"__all__": {"instances"}}}


def service_to_proto(view: ServiceView) -> pb.Service:
    message = _own(view.service)
    message.MergeFrom(_others(view.around))
    return message


def part(service: Service) -> ServicePart:
    """What is kept of a version of a service."""
    return ServicePart(_own(service).SerializeToString(), service.etag, needs(service), service.stack, service.state)


def joined(service: ShownService) -> bytes:
    """The whole answer, encoded."""
    return service.part.encoded + service.around


def _own(service: Service) -> pb.Service:
    """What depends on the service alone."""
    spec = service.spec
    message = pb.Service(
        **SPEC.dump_python(spec, include=_SHOWN, exclude=_HIDDEN),
        id=service.path,
        name=service.name,
        created_at=shown(service.created_at),
        updated_at=shown(service.updated_at),
        dns=f"{service.name}.{service.domainname}",
        state=service.state,
        grid=pb.ServiceGrid(id=service.grid),
        stack=pb.ServiceStack(id=f"{service.grid}/{service.stack}", name=service.stack),
        revision=service.revision,
        stack_revision=service.stack_revision,
        replicas=spec.instances,
    )
    for secret in message.secrets:
        secret.type = "file" if secret.HasField("path") else "env"
    for certificate in message.certificates:
        certificate.type = "env"
    return message


def _others(around: Surroundings) -> pb.Service:
    """What depends on other objects; it has no member of `_own`."""
    counts = around.counts
    message = pb.Service(
        affinity=around.affinity,
        links=[_link(around.grid, link) for link in around.links],
        instance_counts=pb.InstanceCounts(total=counts.total, running=counts.running),
    )
    if around.checked:
        message.health_status.CopyFrom(
            pb.HealthStatus(healthy=counts.healthy, unhealthy=counts.unhealthy, total=counts.total)
        )
    return message


@lru_cache(maxsize=1000)
def around(surroundings: Surroundings) -> bytes:
    """What depends on other objects, encoded. Most services of a grid have the same as others."""
    return _others(surroundings).SerializeToString()


def _link(grid: str, link: Link) -> pb.Link:
    name = link.service if link.stack == NULL_STACK else f"{link.stack}/{link.service}"
    return pb.Link(id=f"{grid}/{link.stack}/{link.service}", alias=link.alias, name=name)
