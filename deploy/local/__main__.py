"""`python -m deploy.local COMMAND`: what the Makefile calls, and commands for operators."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deploy.database_roles import separate
from deploy.local import bootstrap, probes
from deploy.local.logs import follow
from deploy.local.node import PRETENDED, local_node
from deploy.local.processes import (
    admin_env,
    agent_env,
    database_url,
    envoy_config,
    gateway_env,
    service_database_url,
    service_env,
    suite,
)
from deploy.local.settings import ROOT, SERVICES, WITH_METRICS, LocalSettings, load_secrets
from deploy.local.supervisor import Supervisor

_SECONDS = 120.0
# What a migration may do at once, as none of the services runs.
_NO_REPLICA_RUNS = {"grid": ("seal-tokens",)}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    commands = {
        "up": up,
        "down": down,
        "status": status,
        "logs": logs,
        "admin": admin,
        "vault": vault,
        "restore": restore,
        "log-level": log_level,
    }
    parser.add_argument("command", choices=tuple(commands))
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments)
    # State, keys and logs are for their owner; so is what commands write for the operator.
    os.umask(0o077)
    settings = LocalSettings()
    try:
        return commands[parsed.command](settings, parsed.rest)
    except probes.NotUp as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1


def up(settings: LocalSettings, _rest: Sequence[str]) -> int:
    """Bring everything up and say how to use it. Running parts are left alone."""
    supervisor = Supervisor(settings.var)
    statuses = supervisor.statuses()
    # A suite that an older release started lacks processes of this one.
    if statuses != {process.name: "active" for process in suite(settings)}:
        supervisor.stop()
        _start(settings, supervisor)
    _wait_for_services(settings)
    env = bootstrap.master_env(settings)
    bootstrap.ensure_grid(settings, env["KONTENA_TOKEN"])
    _step("grid", f"{settings.grid}, token in {_short(settings)}/master.env")
    # What the master knows of the node may be from the start before this one.
    since = 0.0 if statuses.get("agent") == "active" else time.time()
    # Only now is there a grid that the agent can join.
    supervisor.start_process("agent")
    node = bootstrap.wait_for_node(settings, env["KONTENA_TOKEN"], since, _SECONDS)
    _step("agent", f"node {node['name']} is online, {_engine(settings, node)}")
    _say(_WELCOME.format(url=settings.url, grid=settings.grid, node=node["name"], var=_short(settings)))
    if local_node(settings).pretends:
        _say(f"\n{PRETENDED}")
    return 0


def _engine(settings: LocalSettings, node: dict[str, Any]) -> str:
    return "without containers" if local_node(settings).pretends else f"Docker Engine {node.get('docker_version')}"


def down(settings: LocalSettings, _rest: Sequence[str]) -> int:
    """Stop everything, the containers of the local node included; data stays in the `var` folder."""
    Supervisor(settings.var).stop()
    removed = _remove_containers(settings)
    _say("stopped" if removed else "stopped, but containers of the local node may still run, see above")
    return 0 if removed else 1


def status(settings: LocalSettings, _rest: Sequence[str]) -> int:
    """Show each process; 0 only when all run."""
    statuses = Supervisor(settings.var).statuses()
    for name, state in sorted(statuses.items()):
        _say(f"{name:12} {state}")
    if not statuses:
        _say("not running; start it with: make up")
    elif local_node(settings).pretends:
        _say(f"\n{PRETENDED}")
    return 0 if statuses and set(statuses.values()) == {"active"} else 1


def logs(settings: LocalSettings, _rest: Sequence[str]) -> int:
    """Follow the logs of all processes; FORMAT=json for machines."""
    as_json = os.environ.get("FORMAT", "") == "json"
    found = follow(settings.var / "logs", as_json=as_json, colored=sys.stdout.isatty())
    if found != 0:
        _say("there are no logs yet; start the suite with: make up")
    return found


def admin(settings: LocalSettings, rest: Sequence[str]) -> int:
    """Run an offline command for operators (deploy/admin.py) in the suite's environment."""
    env = admin_env(settings, load_secrets(settings))
    # Files are named from where the operator is.
    more = _where_to_look(settings) if rest[:1] == ["debug"] else []
    return subprocess.call([sys.executable, "-m", "deploy.admin", *rest, *more], env=env)  # noqa: S603


def _where_to_look(settings: LocalSettings) -> list[str]:
    metrics = [f"--metrics={name}={settings.metrics_address(name)}" for name in WITH_METRICS]
    return [f"--logs={settings.var / 'logs'}", *metrics]


def restore(settings: LocalSettings, rest: Sequence[str]) -> int:
    """Bring a backup back; nodes and their containers go on meanwhile."""
    if len(rest) != 1:
        raise probes.NotUp("say which: make restore FILE=<backup>")
    # Only here: all other commands are spared what reads backups.
    from deploy.local import restoring  # noqa: PLC0415

    before = restoring.restore(settings, Path(rest[0]))
    _say(f"restored; the database of before is in {_short(before)}" if before else "restored")
    if not Supervisor(settings.var).is_running():
        _say("start it: make up")
        return 0
    _wait_for_services(settings)
    return 0


def vault(settings: LocalSettings, rest: Sequence[str]) -> int:
    """Run an offline command of vault_svc in the suite's environment."""
    passphrase = {name: value for name, value in os.environ.items() if name == "VAULT_EXPORT_PASSPHRASE"}
    env = {**service_env(settings, load_secrets(settings), "vault"), **passphrase}
    # Files are named from where the operator is.
    return subprocess.call([sys.executable, "-m", "services.vault_svc", *rest], env=env)  # noqa: S603


def log_level(settings: LocalSettings, rest: Sequence[str]) -> int:
    """`debug` makes the logs of all processes as detailed as they get, `info` ends that; nothing is restarted."""
    numbers = {"debug": signal.SIGUSR1, "info": signal.SIGUSR2}
    if len(rest) != 1 or rest[0] not in numbers:
        raise probes.NotUp("say which: log-level debug, or info")
    supervisor = Supervisor(settings.var)
    for name in [process.name for process in suite(settings) if process.is_ours]:
        supervisor.signal(name, numbers[rest[0]])
    return 0


def _remove_containers(settings: LocalSettings) -> bool:
    """The next `up` makes them again, as the master wants them."""
    if not (settings.var / "agent").exists():
        return True
    command = [sys.executable, "-m", "agent", "remove-containers"]
    env = agent_env(settings, load_secrets(settings))
    return subprocess.run(command, check=False, cwd=ROOT, env=env, stdout=subprocess.DEVNULL).returncode == 0  # noqa: S603


def _start(settings: LocalSettings, supervisor: Supervisor) -> None:
    taken = [port for port in settings.ports() if not probes.port_is_free(port)]
    if taken:
        ports = ", ".join(map(str, taken))
        raise probes.NotUp(f"port {ports} is in use by another program. Choose others: KONTENA_PORT, KONTENA_PORT_BASE")
    load_secrets(settings)
    render = [sys.executable, "-m", "gateway", "render", str(envoy_config(settings))]
    subprocess.run(render, check=True, cwd=ROOT, env=gateway_env(settings))  # noqa: S603
    processes = suite(settings)
    supervisor.start(processes)
    url = database_url(settings)
    log = None if settings.database_url else settings.log_of("postgres")
    probes.wait_until("Postgres did not answer", lambda: probes.postgres_answers(url), seconds=_SECONDS, log=log)
    if not settings.database_url:
        asyncio.run(separate(url, {name: service_database_url(settings, name) for name in SERVICES}))
    _step("postgres", "answers")
    _migrate(settings)
    _step("migrations", ", ".join(SERVICES))
    for process in processes:
        if process.name not in ("postgres", "agent"):
            supervisor.start_process(process.name)


def _migrate(settings: LocalSettings) -> None:
    path = settings.var / "logs" / "migrations.log"
    with path.open("ab") as log:
        running = {
            name: subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", f"services.{name}_svc", "migrate", *_NO_REPLICA_RUNS.get(name, ())],
                cwd=ROOT,
                env=service_env(settings, load_secrets(settings), name),
                stdout=log,
                stderr=log,
            )
            for name in SERVICES
        }
        failed = [name for name, process in running.items() if process.wait(_SECONDS) != 0]
    if failed:
        last = path.read_text().strip().splitlines()[-1:]
        raise probes.NotUp(f"the migration of {', '.join(failed)} failed: {''.join(last)[:300]}. See {_short(path)}")


def _wait_for_services(settings: LocalSettings) -> None:
    for name in SERVICES:
        serves = partial(probes.service_serves, settings.address(name))
        probes.wait_until(f"{name}_svc was not healthy", serves, seconds=_SECONDS, log=settings.log_of(f"{name}_svc"))
        _step(f"{name}_svc", "serves")
    probes.wait_until(
        "the exec bridge did not answer",
        lambda: probes.http_status(f"http://{settings.exec_bridge_address}/healthz") == 200,
        seconds=_SECONDS,
        log=settings.log_of("exec_bridge"),
    )
    _step("exec_bridge", "answers")
    probes.wait_until(
        "the gateway did not answer",
        # It knows all of them, and one route through every hop: without a token the answer of auth_svc is 401.
        lambda: [probes.http_status(settings.url + path) for path in ("/readyz", "/v1/user")] == [200, 401],
        seconds=_SECONDS,
        log=settings.log_of("gateway"),
    )
    _step("gateway", f"answers at {settings.url}")


def _short(path: LocalSettings | Path) -> str:
    """A path, the `var` folder by default, as one would type it here."""
    whole = (path.var if isinstance(path, LocalSettings) else path).absolute()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def _step(part: str, words: str) -> None:
    _say(f"{part:12} {words}")


def _say(text: str) -> None:
    # At once, also into a pipe: somebody is waiting.
    print(text, flush=True)  # noqa: T201


_WELCOME = """
Kontena Master is up at {url}; node {node} is online in grid {grid}.

  set -a; . {var}/master.env; set +a        # KONTENA_URL, KONTENA_TOKEN, KONTENA_GRID
  curl -H "Authorization: Bearer $KONTENA_TOKEN" $KONTENA_URL/v1/grids/$KONTENA_GRID/nodes

Next: make demo, make status, make logs, make down"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
