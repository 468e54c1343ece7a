# Every command of the project. Works with GNU make 3.81 and later; all that it installs goes into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
# With CI set, tests fail on what they would skip for want of a browser or an engine.
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo test slow check format lint types imports length secrets fuzz bench-quick lock screenshots clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /	/' | awk -F '\t' '{printf "make %-10s %s\n", $$1, $$2}'

demo: .venv/run ## the main job end to end, in a temporary home
	@$(BIN)/gristmill demo

test: .venv/dev ## the tests, without the slow ones
	@$(PYTEST) -q -m "not slow" -n 2 --dist loadgroup

slow: .venv/dev ## the slow tests: over 20 s, alone or with others like them
	@$(PYTEST) -q -m slow

check: .venv/dev format lint types imports length test slow ## all that CI runs

format: .venv/dev ## is the code formatted? (make format FIX=1 does it)
	@$(BIN)/ruff format $(if $(FIX),,--check) .

lint: .venv/dev ## ruff (make lint FIX=1 mends what it can)
	@$(BIN)/ruff check $(if $(FIX),--fix,) .

types: .venv/dev ## mypy, strict
	@$(BIN)/mypy

imports: .venv/dev ## imports run down the table of docs/design.md
	@$(BIN)/lint-imports

length: ## no file over 300 lines, no test file over 400
	@wc -l $$(git ls-files '*.py' '*.lua' '*.sh') | awk '$$2 != "total" && $$1 > ($$2 ~ "^tests/" ? 400 : 300) {print $$2 ": " $$1 " lines"; bad = 1} END {exit bad}'

secrets: ## random passwords for docker compose, into ./secrets (what is there is kept)
	@sh bin/secrets

fuzz: .venv/dev ## 100,000 messages that are nonsense, sent to live workers
	@FUZZ_MESSAGES=100000 $(PYTEST) -q tests/acceptance/test_fuzz.py

bench-quick: .venv/dev ## ratios to peers and pools, in two minutes
	@$(BIN)/python -m benchmarks.quick

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' pyproject.toml --group build

lock: .venv/dev ## make the lock files anew from pyproject.toml
	@$(LOCK) -o requirements.lock
	@$(LOCK) -c requirements.lock --group dev --extra plot -o requirements-dev.lock

screenshots: .venv/dev ## pictures of the dashboard at work, for docs/dashboard.md
	@$(BIN)/python -m tests.support.screenshots docs

clean: ## remove .venv and every cache
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# What runs Gristmill, and what checks it: each installed once, and again when its lock file changes.
.venv/run: requirements.lock pyproject.toml
	@sh bin/install requirements.lock
	@touch .venv/run

.venv/dev: requirements-dev.lock pyproject.toml
	@sh bin/install requirements-dev.lock
	@touch .venv/run .venv/dev
