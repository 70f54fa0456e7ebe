"""Services as answers show them (docs/spec/deploy_rest.md section 4.2)."""

from dataclasses import fields

from kontena.deploy.v1 import service_pb2 as pb
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import Link, ServiceSpec
from services.deploy_svc.domain.service_view import ServiceView
from services.deploy_svc.store.jsonb import SPEC
from services.kernel.times import shown

# The attributes that answers show as they are stored.
_SHOWN = {field.name for field in fields(ServiceSpec)} & set(pb.Service.DESCRIPTOR.fields_by_name)
_SHOWN -= {"affinity", "links"}
_HIDDEN = {"hooks": {"__all__": {"instances"}}}


def service_to_proto(view: ServiceView) -> pb.Service:
    """The whole answer."""
    service, spec = view.service, view.service.spec
    message = pb.Service(
        **SPEC.dump_python(spec, include=_SHOWN, exclude=_HIDDEN),
        id=service.path,
        name=service.name,
        created_at=shown(service.created_at),
        updated_at=shown(service.updated_at),
        affinity=view.affinity,
        dns=f"{service.name}.{service.domainname}",
        state=service.state,
        grid=pb.ServiceGrid(id=service.grid),
        stack=pb.ServiceStack(id=f"{service.grid}/{service.stack}", name=service.stack),
        links=[_link(service, link) for link in view.links],
        instance_counts=pb.InstanceCounts(total=view.total, running=view.running),
        revision=service.revision,
        stack_revision=service.stack_revision,
        replicas=spec.instances,
    )
    for secret in message.secrets:
        secret.type = "env"
    for certificate in message.certificates:
        certificate.type = "env"
    if spec.health_check is not None:
        message.health_status.CopyFrom(
            pb.HealthStatus(healthy=view.healthy, unhealthy=view.unhealthy, total=view.total)
        )
    return message


def _link(service: Service, link: Link) -> pb.Link:
    name = link.service if link.stack == NULL_STACK else f"{link.stack}/{link.service}"
    return pb.Link(id=f"{service.grid}/{link.stack}/{link.service}", alias=link.alias, name=name)
