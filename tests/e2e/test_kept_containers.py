"""Through REST on a real engine: what runs is kept, data is kept, and a name is free as soon as it is given up."""

from tests.e2e.pods import failed, logs, service
from tests.support.containers import Docker
from tests.support.suite import Api, soon

KEEP = ["sh", "-c", "cat /data/x 2>/dev/null || echo nothing; echo something > /data/x; exec sleep 100000"]


def test_a_change_that_the_engine_refuses_fails_the_deploy_and_leaves_what_runs(
    api: Api, docker: Docker, image: str
) -> None:
    with service(api, "refused", image, stateful=True) as name:
        api.deploy(name)
        before = docker.running(name)
        for change, words in ({"cap_add": ["NOSUCH"]}, "NOSUCH"), ({"cap_add": [], "memory": 1000000}, "memory"):
            api.call("PUT", f"/v1/services/{name}", change)
            [instance] = failed(api, name)["instance_deploys"]
            assert words in instance["error"]
            assert docker.running(name) == before
        api.call("PUT", f"/v1/services/{name}", {"memory": 64_000_000, "user": "nosuch"})
        [instance] = failed(api, name)["instance_deploys"]
        assert "unable to find user nosuch" in instance["error"]
        assert {key: found[0] for key, found in docker.running(name).items()} == {
            key: found[0] for key, found in before.items()
        }


def test_data_outlives_a_stop_a_clean_up_and_a_start(api: Api, docker: Docker, image: str) -> None:
    with service(api, "keeper", image, stateful=True, volumes=["/data"], cmd=KEEP) as name:
        api.deploy(name)
        soon(lambda: logs(api, name) == ["nothing"])
        api.call("POST", f"/v1/services/{name}/stop", {})
        soon(lambda: docker.running(name) == {})
        docker.command("container", "prune", "--force")
        api.call("POST", f"/v1/services/{name}/start", {})
        soon(lambda: logs(api, name) == ["nothing", "something"])


def test_a_name_can_be_used_again_at_once(api: Api, docker: Docker, image: str) -> None:
    for _ in range(3):
        with service(api, "again", image, stateful=True, volumes=["/data"], cmd=KEEP) as name:
            api.deploy(name)
            assert list(docker.running(name)) == ["again-1"]
