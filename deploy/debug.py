"""`admin debug bundle FILE`: what helps to find out what is wrong, in one archive without any secret value.

It has the settings, what the database is like, what the services say of their health, and, on one machine, metrics and
the end of the logs. `-` writes it to standard output, for containers whose file system cannot be written.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import grpc
import httpx
from asyncpg import Connection
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.backup import installation
from services.kernel.addresses import parse
from services.kernel.identity import Identity
from services.kernel.postgres import connect
from services.kernel.settings import variables
from services.kernel.version import VERSION

HIDDEN = "[redacted]"
_LOG_BYTES = 2_000_000
_SECONDS = 3.0
_SHORTEST = 6

# Names and numbers only: values, texts of statements and addresses of people stay where they are.
_QUERIES = {
    "server": "select version(), pg_is_in_recovery() as standby, pg_postmaster_start_time()::text as since,"
    " pg_size_pretty(pg_database_size(current_database())) as size",
    "settings": "select name, setting, unit from pg_settings"
    " where source not in ('default', 'client') and name !~ 'file|conninfo'",
    "connections": "select application_name, state, wait_event_type, wait_event, count(*) as number,"
    " max(extract(epoch from now() - state_change))::int as longest_seconds from pg_stat_activity"
    " where datname = current_database() group by 1, 2, 3, 4",
    "waiting_locks": "select locktype, mode, count(*) as number from pg_locks where not granted group by 1, 2",
    "tables": "select schemaname as schema, relname as name, n_live_tup as rows, n_dead_tup as dead,"
    " pg_total_relation_size(relid) as bytes, last_autovacuum::text from pg_stat_user_tables order by 5 desc",
}
_OF_EACH = {
    "{service}_revision": 'select version_num from "{service}".alembic_version',
    "{service}_outbox": 'select topic, count(*) as number, max(attempts) as tries from "{service}".outbox group by 1',
}
_OF_ONE = {
    "grid": {
        "nodes": "select g.name as grid, n.name, n.agent_version, n.connected, n.last_seen_at::text"
        " from grid.nodes n join grid.grids g on g.id = n.grid_id order by 1, 2"
    },
    "deploy": {
        "deploys_under_way": "select id, cause, state, reason, created_at::text"
        " from deploy.service_deploys where finished_at is null"
    },
}


def main(arguments: Sequence[str]) -> int:
    """Write a bundle; what cannot be found out is named in it and does not end it."""
    parser = argparse.ArgumentParser(prog="admin debug", description=__doc__)
    parser.add_argument("command", choices=("debug",))
    parser.add_argument("what", choices=("bundle",))
    parser.add_argument("file")
    parser.add_argument("--logs", type=Path, help="folder with logs")
    parser.add_argument("--metrics", action="append", default=[], metavar="NAME=HOST:PORT", help="may be repeated")
    options = parser.parse_args(arguments)
    metrics = dict(one.split("=", 1) for one in options.metrics)
    parts = asyncio.run(collect(os.environ, metrics)) | (_logs(options.logs) if options.logs else {})
    try:
        data = archive(parts, secrets(os.environ))
        _write(options.file, data)
    except OSError as error:
        sys.stderr.write(f"debug bundle: {error}\n")
        return 1
    return 0


async def collect(environment: Mapping[str, str], metrics: Mapping[str, str]) -> dict[str, str]:
    """The parts of a bundle by file name."""
    found = {
        "about.json": {
            "release": VERSION,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
        },
        "settings.json": _settings(environment),
        "database.json": await _database(environment),
        "health.json": await asyncio.to_thread(_health, environment),
    }
    texts = {name: json.dumps(content, indent=1, default=str) for name, content in found.items()}
    return texts | {f"metrics/{name}.txt": await _metrics(address, environment) for name, address in metrics.items()}


def secrets(environment: Mapping[str, str]) -> set[str]:
    """Every value that must be in no bundle, wherever it would come from."""
    urls = [value for name, value in environment.items() if name.endswith("DATABASE_URL")]
    written = {urlsplit(url).password or "" for url in urls}
    passwords = written | {unquote(one) for one in written}
    named = {value for name, value in environment.items() if name in _secret_names(environment)}
    return {
        one
        for value in (*installation.keys(environment).values(), *passwords, *named)
        for one in value.split(",")
        if one
    }


def archive(parts: Mapping[str, str], hidden: set[str]) -> bytes:
    """A gzipped tar archive of the parts, with everything that is secret taken out."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name, text in sorted(parts.items()):
            data = redacted(text, hidden).encode()
            entry = tarfile.TarInfo(f"kontena-debug/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return output.getvalue()


def redacted(text: str, hidden: set[str]) -> str:
    """Without the secret values, the longest first, as one may be part of another."""
    for value in sorted((one for one in hidden if len(one) >= _SHORTEST), key=len, reverse=True):
        for form in (value, json.dumps(value)[1:-1]):
            text = text.replace(form, HIDDEN)
    return text


def _secret_names(environment: Mapping[str, str]) -> set[str]:
    """What is secret by its name, settings of other processes included."""
    words = ("SECRET", "PASSWORD", "PASSPHRASE", "TOKEN", "KEY", "CODE")
    return {name for name in environment if name.endswith(words)}


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that our processes read: values, but of what is secret only whether it is set."""
    names = {name for cls in installation.SERVICE_SETTINGS.values() for field in variables(cls) for name in field}
    names |= {name for name in environment if name.startswith(("KONTENA_", "GATEWAY_", "BACKUP_"))}
    hidden = set(installation.keys(environment)) | _secret_names(environment)
    return {name: HIDDEN if name in hidden else environment[name] for name in sorted(names) if name in environment}


async def _database(environment: Mapping[str, str]) -> dict[str, Any]:
    """What each role of the services sees, by the services that have it."""
    services: dict[str, list[str]] = {}
    for name in installation.SERVICE_SETTINGS:
        url = environment.get(f"{name.upper()}_DATABASE_URL") or environment.get("DATABASE_URL", "")
        services.setdefault(url, []).append(name)
    return {", ".join(names): await _seen(url, names) for url, names in services.items()}


async def _seen(url: str, services: list[str]) -> dict[str, Any] | str:
    queries = dict(_QUERIES)
    for service in services:
        queries |= {name.format(service=service): query.format(service=service) for name, query in _OF_EACH.items()}
        queries |= _OF_ONE.get(service, {})
    if not url:
        return "no URL of it is set here"
    try:
        connection = await connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return f"cannot be reached: {error}"
    try:
        return {name: await _rows(connection, query) for name, query in queries.items()}
    finally:
        await connection.close()


async def _rows(connection: Connection, query: str) -> list[dict[str, Any]] | str:
    try:
        return [dict(row) for row in await connection.fetch(query, timeout=_SECONDS)]
    except (TimeoutError, asyncpg.PostgresError) as error:
        return f"not known: {error!r}"


def _health(environment: Mapping[str, str]) -> dict[str, str]:
    """What each replica says of itself."""
    found = {}
    for service in installation.SERVICE_SETTINGS:
        for host, port in parse(environment.get(f"{service.upper()}_ADDRESS") or "127.0.0.1:0"):
            try:
                with _channel(environment, f"{service}-svc", f"{host}:{port}") as channel:
                    request = health_pb2.HealthCheckRequest()
                    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_SECONDS)
                told = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            except (grpc.RpcError, ValueError) as error:
                told = str(error)
            found[f"{service}_svc at {host}:{port}"] = told
    return found


def _channel(environment: Mapping[str, str], name: str, address: str) -> grpc.Channel:
    folder = environment.get("MTLS_FOLDER")
    if not folder:
        return grpc.insecure_channel(address)
    credentials = Identity(Path(folder)).files().channel_credentials()
    return grpc.secure_channel(address, credentials, options=[("grpc.ssl_target_name_override", name)])


async def _metrics(address: str, environment: Mapping[str, str]) -> str:
    token = environment.get("METRICS_TOKEN", "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, headers=headers) as client:
            return (await client.get(f"http://{address}/metrics")).text
    except httpx.HTTPError as error:
        return f"not known: {error!r}"


def _logs(folder: Path) -> dict[str, str]:
    """The end of each."""
    found = {}
    for file in sorted(folder.glob("*.log")):
        with file.open("rb") as source:
            source.seek(max(0, file.stat().st_size - _LOG_BYTES))
            found[f"logs/{file.name}"] = source.read().decode(errors="replace")
    return found


def _write(file: str, data: bytes) -> None:
    if file == "-":
        sys.stdout.buffer.write(data)
        return
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
