# Every recipe installs what it needs first: a virtual environment in .venv, made anew when what it is made from changes.
.DEFAULT_GOAL := help
.PHONY: help demo up down quick test thorough lint types imports unit fresh bench format clean
.DELETE_ON_ERROR:
# Containers often set it, and with it every process compiles all that it imports: three times as slow to start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --progress-bar off -c constraints.txt

help: ## list the recipes
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: .venv/installed ## close a month of real usage, from raw files to payment requests, in a ledger of its own
	@$(BIN)/billing demo

up: .venv/installed ## start Dagster's web page and daemon; Ctrl-C ends both
	@$(BIN)/billing up

down: ## stop what 'up' and 'demo' left running, the embedded database too
	@if [ -x $(BIN)/billing ]; then $(BIN)/billing down; else echo "Nothing is installed, so nothing runs."; fi
	@home=$${BILLING_HOME:-.billing}/demo; if [ -d $$home ] && [ -x $(BIN)/billing ]; then BILLING_HOME=$$home $(BIN)/billing down; fi

quick: .venv/tested ## the rules, without a database, in less than a minute
	$(PYTEST) --tier=quick $(ARGS)

# Types are looked at beside the tests, and said in one piece when known: what is serial leaves processors idle.
test: lint imports ## everything that must hold, in about ten minutes on two processors
	@( said=$$($(MAKE) --no-print-directory types 2>&1); failed=$$?; echo; echo "$$said"; exit $$failed ) & types=$$!; \
	$(MAKE) --no-print-directory unit; tests=$$?; \
	wait $$types || { echo "Types are wrong: see above, or run make types." >&2; exit 1; }; \
	exit $$tests
	@$(MAKE) --no-print-directory fresh

thorough: lint imports types ## for nights and releases: a thousand fresh examples, every fault ten times, large cases
	$(PYTEST) --tier=thorough $(ARGS)

lint: .venv/tested ## style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/tested ## types, strictly, of the tests too
	$(BIN)/mypy

imports: .venv/tested ## who may import whom
	$(BIN)/lint-imports

unit: .venv/tested ## the tests alone; ARGS="-k grace" picks
	$(PYTEST) $(ARGS)

fresh: .venv/tested ## a minute of random examples that nobody has seen; ARGS="--hypothesis-seed=N" shows them again
	$(PYTEST) --tier=fresh $(ARGS) $$(grep -rl '@given' billing_pipeline_tests --include='test_*.py')

bench: .venv/installed ## bill ten million events and compare with pandas; ARGS="--events 1000000 --customers 5000" picks
	$(BIN)/python benchmarks/month.py $(ARGS)

format: .venv/tested ## put the code into its standard form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: down ## remove the virtual environment and the tools' caches; no ledger is touched
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# A name on the path may be a version manager's shim that only prints an error: the first that really runs is taken.
.venv/installed: pyproject.toml constraints.txt
	@python= ; for name in python3.13 python3.12 python3.11 python3; do \
	  if $$name -c 'import sys, ssl, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	  then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 (with venv and pip) is needed, and none was found." >&2; exit 1; fi; \
	echo "Installing into .venv with $$($$python --version) ..."; \
	$$python -m venv --clear .venv
	@$(PIP) --editable .
	@touch $@ && echo "Installed."

.venv/tested: .venv/installed
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[test]'
	@touch $@ && echo "Installed."
