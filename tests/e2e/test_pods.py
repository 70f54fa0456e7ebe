"""Pods through REST on a real engine: hooks, health checks, images of a registry, names, and what fails."""

from pathlib import Path

from tests.e2e.pods import failed, logs, service
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.registry import PASSWORD, USER, Registry
from tests.support.suite import Api, soon


def test_a_failing_image_is_explained_and_the_old_instances_stay(api: Api, docker: Docker, image: str) -> None:
    with service(api, "badimage", image, instances=2) as name:
        api.deploy(name)
        before = docker.running(name)
        api.call("PUT", f"/v1/services/{name}", {"image": "127.0.0.1:1/nowhere:1"})
        deploy = failed(api, name)
        assert any("image 127.0.0.1:1/nowhere:1 cannot be pulled" in i["error"] for i in deploy["instance_deploys"])
        assert docker.running(name) == before


def test_a_failing_pre_start_hook_is_the_error_of_the_deploy(api: Api, docker: Docker, image: str) -> None:
    hooks = {"pre_start": [{"name": "check", "cmd": "echo checking; exit 3", "instances": "*"}]}
    with service(api, "badhook", image, hooks=hooks) as name:
        deploy = failed(api, name)
        [instance] = deploy["instance_deploys"]
        assert "pre_start hook check failed: exit code 3" in instance["error"]
        assert docker.running(name) == {}
        soon(lambda: "checking" in logs(api, name), message="what the hook said is in the logs")


def test_a_failing_post_start_hook_lets_the_deploy_succeed(api: Api, docker: Docker, image: str) -> None:
    hooks = {"post_start": [{"name": "late", "cmd": "exit 4", "instances": "*"}]}
    with service(api, "latehook", image, hooks=hooks) as name:
        api.deploy(name)
        assert len(docker.running(name)) == 1


def test_a_one_shot_hook_runs_once_on_its_instance(api: Api, docker: Docker, image: str) -> None:
    hook = {"name": "once", "cmd": "echo migrating $KONTENA_SERVICE_INSTANCE_NUMBER", "instances": "2", "oneshot": True}
    with service(api, "oneshot", image, instances=2, hooks={"post_start": [hook]}) as name:
        api.deploy(name)
        soon(lambda: "migrating 2" in logs(api, name), message="the hook ran on instance 2")
        api.deployed(name, api.call("POST", f"/v1/services/{name}/scale", {"instances": 3}))
        api.call("PUT", f"/v1/services/{name}", {"env": ["CHANGED=1"]})
        api.deploy(name)
        assert len(docker.running(name)) == 3
        assert [line for line in logs(api, name) if line.startswith("migrating")] == ["migrating 2"]


def test_an_unhealthy_instance_is_restarted_and_shown(api: Api, docker: Docker, image: str) -> None:
    check = {"protocol": "tcp", "port": 81, "interval": 1, "timeout": 1, "initial_delay": 1}
    with service(api, "sick", image, health_check=check) as name:
        api.deploy(name)
        # Not there for a moment whenever it is restarted.
        [(container, first)] = soon(lambda: list(docker.running(name).values()))

        def restarted() -> bool:
            return [
                found for found in docker.running(name).values() if found[0] == container and found[1] > first
            ] != []

        soon(restarted, message="the unhealthy container was restarted in place")


def test_a_secret_that_is_missing_ends_the_deploy_and_leaves_the_instance_alone(
    api: Api, docker: Docker, image: str
) -> None:
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "POD_SECRET", "value": "x"}, status=201)
    with service(api, "nosecret", image) as name:
        api.deploy(name)
        before = docker.running(name)
        api.call("PUT", f"/v1/services/{name}", {"secrets": [{"secret": "POD_SECRET", "name": "POD_SECRET"}]})
        api.call("DELETE", f"/v1/secrets/{api.grid}/POD_SECRET")
        deploy = failed(api, name)
        assert "POD_SECRET" in str(deploy["instance_deploys"][0]["error"])
        assert docker.running(name) == before


def test_a_private_registry_needs_its_login_in_the_vault(
    api: Api, docker: Docker, suite_engine: Engine, tmp_path: Path
) -> None:
    with Registry(tmp_path / "registry", login=True) as registry:
        tag = registry.push(suite_engine, "private:1", "private")
        with service(api, "private", tag) as name:
            refused = failed(api, name)
            assert "cannot be pulled" in refused["instance_deploys"][0]["error"]
            login = {"url": f"http://{registry.address}", "username": USER, "password": PASSWORD, "email": "a@b.c"}
            made = api.call("POST", f"/v1/grids/{api.grid}/external_registries", login, status=201)
            try:
                api.deploy(name)
                container = docker.one(name)
                assert container["Config"]["Image"] == tag
                assert PASSWORD not in str(container)
            finally:
                api.call("DELETE", f"/v1/external_registries/{made['id']}")


def test_instances_find_each_other_by_name(api: Api, docker: Docker, image: str) -> None:
    with service(api, "named", image, instances=2) as name:
        api.deploy(name)
        [first, _] = sorted(docker.running(name).values())

        def addresses(host: str) -> set[str]:
            out = docker.command("exec", first[0], "nslookup", host)
            return {line.split()[1] for line in out.splitlines() if line.startswith("Address: ")}

        own = {entry["NetworkSettings"]["Networks"][f"kontena-{api.grid}"]["IPAddress"] for entry in docker.all(name)}
        soon(lambda: addresses(f"named.{api.grid}.kontena.local") == own, message="both are answered")
        assert len(addresses(f"named-2.{api.grid}.kontena.local")) == 1
        assert addresses("named") == own
