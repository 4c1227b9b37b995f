SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo serve screenshots test test-sqlite test-postgres test-mariadb test-django6 services lint format \
	types layers migrations check bench faults faults-short lock clean
.NOTPARALLEL:

VENV ?= .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
VENV6 := .venv-django6
VENV_LOCK := .venv-lock
VENV_BENCH := .venv-bench
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first of these commands that runs and is recent enough: $(call find_python,3,11,python3.11 python3)
find_python = for candidate in $(3); do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < ($(1), $(2)))' 2>/dev/null && { echo "$$candidate"; break; }; done

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## Make .venv with everything for development; costs nothing when it is up to date
	@scripts/mysqlclient $(PYTHON)

$(READY): requirements/dev.txt pyproject.toml
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		python=$$($(call find_python,3,11,python3.11 python3.12 python3.13 python3.14 python3 python)); \
		[ -n "$$python" ] || { echo "Python 3.11 or newer is needed, and none was found."; exit 1; }; \
		echo "Making $(VENV) with $$($$python --version)"; \
		"$$python" -m venv --clear $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; \
	fi
	$(PYTHON) -m pip install -q -r requirements/dev.txt
	$(PYTHON) -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Queue a few jobs, run them, show what came of them: under a minute
	$(PYTHON) demo/run.py

serve: setup ## The live demonstration: dashboard, worker, jobs that keep coming; PORT=8000, Ctrl-C ends it
	$(PYTHON) demo/serve.py

screenshots: setup ## Pictures of every page of the admin, of the live demonstration, into docs/images
	$(PYTHON) demo/screenshots.py

test: setup ## The whole suite on SQLite, PostgreSQL and MariaDB; what does not answer is skipped with its reason
	$(PYTHON) -m tests.run -- $(ARGS)

test-sqlite: setup ## The suite on SQLite; ARGS="-k claim" goes to pytest, here and in the next ones
	$(PYTHON) -m tests.run sqlite -- $(ARGS)

test-postgres: setup ## The suite on PostgreSQL (PGHOST, PGPORT, PGUSER, PGPASSWORD)
	$(PYTHON) -m tests.run postgres -- $(ARGS)

test-mariadb: setup ## The suite on MariaDB (MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD)
	$(PYTHON) -m tests.run mariadb -- $(ARGS)

test-django6: $(VENV6)/.ready ## The suite on SQLite with Django 6 and Python 3.12 or newer
	$(VENV6)/bin/python -m tests.run sqlite -- $(ARGS)

$(VENV6)/.ready: requirements/dev.txt requirements/django6.txt pyproject.toml
	@python=$$($(call find_python,3,12,python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python python3.14 python3.12 python3)); \
	[ -n "$$python" ] || { echo "Django 6 needs Python 3.12 or newer, and none was found."; exit 1; }; \
	"$$python" -m venv --clear $(VENV6)
	$(VENV6)/bin/python -m pip install -q -r requirements/dev.txt
	$(VENV6)/bin/python -m pip install -q -r requirements/django6.txt
	$(VENV6)/bin/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

services: setup ## Which databases and engines answer
	@$(PYTHON) -m tests.services

lint: setup ## Ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: setup ## Ruff: apply the format and the safe fixes
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: setup ## mypy, strict
	$(VENV)/bin/mypy

layers: setup ## import-linter: imports point down the layers
	$(VENV)/bin/lint-imports

migrations: setup ## No model change without its migration
	$(PYTHON) -m tests.manage makemigrations --check --dry-run

check: lint types layers migrations test ## All that CI runs

bench: $(VENV_BENCH)/.ready ## Measure against the peers: an hour at most; Q=drain N=20000 ROUNDS=3 DATABASE=postgres, ARGS=--full
	$(VENV_BENCH)/bin/python -m bench.run $(if $(Q),--question $(Q)) $(if $(N),--size $(N)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

$(VENV_BENCH)/.ready: bench/requirements.txt pyproject.toml
	@python=$$($(call find_python,3,11,python3.11 python3.12 python3.13 python3)); \
	"$$python" -m venv $(VENV_BENCH)
	$(VENV_BENCH)/bin/python -m pip install -q -r bench/requirements.txt
	$(VENV_BENCH)/bin/python -m pip install -q --no-deps -e .
	@scripts/mysqlclient $(VENV_BENCH)/bin/python
	@touch $@

faults: setup ## The suite that kills and breaks things on purpose: hours for each database; ARGS="postgres -- -k kill"
	$(PYTHON) -m tests.faults.run $(ARGS)

faults-short: setup ## What CI runs of it: minutes
	$(PYTHON) -m tests.faults.run --short $(ARGS)

lock: $(VENV_LOCK)/.ready ## Pin the newest versions in requirements/*.txt
	$(VENV_LOCK)/bin/python scripts/lock.py

$(VENV_LOCK)/.ready:
	@python=$$($(call find_python,3,11,python3.11 python3)); "$$python" -m venv --clear $(VENV_LOCK)
	$(VENV_LOCK)/bin/python -m pip install -q pip-tools
	@touch $@

clean: ## Remove what the other commands made, the environments too
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
