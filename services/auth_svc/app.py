"""Composition root of auth_svc."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from services.auth_svc.clients.provider import ProviderClient
from services.auth_svc.loops import audit_retention, ended_tokens
from services.auth_svc.servicers.access_tokens import AccessTokenServicer
from services.auth_svc.servicers.audit import AuditIngestServicer
from services.auth_svc.servicers.audit_logs import AuditLogServicer
from services.auth_svc.servicers.config import ConfigServicer
from services.auth_svc.servicers.grid_users import GridUserServicer
from services.auth_svc.servicers.introspection import IntrospectionServicer
from services.auth_svc.servicers.memberships import GridMembershipServicer
from services.auth_svc.servicers.oauth import OAuthServicer
from services.auth_svc.servicers.users import UserServicer
from services.auth_svc.settings import Settings
from services.auth_svc.store import tables
from services.auth_svc.store.invalidations import CHANNEL
from services.auth_svc.usecases.access_tokens import AccessTokens
from services.auth_svc.usecases.administration import Administration
from services.auth_svc.usecases.audit_logs import AuditLogs
from services.auth_svc.usecases.bootstrap import Bootstrap
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.grid_users import GridUsers
from services.auth_svc.usecases.introspection import Introspection
from services.auth_svc.usecases.invitations import Invitations
from services.auth_svc.usecases.logins import Logins
from services.auth_svc.usecases.memberships import Memberships
from services.auth_svc.usecases.minting import Mint
from services.auth_svc.usecases.oauth import OAuth
from services.auth_svc.usecases.users import Users
from services.clients import grids
from services.kernel import audit
from services.kernel.authn import Authenticator
from services.kernel.client import Channels
from services.kernel.db import Database
from services.kernel.entry import Program
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor
from services.kernel.schema import Migrations
from services.kernel.server import Application
from services.kernel.watch import Watch

# How often followers are compared with the database.
_RESYNC_SECONDS = 60.0
_MIGRATIONS = Path(__file__).parent / "migrations"


async def build(settings: Settings) -> Application:
    """Everything of one process, not yet running."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    listener = Listener(settings.database_url, [CHANNEL])
    channels = Channels(settings, "auth_svc")
    directory = grids.GridDirectory(channels.to("grid"))
    mint = Mint(settings.digest_key())
    introspection = Introspection(db, listener, mint)
    audit_logs = AuditLogs(db, directory)
    config = Config(db, settings.keyring())
    bootstrap = Bootstrap(db, mint, config, _initial_code(settings), settings.seeds())
    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    supervisor.add("grids", directory.informer.run)
    supervisor.add("outbox", partial(tables.outbox.relay, db, {audit.TOPIC: audit_logs.deliver}))
    supervisor.every("ended_tokens", ended_tokens.PERIOD_SECONDS, partial(ended_tokens.forget_ended_tokens, db))
    if settings.audit_retention_days:
        kept = timedelta(days=settings.audit_retention_days)
        forget = partial(audit_retention.forget_old_entries, db, kept)
        supervisor.every("audit_retention", audit_retention.PERIOD_SECONDS, forget)
    oauth = OAuthServicer(
        OAuth(db, mint, directory, settings),
        Invitations(db, mint, config, lasts=timedelta(hours=settings.invitation_hours)),
        Logins(db, mint, config=config, introspection=introspection, provider=ProviderClient()),
        config,
    )
    tokens = AccessTokenServicer(AccessTokens(db, mint), config)

    async def close() -> None:
        await channels.close()
        await db.close()

    servicers = (
        oauth,
        tokens,
        UserServicer(Users(db)),
        GridUserServicer(GridUsers(db, directory)),
        ConfigServicer(config),
        AuditLogServicer(audit_logs),
        IntrospectionServicer(introspection),
        GridMembershipServicer(Memberships(db, Watch(db, listener, _RESYNC_SECONDS))),
        AuditIngestServicer(audit_logs),
    )
    return Application(
        # No stream of this service belongs to a user, so nobody listens.
        authenticator=Authenticator(channels.tokens, introspection.resolve, servicers, lambda _listener: None),
        servicers=servicers,
        supervisor=supervisor,
        schema=partial(Migrations(_MIGRATIONS, str(tables.metadata.schema)).check, db),
        ready=db.ping,
        close=close,
        begin=bootstrap.run,
    )


@asynccontextmanager
async def administration(settings: Settings) -> AsyncIterator[Administration]:
    """The offline admin commands; they need the database and the secrets, and no running service."""
    db = Database(settings.database_url, pool_size=1)
    channels = Channels(settings, "auth_svc")
    try:
        yield Administration(
            db,
            Mint(settings.digest_key()),
            config=Config(db, settings.keyring()),
            grids=grids.GridDirectory(channels.to("grid")),
        )
    finally:
        await channels.close()
        await db.close()


def _initial_code(settings: Settings) -> str | None:
    return settings.initial_admin_code.get_secret_value() if settings.initial_admin_code else None


PROGRAM = Program("auth_svc", Settings, build, _MIGRATIONS, tables.metadata)
