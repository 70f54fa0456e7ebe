"""Which address a replica that listens on all addresses gives to the others. Each case has a network of its own."""

import subprocess
import sys

import pytest

from gateway.settings import REPOSITORY

ASK = """
from services.deploy_svc.own_address import own_address
from services.deploy_svc.settings import Settings
print(own_address(Settings(cluster_secret="x" * 16, database_url="{database}", {more})))
"""
TWO_NETWORKS = (
    "ip link add wide type bridge; ip link set wide up; ip addr add 10.9.8.7/24 dev wide; "
    "ip link add data type bridge; ip link set data up; ip addr add 10.77.0.5/24 dev data; "
    "ip route add default via 10.9.8.1; "
)
LOCAL, ELSEWHERE = "postgresql:///x?host=/run/postgres", "postgresql://u:p@10.77.0.9:5433/x"


def asked(network: str, database: str, more: str = "listen_address='0.0.0.0:7403'") -> str:
    """What a process says on standard output and error."""
    script = f'ip link set lo up; {network}exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", ASK.format(database=database, more=more)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("database", "more", "address"),
    [
        (ELSEWHERE, "listen_address='0.0.0.0:7403'", "10.77.0.5:7403"),
        (LOCAL, "listen_address='[::]:7403'", "10.9.8.7:7403"),
        ("postgresql://127.0.0.1/x", "listen_address='0.0.0.0:7403'", "10.9.8.7:7403"),
        (ELSEWHERE, "listen_address='10.9.8.7:7403'", "10.9.8.7:7403"),
        (ELSEWHERE, "listen_address='0.0.0.0:7403', advertise_address='deploy-1:7403'", "deploy-1:7403"),
    ],
)
def test_the_others_are_told_an_address_that_leaves_the_machine(database: str, more: str, address: str) -> None:
    assert f"{address}\n" in asked(TWO_NETWORKS, database, more)


def test_without_any_such_address_the_log_says_what_to_set() -> None:
    said = asked("", LOCAL)
    assert "127.0.0.1:7403" in said
    assert "ADVERTISE_ADDRESS" in said
