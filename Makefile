# `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
PORT = 3000
LIVE_PORT = 3001

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint bench e2e format

help: ## what can be made
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

install: $(STAMP) ## .venv with everything pinned; nothing to do when it is up to date

$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed (this is " + sys.version.split()[0] + "): make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## one whole sync against the bundled simulator, in the terminal
	$(VENV)/bin/circuit-sync demo

dev: install ## the Dagster UI with daemon on http://127.0.0.1:3000 (PORT=…), the live page on 3001 (LIVE_PORT=…)
	$(VENV)/bin/circuit-sync dev --port $(PORT) --gateway-port $(LIVE_PORT)

test: install ## the whole suite
	$(VENV)/bin/pytest

lint: install ## ruff, mypy and import-linter
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: install ## let ruff rewrite what it can
	$(VENV)/bin/ruff check --fix --quiet . || true
	$(VENV)/bin/ruff format --quiet .

bench: install ## the benchmarks, printed as ratios
	$(VENV)/bin/python -m circuit_sync_tests.bench

e2e: install ## the browser tests (Chromium), whole deployments that things go wrong in (PgBouncer), the suite on hostile defaults: half an hour
	$(VENV)/bin/pytest -n 2 --dist loadfile --timeout 3600 -m e2e circuit_sync_tests/e2e
	HOSTILE_DATABASE=1 $(VENV)/bin/pytest
