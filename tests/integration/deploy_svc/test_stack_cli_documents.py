"""The documents of the public command line and of the reference, as they are sent (client_contract.md section 7)."""

import pytest

from tests.integration.deploy_svc.stack_documents import REDIS, SIMPLE
from tests.integration.deploy_svc.stack_rest import StackRest, document
from tests.support.running import Running


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def test_install_upgrade_and_what_the_command_line_reads(stacks: StackRest) -> None:
    made = await stacks.create(SIMPLE)
    assert made.status == 201, made
    (redis,) = made.body["services"]
    assert redis["ports"] == [
        {"ip": "0.0.0.0", "protocol": "tcp", "node_port": 6379, "container_port": 6379}  # noqa: S104
    ]
    assert (redis["instances"], redis["env"], redis["hooks"], redis["log_opts"]) == (1, ["PW=v"], [], {})
    assert "health_check" not in redis
    assert "deploy_opts" in redis
    (listed,) = (await stacks.list()).body["stacks"]
    assert (listed["name"], listed["children"], listed["services"][0]["ports"]) == ("simple", [], redis["ports"])
    deploy = (await stacks.deploy("g1/simple")).body
    assert {"id", "stack_id", "state", "service_deploys"} <= set(deploy)
    v2 = {**SIMPLE, "version": "0.2.0", "services": [{**REDIS, "image": "redis:4-alpine", "env": None, "ports": []}]}
    upgraded = await stacks.put(v2, "g1/simple")
    assert (upgraded.status, upgraded.body["revision"]) == (200, 2)
    await stacks.deploy("g1/simple")
    redis = (await stacks.service("g1/simple/redis")).body
    assert (redis["image"], redis["env"], redis["ports"]) == ("redis:4-alpine", [], [])


async def test_the_stack_of_the_reference(stacks: StackRest) -> None:
    check = {"protocol": "tcp", "port": 27017}
    hook = {"name": "rs_initiate", "cmd": 'mongo --eval "printjson(rs.initiate());"', "instances": "3", "oneshot": True}
    mongo = {"image": "mongo:3.2", "stateful": True, "cmd": "--replset kontena --smallfiles", "health_check": check}
    body = {
        "name": "mongo-replicaset",
        "stack": "kontena/mongo-replicaset",
        "version": "0.1.0",
        "registry": "https://stack-registry.kontena.io",
        "expose": "peer",
        "services": [
            {"name": "arbiter", "replicas": 1, **mongo},
            {"name": "peer", "replicas": 3, **mongo, "hooks": {"post_start": [hook]}},
        ],
    }
    made = await stacks.create(body)
    assert made.status == 201, made
    peer = {item["name"]: item for item in made.body["services"]}["peer"]
    assert (peer["instances"], peer["replicas"]) == (3, 3)
    assert peer["cmd"] == ["--replset", "kontena", "--smallfiles"]
    assert peer["hooks"] == [{"name": "rs_initiate", "type": "post_start", "cmd": hook["cmd"], "oneshot": True}]


async def test_the_requests_of_the_reference_have_no_services_and_are_refused(stacks: StackRest) -> None:
    body = {"name": "redis", "stack": "my/redis", "version": "0.1.0", "registry": "file://", "services": []}
    assert (await stacks.create(body)).body == {"error": {"services": "A stack needs at least one service"}}
    await stacks.created(name="redis")
    change = {"stack": "my/redis", "version": "0.1.1", "registry": "file://", "services": []}
    refused = await stacks.put(change, "g1/redis")
    assert (refused.status, refused.body) == (422, {"error": {"services": "A stack needs at least one service"}})
    assert (await stacks.get("g1/redis")).body["version"] == document()["version"]
    assert (await stacks.deploy("g1/redis")).status == 200
    assert (await stacks.delete("g1/redis")).body == {}
