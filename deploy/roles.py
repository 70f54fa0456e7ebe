"""What a container of the suite's images does: the role is its command.

docker run ... IMAGE auth_svc | grid_svc | deploy_svc | vault_svc | exec_bridge | gateway | agent
docker run ... IMAGE migrate              brings the schemas of all services up to date
docker run ... IMAGE database-roles       gives each service a role in Postgres that owns its schemas only
docker run ... IMAGE admin COMMAND ...    operators' commands: accounts, `backup`, `restore`; `vault ...`: of vault_svc
docker run ... IMAGE backup [--once]      makes backups by itself, see BACKUP_FOLDER; or one now
docker run ... IMAGE identities FOLDER    makes and renews the certificates that the parts have for one another
docker run ... IMAGE health               whether what this container runs is healthy: its health check

Words after a role are given to its program. Settings are environment variables (docs/operations/settings.md).
"""

import os
import subprocess
import sys

SERVICES = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")

# What Python runs in each role.
ROLES: dict[str, tuple[str, ...]] = {
    **{name: ("-m", f"services.{name}") for name in SERVICES},
    "exec_bridge": ("-m", "gateway.exec_bridge"),
    "gateway": ("-m", "gateway", "run"),
    "agent": ("-m", "agent"),
    "admin": ("-m", "deploy.admin"),
    "backup": ("-m", "deploy.backup", "scheduled"),
    "vault": ("-m", "services.vault_svc"),
    "database-roles": ("-m", "deploy.database_roles"),
    "identities": ("-m", "deploy.identities"),
    "health": ("-m", "deploy.health"),
}


def main(arguments: list[str]) -> int:
    """Become the role; 2 with the usage for anything else."""
    if arguments == ["migrate"]:
        return migrate()
    if arguments and arguments[0] in ROLES:
        words = [sys.executable, *ROLES[arguments[0]], *arguments[1:]]
        os.execv(words[0], words)  # noqa: S606 -- one of the lines above, no shell.
    sys.stderr.write(f"{__doc__}\n")
    return 2


def migrate() -> int:
    """Make the roles of the services where ADMIN_DATABASE_URL is set, then migrate one schema after the other; ends
    with the exit code of the first that fails. Repeating it is harmless."""
    if os.environ.get("ADMIN_DATABASE_URL"):
        done = subprocess.run([sys.executable, *ROLES["database-roles"]], check=False)  # noqa: S603
        if done.returncode:
            return done.returncode
    for name in SERVICES:
        done = subprocess.run([sys.executable, "-m", f"services.{name}", "migrate"], check=False)  # noqa: S603
        if done.returncode:
            sys.stderr.write(f"migrate: {name} failed; nothing after it was touched\n")
            return done.returncode
    return 0


def role_of(command_line: list[str]) -> str | None:
    """The role that a process with this command line has."""
    return next((name for name, words in ROLES.items() if tuple(command_line[1 : 1 + len(words)]) == words), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
