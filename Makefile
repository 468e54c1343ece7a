# The commands of the project, for GNU make 3.81 and later. They install into .venv and nowhere else.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Without bytecode, each process of a test would compile all modules anew: a tenth of a second for each start.
unexport PYTHONDONTWRITEBYTECODE
# With CI set, a test that lacks a browser or an engine fails; otherwise it is skipped.
PYTEST := $(BIN)/python -m pytest
# Tests wait more than they compute. Each of these processes has a server of its own.
JOBS := $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN))))
SIDE_BY_SIDE := -n $(JOBS) --dist loadfile
# What fails beside others runs once more, alone: a test that passes then was starved, one that is wrong fails again.
ALONE := $(PYTEST) -q --last-failed --last-failed-no-failures none

.PHONY: help demo test slow alone pythons mutants check format lint types imports length secrets fuzz bench-quick ab latest lock screenshots clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /	/' | awk -F '\t' '{printf "make %-15s %s\n", $$1, $$2}'

demo: $(VENV)/run ## run a batch from start to end, in a temporary home
	@$(BIN)/gristmill demo

test: $(VENV)/dev ## run the tests except the slow ones
	@$(PYTEST) -q -m "not slow" $(SIDE_BY_SIDE) --durations=15 || $(ALONE) -m "not slow"

slow: $(VENV)/dev ## run the slow tests: side by side, then those that need the machine for themselves
	@$(PYTEST) -q -m "slow and not alone" $(SIDE_BY_SIDE) --durations=15 || $(ALONE) -m "slow and not alone"
	@$(MAKE) --no-print-directory alone

# Not in the list of commands: `slow` and `check` end with it.
alone: $(VENV)/dev
	@$(PYTEST) -q -m alone --durations=15 || $(ALONE) -m alone

pythons: ## run `make test` on each Python from 3.11 that this machine has, in an environment for each
	@sh bin/pythons

mutants: $(VENV)/dev ## take out each guard of the promises, and check that its test turns red
	@$(BIN)/python -m tests.mutants

check: $(VENV)/dev ## run everything that CI runs
	@$(MAKE) -j --no-print-directory format lint types imports length
	@# Together: where slow tests wait, or the last of them run, the many short ones have the processors.
	@$(PYTEST) -q -m "not alone" $(SIDE_BY_SIDE) --durations=15 || $(ALONE) -m "not alone"
	@$(MAKE) --no-print-directory alone

format: $(VENV)/dev ## check the format of the code (FIX=1 formats it)
	@$(BIN)/ruff format $(if $(FIX),,--check) .

lint: $(VENV)/dev ## run ruff (FIX=1 applies its fixes)
	@$(BIN)/ruff check $(if $(FIX),--fix,) .

types: $(VENV)/dev ## run mypy, strict
	@$(BIN)/mypy

imports: $(VENV)/dev ## check that imports run down the table in docs/design.md
	@$(BIN)/lint-imports

length: ## check that no file has over 300 lines, no test over 400
	@wc -l $$(git ls-files '*.py' '*.lua' '*.sh') | awk '$$2 != "total" && $$1 > ($$2 ~ "^tests/" ? 400 : 300) {print $$2 ": " $$1 " lines"; bad = 1} END {exit bad}'

secrets: ## write random passwords for docker compose into ./secrets
	@sh bin/secrets

fuzz: $(VENV)/dev ## send 100,000 random messages to live workers
	@FUZZ_MESSAGES=100000 $(PYTEST) -q tests/acceptance/test_fuzz.py

bench-quick: $(VENV)/dev ## compare with other task queues and pools, in two minutes
	@$(BIN)/python -m benchmarks.quick

ab: $(VENV)/dev ## tell whether NEW is slower than OLD, commits or paths, by a few percent (ARGS='--minutes 20')
	@$(BIN)/python -m benchmarks.ab $(OLD) $(NEW) $(ARGS)

latest: $(VENV)/dev ## try the newest Celery, kombu, billiard, Flower and redis-py, which pyproject.toml may exclude
	@sh bin/latest

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' pyproject.toml --group build

lock: $(VENV)/dev ## resolve pyproject.toml into the lock files again
	@$(LOCK) -o requirements.lock
	@$(LOCK) -c requirements.lock --group dev --extra plot -o requirements-dev.lock

screenshots: $(VENV)/dev ## take the pictures of the dashboard in docs/
	@$(BIN)/python -m tests.support.screenshots docs

clean: ## remove .venv and every cache
	@rm -rf .venv .venv-* build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The environment to run Gristmill, and the one to check it: installed once, and again when its lock file changes.
$(VENV)/run: requirements.lock pyproject.toml
	@sh bin/install requirements.lock $(VENV)
	@touch $(VENV)/run

$(VENV)/dev: requirements-dev.lock pyproject.toml
	@sh bin/install requirements-dev.lock $(VENV)
	@touch $(VENV)/run $(VENV)/dev
