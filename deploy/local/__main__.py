"""`python -m deploy.local up|down|status|logs|admin|vault`: what the Makefile calls, and commands for operators."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from deploy.local import bootstrap, postgres, probes
from deploy.local.processes import agent_env, envoy_config, gateway_env, service_env, suite
from deploy.local.settings import ROOT, SERVICES, LocalSettings, load_secrets
from deploy.local.supervisor import Supervisor

_SECONDS = 120.0


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    commands = {"up": up, "down": down, "status": status, "logs": logs, "admin": admin, "vault": vault}
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
    # A suite that an older release started lacks processes of this one.
    if supervisor.statuses() != {process.name: "active" for process in suite(settings)}:
        supervisor.stop()
        _start(settings, supervisor)
    _wait_for_services(settings)
    env = bootstrap.master_env(settings)
    bootstrap.ensure_grid(settings, env["KONTENA_TOKEN"])
    # Only now is there a grid that the agent can join.
    supervisor.start_process("agent")
    node = bootstrap.wait_for_node(settings, env["KONTENA_TOKEN"], _SECONDS)
    _say(_WELCOME.format(url=settings.url, grid=settings.grid, node=node["name"], var=_short(settings)))
    if node.get("docker_version") in (None, "", "hollow"):
        _say(_HOLLOW)
    return 0


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
    return 0 if statuses and set(statuses.values()) == {"active"} else 1


def logs(settings: LocalSettings, _rest: Sequence[str]) -> int:
    """Follow the logs of all processes."""
    files = sorted(str(path) for path in (settings.var / "logs").glob("*.log"))
    return subprocess.call(["tail", "-n", "20", "-F", *files]) if files else 1  # noqa: S603, S607


def admin(settings: LocalSettings, rest: Sequence[str]) -> int:
    """Run an offline admin command of auth_svc in the suite's environment."""
    env = service_env(settings, load_secrets(settings), "auth")
    command = [sys.executable, "-m", "services.auth_svc", "admin", *rest]
    return subprocess.call(command, cwd=ROOT, env=env)  # noqa: S603


def vault(settings: LocalSettings, rest: Sequence[str]) -> int:
    """Run an offline command of vault_svc in the suite's environment."""
    passphrase = {name: value for name, value in os.environ.items() if name == "VAULT_EXPORT_PASSPHRASE"}
    env = {**service_env(settings, load_secrets(settings), "vault"), **passphrase}
    # Files are named from where the operator is.
    return subprocess.call([sys.executable, "-m", "services.vault_svc", *rest], env=env)  # noqa: S603


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
    url = postgres.url(settings.var)
    hint = f"See {_short(settings)}/logs/postgres.log."
    probes.wait_until("Postgres did not answer", lambda: probes.postgres_answers(url), seconds=_SECONDS, hint=hint)
    _migrate(settings)
    for process in processes[1:-1]:
        supervisor.start_process(process.name)


def _migrate(settings: LocalSettings) -> None:
    running = {
        name: subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", f"services.{name}_svc", "migrate"],
            cwd=ROOT,
            env=service_env(settings, load_secrets(settings), name),
        )
        for name in SERVICES
    }
    failed = [name for name, process in running.items() if process.wait(_SECONDS) != 0]
    if failed:
        raise probes.NotUp(f"the migration of {', '.join(failed)} failed, see above")


def _wait_for_services(settings: LocalSettings) -> None:
    for name in SERVICES:
        hint = f"See {_short(settings)}/logs/{name}_svc.log."
        serves = partial(probes.service_serves, settings.address(name))
        probes.wait_until(f"{name}_svc was not healthy", serves, seconds=_SECONDS, hint=hint)
    probes.wait_until(
        "the exec bridge did not answer",
        lambda: probes.http_status(f"http://{settings.exec_bridge_address}/healthz") == 200,
        seconds=_SECONDS,
        hint=f"See {_short(settings)}/logs/exec_bridge.log.",
    )
    probes.wait_until(
        "the gateway did not answer",
        # It knows all of them, and one route through every hop: without a token the answer of auth_svc is 401.
        lambda: [probes.http_status(settings.url + path) for path in ("/readyz", "/v1/user")] == [200, 401],
        seconds=_SECONDS,
        hint=f"See {_short(settings)}/logs/gateway.log.",
    )


def _short(settings: LocalSettings) -> str:
    return os.path.relpath(settings.var)


def _say(text: str) -> None:
    print(text)  # noqa: T201


_WELCOME = """Kontena Master is up at {url}; node {node} is online in grid {grid}.

  set -a; . {var}/master.env; set +a        # KONTENA_URL, KONTENA_TOKEN, KONTENA_GRID
  curl -H "Authorization: Bearer $KONTENA_TOKEN" $KONTENA_URL/v1/grids/$KONTENA_GRID/nodes

Next: make demo, make status, make logs, make down"""

_HOLLOW = """
WARNING: no Docker Engine was found, so the node only pretends to run containers (hollow runtime).
         Start an engine, or set DOCKER_HOST, then: make down up"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
