# Everything starts here. `make` shows what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCAL := $(BIN)/python -m deploy.local
PROTOS := $(shell find protos gateway/openapi -name '*.proto' -o -name generate.py -o -path 'gateway/openapi/*.py')
CODE := services agent gateway deploy protos cli tests

# Our processes start over and over; compiled modules make that more than twice as fast.
export PYTHONDONTWRITEBYTECODE :=

##@ Run
.PHONY: up demo down status logs backup restore
up: setup ## Bring the whole suite up on this machine and wait until it is healthy
	@$(LOCAL) up
demo: setup ## Deploy a small service on the running suite and show its state, logs and port
	@$(BIN)/python -m deploy.local.demo
down: ## Stop everything; data stays in var/
	@if [ -x $(BIN)/python ]; then $(LOCAL) down; fi
status: ## Show the processes of the suite
	@$(LOCAL) status
logs: ## Follow the logs of the suite; FORMAT=json for machines
	@$(LOCAL) logs
backup: ## Database and keys into a new file, encrypted with BACKUP_PASSPHRASE: make backup FILE=...
	@$(LOCAL) admin backup $(FILE)
restore: setup ## Bring back what a backup holds, in place of what is there: make restore FILE=...
	@$(LOCAL) restore $(FILE)

##@ Develop
# What dependencies may be under: permissive, or weak copyleft of single files.
LICENCES := MIT;Apache;BSD;ISC;PSF;Python Software Foundation;MPL;Mozilla Public License;Unlicense
.PHONY: setup protos check audit sbom images format test test-slow test-heavy test-unit test-integration test-e2e test-containers test-upgrade soak bench bench-floor bench-scale bench-logs bench-network wheel settings-page compose-page lock
setup: $(VENV)/.installed gen/.built ## Virtual environment, locked dependencies, stubs
protos: ## Generate stubs and the descriptor set again
	@rm -f gen/.built && $(MAKE) --no-print-directory gen/.built
check: setup ## Format, lint, types, import rules, protos
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/buf lint gen/descriptors.binpb --config protos/buf.yaml
	$(BIN)/python -m protos.check_breaking
	$(BIN)/deptry .
	$(BIN)/pip-licenses --partial-match --allow-only="$(LICENCES)" >/dev/null
audit: setup ## Known vulnerabilities of the locked dependencies
	@$(BIN)/python -m deploy.supply_chain audit
sbom: setup ## Bill of materials of all dependencies, with licences: var/sbom.cdx.json
	@mkdir -p var && $(BIN)/python -m deploy.supply_chain sbom var/sbom.cdx.json && $(BIN)/pip-licenses --format=markdown
format: setup ## Format and fix what can be fixed
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)
test: setup ## The test suite within ten minutes; the rest of it are the next four, and soak
	$(BIN)/pytest -q -n 4 $(or $(T),-m "not slow and not heavy" $(APART))
test-slow: setup ## What takes ten seconds and more each: deaths, networks of nodes, adoption, backups, load
	$(BIN)/pytest -q -n 4 -m "slow and not heavy" $(APART)
test-heavy: setup ## Proofs that take a minute or more each: failover, restore, everything that is stopped for a while
	$(BIN)/pytest -q -m heavy $(APART)
APART := --ignore=tests/containers --ignore=tests/upgrade --ignore=tests/bench
test-upgrade: setup ## From the last release to this one under load, and a step back on the way
	$(BIN)/pytest -q -s tests/upgrade
test-containers: setup ## The suite in containers with two of everything: images, journey, scaling; T=tests/containers for all of it
	$(BIN)/pytest -q -s $(or $(T),-m "not heavy" tests/containers)
test-unit: setup ## Pure tests only
	$(BIN)/pytest -q tests/unit tests/property
test-integration: setup ## Services against a real Postgres
	$(BIN)/pytest -q -n 2 tests/integration
test-e2e: setup ## Through Envoy on real containers
	$(BIN)/pytest -q tests/e2e tests/chaos
soak: setup ## Ten minutes of random deaths under load; 500 agents; 1,000 listeners; lost nodes; each process stopped for a minute; upgrade; containers
	KONTENA_SOAK=1 $(BIN)/pytest -q -s tests/integration/grid_svc/test_many_agents.py tests/integration/grid_svc/test_peer_load.py tests/network
	KONTENA_SOAK=1 $(BIN)/pytest -q -s tests/integration/deploy_svc/test_engine_load.py tests/integration/deploy_svc/test_endpoint_load.py
	KONTENA_SOAK=1 $(BIN)/pytest -q tests/chaos/test_stopped_processes.py tests/chaos/test_revocation.py tests/e2e/test_gateway_replicas.py
	KONTENA_SOAK=1 $(BIN)/pytest -q -s tests/chaos/test_soak.py
	$(BIN)/pytest -q -s tests/upgrade
	$(BIN)/pytest -q -s tests/containers
bench: setup ## Ours against Docker Swarm, the floor and the bare Engine API: prints a table, writes docs/benchmarks.md
	$(BIN)/python -m tests.bench $(BENCH)
bench-floor: setup ## What of the floor of a request is what: prints a table, writes docs/benchmarks-floor.md
	$(BIN)/python -m tests.bench.floors $(BENCH)
bench-scale: setup ## 1,000 hollow nodes and 10,000 instances: writes docs/benchmarks-scale.md; then peers, endpoints, a busy engine
	$(BIN)/python -m tests.bench.scale $(BENCH)
	KONTENA_SOAK=1 $(BIN)/pytest -q -s tests/integration/grid_svc/test_many_agents.py tests/integration/grid_svc/test_peer_load.py \
	  tests/integration/deploy_svc/test_engine_load.py tests/integration/deploy_svc/test_endpoint_load.py
bench-logs: setup ## What reading and searching logs costs, with LINES=10000000 of them and 700 bytes of disk each
	LINES=$(or $(LINES),10000000) $(BIN)/pytest -q -s tests/bench/test_log_bench.py
bench-network: setup ## Throughput and latency between containers on two nodes in each mode; answers of the resolver
	$(BIN)/pytest -q -s tests/bench/test_network_bench.py
images: setup ## Images of the suite and the agent (BASE=, PYTHON_VERSION= of the base, TAG=, DOCKER_BUILD= for flags)
	$(BIN)/python -m deploy.wheels $(PYTHON_VERSION)
	for image in suite agent; do \
	  docker build $(DOCKER_BUILD) --network=none --target $$image -t kontena/$$image:$(TAG) -f deploy/Dockerfile \
	    --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) . || exit 1; done
BASE ?= python:$(PYTHON_VERSION)-slim
PYTHON_VERSION ?= 3.13
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
TAG ?= $(VERSION)
wheel: setup ## The command line kctl and its client library as a wheel: var/wheel/
	@$(BIN)/uv build -q --wheel --no-build-isolation --python $(BIN)/python -o var/wheel cli && ls var/wheel/*.whl
settings-page: setup ## Write docs/operations/settings.md from the settings classes
	$(BIN)/python -W ignore -m deploy.settings_page > docs/operations/settings.md
compose-page: setup ## Write docs/compose-keys.md from the tables of keys
	$(BIN)/python -W ignore -m deploy.compose_page > docs/compose-keys.md
lock: setup ## Resolve the latest dependencies into the lock files
	$(BIN)/uv pip compile pyproject.toml --all-extras $(LOCK) -o requirements.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev -c requirements.txt $(LOCK) -o requirements-dev.txt
	for part in "suite --extra tracing" agent; do \
	  $(BIN)/uv pip compile pyproject.toml --extra $$part -c requirements.txt $(LOCK) -o requirements-$${part%% *}.txt || exit 1; done
	echo uv | $(BIN)/uv pip compile - -c requirements-dev.txt $(LOCK) -o requirements-uv.txt
LOCK := --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q

$(VENV)/.installed: requirements-dev.txt requirements-uv.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@printf '%s\n' "$(CURDIR)" "$(CURDIR)/gen" "$(CURDIR)/cli" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/kontena.pth"
	@printf '#!%s\nfrom kontena_ctl.main import main\n\nmain()\n' "$(CURDIR)/$(BIN)/python" | tee $(BIN)/kctl > $(BIN)/kontena-ctl
	@chmod +x $(BIN)/kctl $(BIN)/kontena-ctl
	@touch $@
gen/.built: $(PROTOS) $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m protos.generate
	@$(BIN)/python -m gateway client gen
	@touch $@

##@ Help
.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
