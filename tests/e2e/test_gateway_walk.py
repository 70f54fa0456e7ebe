"""Each documented route does its work once, through Envoy: status, content type and body as the table and the document
say. One life of everything, from a new grid to its end."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.auth_people import configured, email
from tests.support.api_document import OPERATIONS, check_against_document
from tests.support.certificates import self_signed
from tests.support.routes import ROUTES, Route
from tests.support.suite import Api, soon

TABLE = {(route.verb, route.path): route for route in ROUTES}
DOMAIN = "walk.example.com"


class Walk:
    """Sends requests by their row of the table. What they answer must be the success of the row, unless said otherwise;
    `done` collects the rows."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.names: dict[str, str] = {}
        self.done: set[tuple[str, str]] = set()

    def __call__(
        self, verb: str, path: str, body: Any = None, *, refused: int = 0, query: str = "", **names: str
    ) -> Any:
        """`refused` is the status where this suite cannot give what the route needs: an ACME server, a provider."""
        route: Route = TABLE[verb, path]
        self.done.add((verb, path))
        known = {**self.names, **names}
        target = re.sub(r"\{(\w+)\}", lambda match: known[match[1]], path) + query
        token = self.api.token if route.auth == "token" else ""
        headers = {"Kontena-Grid-Token": names["token"]} if "token" in names else {}
        answer = Api(self.api.url, token, "").request(verb, target, body, headers=headers, follow_redirects=False)
        line = f"{verb} {target}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code == (refused or route.status), line
        kind = "application/json" if refused else route.content_type
        assert kind == "-" or answer.headers["content-type"].partition(";")[0] == kind, line
        check_against_document(answer, OPERATIONS[verb, path])
        return answer.json() if kind == "application/json" else answer.text


@pytest.fixture
def walk(api: Api) -> Iterator[Walk]:
    """In a grid of its own, which is gone afterwards whatever happened."""
    walk = Walk(api)
    grid = walk.names["grid"] = f"walk-{uuid.uuid4().hex[:8]}"
    yield walk
    if api.request("GET", f"/v1/grids/{grid}").status_code == 200:
        for service in api.call("GET", f"/v1/grids/{grid}/services")["services"]:
            api.request("DELETE", f"/v1/services/{service['id']}")
        for node in api.call("GET", f"/v1/grids/{grid}/nodes")["nodes"]:
            api.request("DELETE", f"/v1/nodes/{node['id']}")
        api.request("DELETE", f"/v1/grids/{grid}")


def test_every_route_does_its_work(walk: Walk, api: Api, image: str, tmp_path: Path) -> None:
    of_the_gateway(walk)
    grids_and_nodes(walk)
    people_and_tokens(walk)
    vault(walk)
    certificates(walk, tmp_path)
    stacks_and_volumes(walk, image)
    with running_service(walk, api, image):
        containers(walk)
    the_end(walk)
    assert set(TABLE) - walk.done == set(), "every row was walked"


def of_the_gateway(walk: Walk) -> None:
    for path in ("/", "/v1/ping", "/healthz", "/readyz", "/openapi.json"):
        walk("GET", path)


def grids_and_nodes(walk: Walk) -> None:
    grid = walk("POST", "/v1/grids", {"name": walk.names["grid"]})
    walk("GET", "/v1/grids")
    walk("GET", "/v1/grids/{grid}")
    walk("GET", "/v1/grids/{grid}/join")
    walk("PUT", "/v1/grids/{grid}", {"trusted_subnets": ["10.0.0.0/8"]})
    for facts in ("metrics", "stats", "nodes", "audit_log", "users"):
        walk("GET", f"/v1/grids/{{grid}}/{facts}")
    node: dict[str, Any] = {"name": "one", "node": "one"}
    walk("POST", "/v1/grids/{grid}/nodes", {"name": "one"})
    for verb, body in (("GET", None), ("PUT", {"labels": ["a=b"]})):
        walk(verb, "/v1/nodes/{grid}/{name}", body, **node)
        # Only agents have such ids, and no agent lives here.
        walk(verb, "/v1/nodes/{node_id}", body, refused=404, node_id="ABCD:EFGH", token=grid["token"])
    walk("PUT", "/v1/grids/{grid}/token", {})
    walk("GET", "/v1/nodes/{grid}/{name}/health", **node, refused=422)
    walk("GET", "/v1/nodes/{grid}/{name}/metrics", **node)
    walk("GET", "/v1/nodes/{grid}/{node}/stats", **node)
    walk("GET", "/v1/nodes/{grid}/{name}/token", **node)
    walk("PUT", "/v1/nodes/{grid}/{name}/token", {}, **node)
    walk("DELETE", "/v1/nodes/{grid}/{name}/token", {}, **node)
    walk("DELETE", "/v1/nodes/{grid}/{name}/key", **node)
    walk("DELETE", "/v1/nodes/{grid}/{name}", **node)


def people_and_tokens(walk: Walk) -> None:
    walk("GET", "/v1/user")
    walk("GET", "/v1/users")
    walk("GET", "/v1/audit_logs", query="?limit=1")
    walk("GET", "/code")
    walk("POST", "/v1/auth", {})
    walk("GET", "/cb", refused=400)
    walk("GET", "/v1/config")
    with configured(walk.api):
        walk("PATCH", "/v1/config", {"x.walk": "1"})
        walk("GET", "/v1/config/{key}", key="x.walk")
        walk("DELETE", "/v1/config/{key}", key="x.walk")
        for path in ("/authenticate", "/oauth2/authenticate"):
            walk("GET", path, query="?redirect_uri=%2Fcode")
        someone: dict[str, Any] = {"email": email("walk")}
        walk("POST", "/oauth2/authorize", {"response_type": "invite", **someone})
        before = walk.api.call("GET", "/v1/config")
        walk("DELETE", "/v1/config")
        walk("PUT", "/v1/config", before)
    walk("POST", "/v1/users/{email}/roles", {"role": "grid_admin"}, **someone)
    walk("DELETE", "/v1/users/{email}/roles/{role}", role="grid_admin", **someone)
    walk("POST", "/v1/grids/{grid}/users", someone)
    walk("DELETE", "/v1/grids/{grid}/users/{email}", **someone)
    walk("DELETE", "/v1/users/{email}", **someone)
    code = walk("POST", "/oauth2/authorize", {"response_type": "code", "scope": "user"})["code"]
    token = walk("POST", "/oauth2/token", {"grant_type": "authorization_code", "code": code})
    walk("GET", "/oauth2/tokens")
    walk("GET", "/oauth2/tokens/{id}", id=str(token["id"]))
    walk("DELETE", "/oauth2/tokens/{id}", id=str(token["id"]))


def vault(walk: Walk) -> None:
    for number, path in enumerate(("/v1/grids/{grid}/secrets", "/v1/services/{grid}/secrets")):
        walk("POST", path, {"name": f"SECRET_{number}", "value": "v"})
        walk("GET", path)
    walk("PUT", "/v1/grids/{grid}/secrets/{name}", {"value": "w"}, name="SECRET_0")
    for verb, body in (("PUT", {"value": "x"}), ("GET", None), ("DELETE", None)):
        walk(verb, "/v1/secrets/{grid}/{name}", body, name="SECRET_0")
    for registry in ("a.example.com", "b.example.com", "c.example.com"):
        body = {"url": f"https://{registry}/", "username": "u", "password": "p", "email": "u@example.com"}
        walk("POST", "/v1/grids/{grid}/external_registries", body)
    walk("GET", "/v1/grids/{grid}/external_registries")
    walk("GET", "/v1/external_registries/{grid}/{name}", name="a.example.com")
    walk("DELETE", "/v1/external_registries/{grid}/{name}", name="a.example.com")
    walk("DELETE", "/v1/grids/{grid}/external_registries/{name}", name="b.example.com")
    walk("DELETE", "/v1/grids/{grid}/external_registries", {"name": "c.example.com"})


def certificates(walk: Walk, folder: Path) -> None:
    """There is no ACME server here; tests of vault_svc have one."""
    walk("POST", "/v1/certificates/{grid}/register", {"email": "no address"}, refused=422)
    walk("POST", "/v1/certificates/{grid}/authorize", {"domain": DOMAIN}, refused=422)
    body: dict[str, Any] = {"secret_name": "FOO", "domains": [DOMAIN], "cert_type": "fullchain"}
    walk("POST", "/v1/certificates/{grid}/certificate", body, refused=422)
    walk("POST", "/v1/grids/{grid}/certificates", {"domains": [DOMAIN]}, refused=422)
    body = {"domain": DOMAIN, "authorization_type": "dns-01"}
    walk("POST", "/v1/grids/{grid}/domain_authorizations", body, refused=422)
    walk("GET", "/v1/grids/{grid}/domain_authorizations")
    for verb in ("GET", "DELETE"):
        walk(verb, "/v1/domain_authorizations/{grid}/{domain}", refused=404, domain=DOMAIN)
    certificate, key = (path.read_text() for path in self_signed(folder, DOMAIN))
    walk("PUT", "/v1/certificates/{grid}/{subject}", {"certificate": certificate, "private_key": key}, subject=DOMAIN)
    walk("GET", "/v1/grids/{grid}/certificates")
    walk("GET", "/v1/certificates/{grid}/{subject}", subject=DOMAIN)
    walk("GET", "/v1/certificates/{grid}/{subject}/export", subject=DOMAIN)
    walk("DELETE", "/v1/certificates/{grid}/{subject}", subject=DOMAIN)


def stacks_and_volumes(walk: Walk, image: str) -> None:
    walk("POST", "/v1/grids/{grid}/configs", {"name": "app.conf", "content": "a = 1"})
    walk("GET", "/v1/grids/{grid}/configs")
    walk("GET", "/v1/configs/{grid}/{name}", name="app.conf")
    walk("PUT", "/v1/configs/{grid}/{name}", {"content": "a = 2"}, name="app.conf")
    walk("DELETE", "/v1/configs/{grid}/{name}", name="app.conf")
    walk("POST", "/v1/volumes/{grid}", {"name": "vol", "driver": "local", "scope": "grid"})
    walk("GET", "/v1/volumes/{grid}")
    walk("GET", "/v1/volumes/{grid}/{volume}", volume="vol")
    walk("DELETE", "/v1/volumes/{grid}/{volume}", volume="vol")
    stack = {
        "name": "st", "stack": "walk/st", "version": "1.0.0", "registry": "file://", "source": "stack: walk/st",
        "services": [{"name": "web", "image": image, "stateful": False}],
    }  # fmt: skip
    walk(
        "POST", "/v1/grids/{grid}/stacks/convert", {"files": {"compose.yaml": "name: st\nservices: {web: {image: x}}"}}
    )
    walk("POST", "/v1/grids/{grid}/stacks/plan", stack)
    walk("POST", "/v1/grids/{grid}/stacks", stack)
    walk("GET", "/v1/grids/{grid}/stacks")
    walk("GET", "/v1/stacks/{grid}/{stack}", stack="st")
    walk("POST", "/v1/stacks/{grid}/{stack}/plan", stack, stack="st")
    walk("PUT", "/v1/stacks/{grid}/{stack}", stack, stack="st")
    deploy = walk("POST", "/v1/stacks/{grid}/{stack}/deploy", {}, stack="st")
    walk("GET", "/v1/stacks/{grid}/{stack}/deploys/{deploy_id}", stack="st", deploy_id=deploy["id"])
    walk("GET", "/v1/stacks/{grid}/{stack}/deploys", stack="st")
    walk("GET", "/v1/stacks/{grid}/{stack}/deploys/{deploy_id}/follow", stack="st", deploy_id=deploy["id"])
    walk("POST", "/v1/stacks/{grid}/{stack}/deploy/follow", {}, stack="st")

    def canceled() -> Any:
        """A deploy, before it has found that the grid has no node."""
        deploy = walk("POST", "/v1/stacks/{grid}/{stack}/deploy", {}, stack="st")
        cancel = "/v1/stacks/{grid}/{stack}/deploys/{deploy_id}/cancel"
        return walk("POST", cancel, {}, stack="st", deploy_id=deploy["id"])

    soon(canceled)
    walk("GET", "/v1/stacks/{grid}/{stack}/revisions", stack="st")
    walk("POST", "/v1/stacks/{grid}/{stack}/rollback", {"revision": 1}, stack="st")
    for logs in ("container_logs", "event_logs"):
        walk("GET", f"/v1/stacks/{{grid}}/{{stack}}/{logs}", stack="st")
        walk("GET", f"/v1/grids/{{grid}}/{logs}")
    for verb in ("restart", "stop"):
        walk("POST", f"/v1/stacks/{{grid}}/{{stack}}/{verb}", stack="st")
    walk("DELETE", "/v1/stacks/{grid}/{stack}", stack="st")


@contextmanager
def running_service(walk: Walk, api: Api, image: str) -> Iterator[None]:
    """One instance on the node of the suite; the requests in between concern its container."""
    own, service = walk.names["grid"], "/v1/services/{grid}/{stack}/{service}"
    walk.names |= {"grid": api.grid, "stack": "null", "service": "walk"}
    body = {
        "name": "walk", "image": image, "stateful": False, "cmd": ["sh", "-c", "echo ready; exec sleep 1000"],
        "stop_grace_period": "0s",
    }  # fmt: skip
    walk("POST", "/v1/grids/{grid}/services", body)
    try:
        walk("GET", "/v1/grids/{grid}/services")
        walk("GET", service)
        walk("PUT", service, {"env": ["A=1"]})
        walk("POST", f"{service}/envs", {"env": "B=2"})
        walk("DELETE", f"{service}/envs/{{key}}", key="B")
        deploy = walk("POST", f"{service}/deploy", {})
        assert api.deployed(f"{api.grid}/null/walk", deploy)["state"] == "success"
        walk("GET", f"{service}/deploys/{{deploy_id}}", deploy_id=deploy["id"])
        walk("GET", f"{service}/deploys/{{deploy_id}}/follow", deploy_id=deploy["id"])
        lines = walk("POST", f"{service}/deploy/follow", {}).splitlines()
        assert json.loads(lines[-1])["state"] == "success"
        # Nothing opens this port, so the deploy goes on until it is canceled.
        walk("PUT", service, {"deploy_opts": {"wait_for_port": 9}})
        deploy = walk("POST", f"{service}/deploy", {})
        walk("POST", f"{service}/deploys/{{deploy_id}}/cancel", {}, deploy_id=deploy["id"])
        walk("GET", f"{service}/deploys")
        walk("GET", f"{service}/revisions")
        walk("POST", f"{service}/plan", {"env": ["C=3"]})
        back = walk("POST", f"{service}/rollback", {"revision": 1})
        assert api.deployed(f"{api.grid}/null/walk", back)["state"] == "success"
        for rebalanced in (service, "/v1/grids/{grid}"):
            walk("POST", f"{rebalanced}/rebalance/plan", {})
            walk("POST", f"{rebalanced}/rebalance", {})
        for facts in ("containers", "instances", "container_logs", "event_logs", "stats", "metrics"):
            walk("GET", f"{service}/{facts}")
        yield
        (instance,) = walk("GET", f"{service}/instances")["instances"]
        walk("GET", f"{service}/instances/{{instance_id}}", instance_id=instance["id"])
        walk("DELETE", f"{service}/instances/{{instance_id}}", instance_id=instance["id"])
        for verb in ("restart", "stop", "start"):
            walk("POST", f"{service}/{verb}", {})
        walk("POST", f"{service}/scale", {"instances": 0})
    finally:
        walk("DELETE", service)
        walk.names["grid"] = own


def containers(walk: Walk) -> None:
    walk("GET", "/v1/containers/{grid}")

    def running() -> str | None:
        found = walk("GET", "/v1/services/{grid}/{stack}/{service}/containers")["containers"]
        return found[0]["id"] if found and found[0]["status"] == "running" else None

    _, node, name = soon(running, message="the container is known").split("/")
    container = "/v1/containers/{grid}/{node}/{name}"
    for facts in ("", "/inspect", "/top", "/logs"):
        walk("GET", container + facts, node=node, name=name)
    assert walk("POST", f"{container}/exec", {"cmd": ["echo", "walked"]}, node=node, name=name)[2] == 0


def the_end(walk: Walk) -> None:
    soon(lambda: not walk("GET", "/v1/grids/{grid}/stacks")["stacks"], message="the stack is gone")
    walk("DELETE", "/v1/grids/{grid}")
