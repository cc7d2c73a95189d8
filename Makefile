# Vaka's verbs. `make demo` and `make test` do all set-up by themselves; both can be interrupted and run again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CLUSTER ?= auto
NAME ?= vaka
VENV := .venv
PYTHON := $(VENV)/bin/python
VAKA := $(VENV)/bin/vaka
export CLUSTER

# What the embedded cluster and the image builds need of Debian; nothing of it when CLUSTER=current.
PACKAGES := python3 python3-venv containerd runc containernetworking-plugins nftables buildah debootstrap skopeo \
            iproute2 ca-certificates
TEST_PACKAGES := prometheus curl haproxy wrk

.PHONY: help system setup binaries datasets images demo test clients kafka test-unit test-distributed test-api test-e2e \
        check format crds states lock cluster-up cluster-down bench bench-serving clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

##@ Set-up
setup: system $(VENV)/.ready binaries datasets images ## Install all that is needed, build the cluster's programs and the images

system:
	@$(call install,$(PACKAGES))

# $(call install,PACKAGES): install what is missing, or say in one sentence why it cannot be.
define install
missing=$$(for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || echo -n "$$p "; done); \
if [ -n "$$missing" ]; then \
  command -v apt-get >/dev/null || { echo "vaka: this set-up needs Debian's apt-get to install: $$missing" >&2; exit 1; }; \
  [ "$$(id -u)" = 0 ] || { echo "vaka: run as root, or first: sudo apt-get install $$missing" >&2; exit 1; }; \
  echo "==> Debian packages: $$missing"; \
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; \
fi
endef

$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "==> Python packages into $(VENV) (torch is large: a minute or two)"
	@command -v python3.11 >/dev/null || { echo "vaka: Python 3.11 is missing: apt-get install python3.11" >&2; exit 1; }
	@[ -x $(PYTHON) ] || python3.11 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ]*' requirements.lock)"
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(PYTHON) requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@

binaries: $(VENV)/.ready
	@$(VAKA) cluster binaries

datasets: $(VENV)/.ready
	@$(VAKA) data build all

images: $(VENV)/.ready datasets ## Build the container images (unchanged ones are skipped)
	@$(PYTHON) images/build.py

##@ Use
demo: setup ## Train a digit classifier on a real cluster and predict with it
	@$(PYTHON) examples/demo.py --name $(NAME)

cluster-up: setup ## Start a cluster (CLUSTER=auto|current|kind|embedded, NAME=vaka)
	@$(VAKA) cluster up --name $(NAME)

cluster-down: ## Stop it and leave nothing behind
	@[ ! -x $(VAKA) ] || $(VAKA) cluster down --name $(NAME)

##@ Develop
test: setup test-packages clients kafka check ## All checks and all tests: unit, distributed, api (real API server), e2e (real pods)
	@$(VENV)/bin/pytest

kafka: $(VENV)/.ready ## Fetch the Kafka broker that a test logs payloads to
	@command -v mvn >/dev/null || { $(call install,maven); }
	@libs=$$($(PYTHON) -c 'from vaka.devcluster.folders import cache_root; print(cache_root() / "kafka/libs")'); \
	[ -e "$$libs/.ready" ] || { echo "==> Kafka"; \
	  mvn -q -f tests/unit/serving/kafka dependency:copy-dependencies -DincludeScope=runtime \
	    -DoutputDirectory="$$libs" && touch "$$libs/.ready"; }

clients: .venv-clients/.ready

.venv-clients/.ready: $(VENV)/.ready tests/unit/serving/clients/requirements.txt
	@echo "==> Clients that others wrote, into .venv-clients"
	@[ -x .venv-clients/bin/python ] || python3.11 -m venv .venv-clients
	@$(VENV)/bin/uv pip sync --quiet --python .venv-clients/bin/python tests/unit/serving/clients/requirements.txt
	@touch $@

test-packages:
	@$(call install,$(TEST_PACKAGES))

test-unit: $(VENV)/.ready clients ## Tests that need no cluster, without the slow ones: a minute
	@$(VENV)/bin/pytest -m "not api and not cluster and not e2e and not distributed"

test-distributed: $(VENV)/.ready binaries ## Tests with several training processes, killed and started again
	@$(VENV)/bin/pytest -m distributed

test-api: $(VENV)/.ready binaries ## Tests against a real API server
	@$(VENV)/bin/pytest -m api

test-e2e: setup test-packages ## Tests with real pods on a real cluster
	@$(VENV)/bin/pytest -m "cluster or e2e"

check: $(VENV)/.ready ## ruff, mypy --strict, import-linter
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check --quiet . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

format: $(VENV)/.ready ## Format the code and fix what can be fixed
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format .

crds: $(VENV)/.ready ## Generate the CRDs from the types
	@$(PYTHON) -m vaka.api.crd charts/vaka/files/crds

states: $(VENV)/.ready ## Generate docs/states.md from the reasons in the code
	@$(PYTHON) -m vaka.api.states docs/states.md

lock: $(VENV)/.ready ## Pin the newest versions that pyproject.toml allows
	@$(VENV)/bin/uv pip compile --quiet --upgrade --python-version 3.11 --extra dev --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	@PATH=$(VENV)/bin:$$PATH images/requirements/compile.sh
	@cd tests/unit/serving/clients && ../../../../$(VENV)/bin/uv pip compile --quiet --upgrade --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.txt requirements.in

bench: demo ## Measurements on the cluster of the demo
	@$(PYTHON) bench/spine.py $(NAME)

bench-serving: $(VENV)/.ready ## The server beside its peers on this machine; ONLY=NAME,... names some of them
	@$(call install,wrk)
	@$(PYTHON) -W ignore bench/serving/stages.py
	@$(PYTHON) -W ignore bench/serving/peers.py --latency
	@$(PYTHON) -W ignore bench/serving/peers.py $(if $(ONLY),--only $(ONLY))

clean: cluster-down ## Stop the cluster and remove what was built here (the caches stay)
	@rm -rf $(VENV) .venv-clients build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
