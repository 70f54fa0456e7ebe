"""Configs on the wire."""

from kontena.deploy.v1 import grid_config_pb2 as pb
from services.deploy_svc.domain.grid_config import ConfigView
from services.kernel.times import shown


def config_to_proto(view: ConfigView) -> pb.GridConfig:
    """The whole answer; without a text in lists."""
    config = view.config
    return pb.GridConfig(
        id=config.path,
        name=config.name,
        content=view.content,
        size=config.size,
        created_at=shown(config.created_at),
        updated_at=shown(config.updated_at),
        services=[pb.GridConfigUser(id=path, name=name) for path, name in view.services],
    )
