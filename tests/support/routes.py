"""Every documented route of the public API, written down once by hand: what scripts and the public client rely on.

Sources: the API reference, and the specifications of what came after it. The document made from the protos must say the
same (tests/unit/gateway/test_routes_documented.py), and the running suite must do it (tests/e2e/test_gateway_walk.py).
"""

from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True)
class Route:
    """`status` is that of success; `auth` is `token`, or `open` for what needs none."""

    verb: str
    path: str
    auth: str
    status: int
    content_type: str


_TABLE = """
GET    /                                                              open  200 application/json
GET    /v1/ping                                                       open  200 application/json
GET    /healthz                                                       open  200 application/json
GET    /readyz                                                        open  200 application/json
GET    /openapi.json                                                  open  200 application/json

GET    /authenticate                                                  open  302 -
GET    /oauth2/authenticate                                           open  302 -
GET    /cb                                                            open  302 -
GET    /code                                                          open  200 text/html
POST   /v1/auth                                                       open  403 application/json
POST   /oauth2/token                                                  open  200 application/json
POST   /oauth2/authorize                                              token 201 application/json
GET    /oauth2/tokens                                                 token 200 application/json
GET    /oauth2/tokens/{id}                                            token 200 application/json
DELETE /oauth2/tokens/{id}                                            token 200 application/json

GET    /v1/user                                                       token 200 application/json
GET    /v1/users                                                      token 200 application/json
DELETE /v1/users/{email}                                              token 200 application/json
POST   /v1/users/{email}/roles                                        token 201 application/json
DELETE /v1/users/{email}/roles/{role}                                 token 200 application/json
GET    /v1/grids/{grid}/users                                         token 200 application/json
POST   /v1/grids/{grid}/users                                         token 201 application/json
DELETE /v1/grids/{grid}/users/{email}                                 token 200 application/json
GET    /v1/config                                                     token 200 application/json
PUT    /v1/config                                                     token 200 application/json
PATCH  /v1/config                                                     token 200 application/json
DELETE /v1/config                                                     token 200 application/json
GET    /v1/config/{key}                                               token 200 application/json
DELETE /v1/config/{key}                                               token 200 application/json
GET    /v1/audit_logs                                                 token 200 application/json
GET    /v1/grids/{grid}/audit_log                                     token 200 application/json

GET    /v1/grids                                                      token 200 application/json
POST   /v1/grids                                                      token 201 application/json
GET    /v1/grids/{grid}                                               token 200 application/json
PUT    /v1/grids/{grid}                                               token 200 application/json
DELETE /v1/grids/{grid}                                               token 200 application/json
PUT    /v1/grids/{grid}/token                                         token 200 application/json
GET    /v1/grids/{grid}/join                                          token 200 application/json
GET    /v1/grids/{grid}/metrics                                       token 200 application/json
GET    /v1/grids/{grid}/stats                                         token 200 application/json
GET    /v1/grids/{grid}/nodes                                         token 200 application/json
POST   /v1/grids/{grid}/nodes                                         token 201 application/json
GET    /v1/nodes/{grid}/{name}                                        token 200 application/json
PUT    /v1/nodes/{grid}/{name}                                        token 200 application/json
DELETE /v1/nodes/{grid}/{name}                                        token 200 application/json
GET    /v1/nodes/{grid}/{name}/health                                 token 200 application/json
GET    /v1/nodes/{grid}/{name}/metrics                                token 200 application/json
GET    /v1/nodes/{grid}/{node}/stats                                  token 200 application/json
GET    /v1/nodes/{grid}/{name}/token                                  token 200 application/json
PUT    /v1/nodes/{grid}/{name}/token                                  token 200 application/json
DELETE /v1/nodes/{grid}/{name}/token                                  token 200 application/json
DELETE /v1/nodes/{grid}/{name}/key                                    token 200 application/json
GET    /v1/nodes/{node_id}                                            open  200 application/json
PUT    /v1/nodes/{node_id}                                            open  200 application/json

GET    /v1/grids/{grid}/stacks                                        token 200 application/json
POST   /v1/grids/{grid}/stacks                                        token 201 application/json
POST   /v1/grids/{grid}/stacks/plan                                   token 200 application/json
POST   /v1/grids/{grid}/stacks/convert                                token 200 application/json
GET    /v1/stacks/{grid}/{stack}                                      token 200 application/json
PUT    /v1/stacks/{grid}/{stack}                                      token 200 application/json
DELETE /v1/stacks/{grid}/{stack}                                      token 200 application/json
POST   /v1/stacks/{grid}/{stack}/plan                                 token 200 application/json
POST   /v1/stacks/{grid}/{stack}/deploy                               token 200 application/json
POST   /v1/stacks/{grid}/{stack}/stop                                 token 200 application/json
POST   /v1/stacks/{grid}/{stack}/restart                              token 200 application/json
GET    /v1/stacks/{grid}/{stack}/deploys                              token 200 application/json
POST   /v1/stacks/{grid}/{stack}/deploys/{deploy_id}/cancel           token 200 application/json
GET    /v1/stacks/{grid}/{stack}/deploys/{deploy_id}/follow           token 200 application/x-ndjson
POST   /v1/stacks/{grid}/{stack}/deploy/follow                        token 200 application/x-ndjson
GET    /v1/stacks/{grid}/{stack}/deploys/{deploy_id}                  token 200 application/json
GET    /v1/stacks/{grid}/{stack}/revisions                            token 200 application/json
POST   /v1/stacks/{grid}/{stack}/rollback                             token 200 application/json
GET    /v1/stacks/{grid}/{stack}/container_logs                       token 200 application/json
GET    /v1/stacks/{grid}/{stack}/event_logs                           token 200 application/json

GET    /v1/grids/{grid}/services                                      token 200 application/json
POST   /v1/grids/{grid}/services                                      token 201 application/json
GET    /v1/services/{grid}/{stack}/{service}                          token 200 application/json
PUT    /v1/services/{grid}/{stack}/{service}                          token 200 application/json
DELETE /v1/services/{grid}/{stack}/{service}                          token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/deploy                   token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/scale                    token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/start                    token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/stop                     token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/restart                  token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/deploys                  token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/deploys/{deploy_id}/cancel token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/deploys/{deploy_id}/follow token 200 application/x-ndjson
POST   /v1/services/{grid}/{stack}/{service}/rebalance                token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/rebalance/plan           token 200 application/json
POST   /v1/grids/{grid}/rebalance                                     token 200 application/json
POST   /v1/grids/{grid}/rebalance/plan                                token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/deploy/follow            token 200 application/x-ndjson
GET    /v1/services/{grid}/{stack}/{service}/deploys/{deploy_id}      token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/revisions                token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/rollback                 token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/plan                     token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/containers               token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/instances                token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/instances/{instance_id}  token 200 application/json
DELETE /v1/services/{grid}/{stack}/{service}/instances/{instance_id}  token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/container_logs           token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/event_logs               token 200 application/json
POST   /v1/services/{grid}/{stack}/{service}/envs                     token 200 application/json
DELETE /v1/services/{grid}/{stack}/{service}/envs/{key}               token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/stats                    token 200 application/json
GET    /v1/services/{grid}/{stack}/{service}/metrics                  token 200 application/json

GET    /v1/containers/{grid}                                          token 200 application/json
GET    /v1/containers/{grid}/{node}/{name}                            token 200 application/json
GET    /v1/containers/{grid}/{node}/{name}/inspect                    token 200 application/json
GET    /v1/containers/{grid}/{node}/{name}/top                        token 200 application/json
GET    /v1/containers/{grid}/{node}/{name}/logs                       token 200 application/json
POST   /v1/containers/{grid}/{node}/{name}/exec                       token 200 application/json
GET    /v1/grids/{grid}/container_logs                                token 200 application/json
GET    /v1/grids/{grid}/event_logs                                    token 200 application/json
GET    /v1/grids/{grid}/configs                                       token 200 application/json
POST   /v1/grids/{grid}/configs                                       token 201 application/json
GET    /v1/configs/{grid}/{name}                                      token 200 application/json
PUT    /v1/configs/{grid}/{name}                                      token 200 application/json
DELETE /v1/configs/{grid}/{name}                                      token 200 application/json
GET    /v1/volumes/{grid}                                             token 200 application/json
POST   /v1/volumes/{grid}                                             token 201 application/json
GET    /v1/volumes/{grid}/{volume}                                    token 200 application/json
DELETE /v1/volumes/{grid}/{volume}                                    token 200 application/json

GET    /v1/grids/{grid}/secrets                                       token 200 application/json
POST   /v1/grids/{grid}/secrets                                       token 201 application/json
PUT    /v1/grids/{grid}/secrets/{name}                                token 200 application/json
GET    /v1/services/{grid}/secrets                                    token 200 application/json
POST   /v1/services/{grid}/secrets                                    token 201 application/json
GET    /v1/secrets/{grid}/{name}                                      token 200 application/json
PUT    /v1/secrets/{grid}/{name}                                      token 200 application/json
DELETE /v1/secrets/{grid}/{name}                                      token 200 application/json
GET    /v1/grids/{grid}/external_registries                           token 200 application/json
POST   /v1/grids/{grid}/external_registries                           token 201 application/json
DELETE /v1/grids/{grid}/external_registries                           token 200 application/json
DELETE /v1/grids/{grid}/external_registries/{name}                    token 200 application/json
GET    /v1/external_registries/{grid}/{name}                          token 200 application/json
DELETE /v1/external_registries/{grid}/{name}                          token 200 application/json
POST   /v1/certificates/{grid}/register                               token 201 application/json
POST   /v1/certificates/{grid}/authorize                              token 201 application/json
POST   /v1/certificates/{grid}/certificate                            token 201 application/json
GET    /v1/certificates/{grid}/{subject}                              token 200 application/json
PUT    /v1/certificates/{grid}/{subject}                              token 201 application/json
DELETE /v1/certificates/{grid}/{subject}                              token 200 application/json
GET    /v1/certificates/{grid}/{subject}/export                       token 200 application/json
GET    /v1/grids/{grid}/certificates                                  token 200 application/json
POST   /v1/grids/{grid}/certificates                                  token 201 application/json
GET    /v1/grids/{grid}/domain_authorizations                         token 200 application/json
POST   /v1/grids/{grid}/domain_authorizations                         token 201 application/json
GET    /v1/domain_authorizations/{grid}/{domain}                      token 200 application/json
DELETE /v1/domain_authorizations/{grid}/{domain}                      token 200 application/json
"""
ROUTES = [
    Route(verb, path, auth, int(status), kind)
    for verb, path, auth, status, kind in (line.split() for line in _TABLE.splitlines() if line)
]
