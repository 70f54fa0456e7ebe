"""What a new machine runs to become a node: scripts for sh, made of checked words only."""

import re
import shlex
from dataclasses import dataclass

_URI = re.compile(
    r"(https?)://([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?/?"
)
_FOLDER = "/etc/kontena-agent"

_UNIT = f"""[Unit]
Description=Kontena agent
Wants=network-online.target
After=network-online.target docker.service

[Service]
WorkingDirectory=/opt/kontena
EnvironmentFile={_FOLDER}/environment
ExecStart=/opt/kontena/.venv/bin/python -m agent
Restart=always
RestartSec=5
KillMode=process
UMask=0077

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Master:
    """Where the master is, and whom to trust for its certificate: PEM, or empty for whom the machine trusts."""

    uri: str
    ca: str = ""

    @property
    def secure(self) -> bool:
        """Whether nodes speak TLS to it."""
        return self.uri.startswith("https://")


def master(uri: str, ca: str) -> Master | None:
    """The master at an address like `https://HOST:PORT`; None for anything else."""
    found = _URI.fullmatch(uri)
    if found is None or (found[3] and not 0 < int(found[3]) <= 65535):
        return None
    kept = uri.rstrip("/")
    return Master(kept, ca if found[1] == "https" else "")


def systemd(grid: str, token: str, master: Master) -> str:
    """For a machine with the agent in /opt/kontena."""
    return "\n".join(
        (
            *_head(grid, master),
            "test -x /opt/kontena/.venv/bin/python ||",
            "  { echo 'first get the code of the master into /opt/kontena, and run make setup there' >&2; exit 1; }",
            *_files(token, master),
            *_here("/etc/systemd/system/kontena-agent.service", _UNIT),
            "systemctl daemon-reload",
            "systemctl enable kontena-agent",
            "systemctl restart kontena-agent",
            "",
        )
    )


def container(grid: str, token: str, master: Master, image: str) -> str:
    """For a machine with an engine that can get the image."""
    return "\n".join(
        (
            *_head(grid, master),
            *_files(token, master),
            "docker rm -f kontena-agent >/dev/null 2>&1 || true",
            "docker run -d --name kontena-agent --restart always --network host \\",
            # For files in containers, which the agent gives to their users.
            "  --read-only --tmpfs /tmp --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges \\",
            "  -v /run/kontena:/run/kontena \\",
            "  -v /var/run/docker.sock:/var/run/docker.sock -v kontena-agent:/var/lib/kontena-agent \\",
            f"  -v {_FOLDER}:{_FOLDER}:ro --env-file {_FOLDER}/environment \\",
            f'  -e KONTENA_NODE_NAME="$(uname -n)" {image}',
            "",
        )
    )


def _head(grid: str, master: Master) -> tuple[str, ...]:
    plain = () if master.secure else ("# Without TLS whoever listens on the way reads the token and all secrets.",)
    return (
        f"# Makes this machine a node of the grid {grid}, as root. Whoever has this text can do so.",
        *plain,
        "set -eu",
    )


def _files(token: str, master: Master) -> tuple[str, ...]:
    host = master.uri.partition("://")[2].rpartition(":")[0] or master.uri.partition("://")[2]
    settings = [f"KONTENA_URI={master.uri}", f"KONTENA_GRID_TOKEN_FILE={_FOLDER}/grid-token"]
    if master.ca:
        settings.append(f"KONTENA_CA_FILE={_FOLDER}/master-ca.pem")
    if not master.secure:
        settings.append(f"KONTENA_PLAIN_TEXT_HOSTS={host}")
    return (
        "umask 077",
        f"mkdir -p {_FOLDER}",
        f"printf %s {shlex.quote(token)} > {_FOLDER}/grid-token",
        *(_here(f"{_FOLDER}/master-ca.pem", master.ca) if master.ca else ()),
        *_here(f"{_FOLDER}/environment", "\n".join(settings)),
    )


def _here(path: str, text: str) -> tuple[str, ...]:
    """Lines that write a file. The text is ours or PEM, so none of its lines ends it."""
    return (f"cat > {path} <<'END_OF_FILE'", text.strip(), "END_OF_FILE")
