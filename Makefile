# What a newcomer types: `make run`, `make test`. `make` alone lists the rest.
# Every path is relative, so that the folder may be called anything.

PYTHON ?= python3
PORT ?= 8000
export PORT

IN_VENV := .venv/bin/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test bench check lint types arrows migrations system schema schema-is-current clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: .venv/.runs ## start the registry with demonstration data on PORT (8000)
	@exec $(IN_VENV) manage.py serve --demo

test: .venv/.tests ## pass every test, on SQLite and (if it is installed) on PostgreSQL; ARGS go to pytest
	@exec $(IN_VENV) -m tests.run $(ARGS)

bench: .venv/.tests ## measure single checks beside an echo and a plain view, on both databases (needs wrk)
	@exec $(IN_VENV) -m bench.checks $(ARGS)

check: lint types arrows migrations system schema-is-current ## every gate that needs no test

lint: .venv/.tests ## style and likely mistakes (ruff)
	@echo "== lint"
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m ruff format --check .

types: .venv/.tests ## what the code promises (mypy, strict)
	@echo "== types"
	@$(IN_VENV) -m mypy

arrows: .venv/.tests ## which room may import which (import-linter)
	@echo "== arrows"
	@$(IN_VENV) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo

migrations: .venv/.tests # are the models and the migrations the same?
	@echo "== migrations"
	@$(IN_VENV) manage.py makemigrations --check --dry-run

system: .venv/.tests # what Django finds wrong with the settings and the models
	@echo "== system checks"
	@$(IN_VENV) manage.py check --fail-level WARNING

# In English, whatever the language of the settings, so that it changes only when the API does.
WRITE_SCHEMA = $(IN_VENV) manage.py spectacular --lang en --validate --fail-on-warn --file

schema: .venv/.tests ## write docs/openapi.yaml from the code
	@$(WRITE_SCHEMA) docs/openapi.yaml

schema-is-current: .venv/.tests # is docs/openapi.yaml what the code says?
	@echo "== schema"
	@mkdir -p var
	@$(WRITE_SCHEMA) var/openapi.yaml
	@diff -u docs/openapi.yaml var/openapi.yaml || { \
	  echo "docs/openapi.yaml is not what the code says. Run 'make schema' and look at what changed." >&2; exit 1; }

clean: ## remove .venv and what the tools leave behind; var/ (data, keys) stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv: made once, filled again when the lists of what goes in change ------------------------------

.venv/.runs: requirements.txt
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "The registry needs Python 3.11 or later, and there is no $(PYTHON) here: apt install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The registry needs Python 3.11 or later; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(IN_VENV) -c 'import pip' 2>/dev/null || "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make a virtual environment: apt install python3-venv" >&2; exit 1; }
	@echo "Installing what the registry needs into .venv (once, about half a minute)…"
	@$(IN_VENV) -c 'import pip' 2>/dev/null || "$(PYTHON)" -m venv --clear .venv
	@$(IN_VENV) -m pip install -qq --no-input --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.tests: requirements-dev.txt .venv/.runs
	@echo "Installing what the tests need into .venv (once, about half a minute)…"
	@$(IN_VENV) -m pip install -qq --no-input --disable-pip-version-check -r requirements-dev.txt
	@touch $@
