"""Services as answers show them (spec/deploy_rest.md section 4.2)."""

from kontena.deploy.v1 import service_pb2 as pb
from services.deploy_svc.convert.times import to_timestamp
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import DeployOpts, HealthCheck, Link, ServiceSpec
from services.deploy_svc.domain.service_view import ServiceView


def service_to_proto(view: ServiceView) -> pb.Service:
    """The whole answer."""
    service, spec = view.service, view.service.spec
    message = pb.Service(
        id=service.path,
        name=service.name,
        created_at=to_timestamp(service.created_at),
        updated_at=to_timestamp(service.updated_at),
        affinity=view.affinity,
        dns=f"{service.name}.{service.domainname}",
        state=service.state,
        grid=pb.ServiceGrid(id=service.grid),
        stack=pb.ServiceStack(id=f"{service.grid}/{service.stack}", name=service.stack),
        links=[_link(service, link) for link in view.links],
        instance_counts=pb.InstanceCounts(total=view.total, running=view.running),
        revision=service.revision,
        stack_revision=service.stack_revision,
        instances=spec.instances,
        replicas=spec.instances,
    )
    _scalars(message, spec)
    _lists(message, spec)
    if spec.health_check is not None:
        message.health_check.CopyFrom(health_check_to_proto(spec.health_check))
        message.health_status.CopyFrom(
            pb.HealthStatus(healthy=view.healthy, unhealthy=view.unhealthy, total=view.total)
        )
    return message


def health_check_to_proto(check: HealthCheck) -> pb.HealthCheck:
    """A health check."""
    return pb.HealthCheck(
        protocol=check.protocol,
        uri=check.uri,
        port=check.port,
        timeout=check.timeout,
        initial_delay=check.initial_delay,
        interval=check.interval,
    )


def _scalars(message: pb.Service, spec: ServiceSpec) -> None:
    message.MergeFrom(
        pb.Service(
            image=spec.image,
            stateful=spec.stateful,
            user=spec.user,
            entrypoint=spec.entrypoint,
            net=spec.net,
            strategy=spec.strategy,
            memory=spec.memory,
            memory_swap=spec.memory_swap,
            shm_size=spec.shm_size,
            cpu_shares=spec.cpu_shares,
            cpus=spec.cpus,
            log_driver=spec.log_driver,
            log_opts=spec.log_opts,
            deploy_opts=_deploy_opts(spec.deploy_opts),
            pid=spec.pid,
            read_only=spec.read_only,
            stop_signal=spec.stop_signal,
            stop_grace_period=spec.stop_grace_period,
        )
    )


def _lists(message: pb.Service, spec: ServiceSpec) -> None:
    message.MergeFrom(
        pb.Service(
            cmd=spec.cmd,
            env=spec.env,
            volumes=spec.volumes,
            volumes_from=spec.volumes_from,
            cap_add=spec.cap_add,
            cap_drop=spec.cap_drop,
            ports=[
                pb.Port(ip=p.ip, protocol=p.protocol, node_port=p.node_port, container_port=p.container_port)
                for p in spec.ports
            ],
            secrets=[pb.ServiceSecret(secret=s.secret, name=s.name, type="env") for s in spec.secrets],
            certificates=[pb.ServiceCertificate(subject=c.subject, name=c.name, type="env") for c in spec.certificates],
            hooks=[pb.Hook(name=h.name, type=h.type, cmd=h.cmd, oneshot=h.oneshot) for h in spec.hooks],
        )
    )


def _deploy_opts(opts: DeployOpts) -> pb.DeployOpts:
    return pb.DeployOpts(
        wait_for_port=opts.wait_for_port, min_health=opts.min_health, interval=opts.interval, rollback=opts.rollback
    )


def _link(service: Service, link: Link) -> pb.Link:
    name = link.service if link.stack == NULL_STACK else f"{link.stack}/{link.service}"
    return pb.Link(id=f"{service.grid}/{link.stack}/{link.service}", alias=link.alias, name=name)
