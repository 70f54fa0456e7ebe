"""A secret's value reaches the container, and nothing else."""

import subprocess

from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon

VALUE = "s3cr3t-4b1d0c-value"


def test_a_secret_value_reaches_the_container_and_nothing_else(
    suite: Suite, api: Api, docker: Docker, image: str
) -> None:
    answers = []
    created = api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "PASSWORD", "value": VALUE}, status=201)
    assert created["value"] == VALUE
    body = {
        "name": "keeper",
        "image": image,
        "stateful": False,
        "cmd": ["sh", "-c", 'echo "length ${#DB_PASSWORD}"; sleep 1000'],
        "stop_grace_period": "0s",
        "secrets": [{"secret": "PASSWORD", "name": "DB_PASSWORD", "type": "env"}],
    }
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    answers.append(api.deploy(service))
    [container] = docker.all(service)
    assert f"DB_PASSWORD={VALUE}" in container["Config"]["Env"]

    def logged() -> list[str]:
        return [item["data"] for item in api.call("GET", f"/v1/services/{service}/container_logs")["logs"]]

    soon(lambda: f"length {len(VALUE)}" in logged(), message="the container saw the value")
    paths = (f"grids/{api.grid}/secrets", f"grids/{api.grid}/services", f"services/{service}")
    answers += [api.call("GET", f"/v1/{path}") for path in paths]
    answers.append(api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "PASSWORD", "value": VALUE}, status=422))
    assert VALUE not in str(answers)
    assert VALUE not in dump(suite)
    for path in suite.var.rglob("*"):
        if path.is_file() and "postgres" not in path.parts:
            assert VALUE.encode() not in path.read_bytes(), path
    api.call("DELETE", f"/v1/services/{service}")
    api.call("DELETE", f"/v1/secrets/{api.grid}/PASSWORD")


def dump(suite: Suite) -> str:
    """Every row of every table, as text."""
    script = """
import asyncio, asyncpg, sys
async def main():
    c = await asyncpg.connect(sys.argv[1])
    tables = await c.fetch(
        "select schemaname, tablename from pg_tables "
        "where schemaname in ('auth', 'grid', 'deploy', 'vault')")
    for t in tables:
        for row in await c.fetch(f'select t::text from "{t[0]}"."{t[1]}" t'):
            print(row[0])
asyncio.run(main())
"""
    url = f"postgresql://postgres:@/postgres?host={suite.var / 'postgres'}"
    command = [str(suite.folder / ".venv/bin/python"), "-c", script, url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "keeper" in text, "the dump holds the service"
    return text
