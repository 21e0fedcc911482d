# Bare `make` lists the targets. Everything runs in .venv, which `make setup` makes from requirements.lock.

# The system's first: a Python that was built without profile-guided optimisation, as pyenv's are, takes up to twice as
# long for everything here.
PYTHON ?= $(shell for python in /usr/bin/python3 python3.11 python3.12 python3.13 python3; do \
  "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$python; exit; }; \
  done; command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILED := build/compiled/.ready
PACKAGES := schemas ingest processors sinks console deploy
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(CURDIR)/$(BIN)/uv --quiet
COMPILER = command -v cc >/dev/null && $(BIN)/python -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null \
  || { echo "wheel: installing a C compiler and Python's headers from Debian"; \
  apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev python3-dev >/dev/null; } \
  || { echo "wheel: there is none here, and we may not install it. As root: apt-get install gcc libc6-dev python3-dev"; exit 1; }
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
NEEDS_MB := 2500

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz chaos chaos-ingest lint types format bench bench-join bench-history bench-latency bench-ingest docs wheel compiled lock clean

help: ## this list
	@echo "Accredit: streaming attribution. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the locked packages and the accredit command in it

# `python -m venv` without ensurepip leaves half a folder behind: ask first. pip installs uv, by its hashes of the lock
# file, and uv the rest, in a third of the time; where only pip knows the way to a package index, pip does it all.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "setup: no Python here. Install it: apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "setup: $(PYTHON) is $$($(PYTHON) -V); Accredit needs Python 3.11 or later."; \
	  echo "       Install it (apt-get install python3.11 python3.11-venv) or name one: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "setup: $(PYTHON) cannot make virtual environments. Install what is missing: apt-get install python3.11-venv"; exit 1; }
	@free=$$(df -Pm . | awk 'NR == 2 { print $$4 }'); test "$$free" -ge $(NEEDS_MB) || { \
	  echo "setup: $$free MB are free here; the packages need $(NEEDS_MB)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing the packages of requirements.lock (a minute or two the first time)"
	@awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' requirements.lock > $(VENV)/uv.lock
	@$(PIP) install --require-hashes -r $(VENV)/uv.lock
	@$(UV) pip install --require-hashes --compile-bytecode -r requirements.lock || \
	  $(PIP) install --require-hashes -r requirements.lock
	@$(UV) pip install --no-deps --no-build-isolation -e .
	@touch $@
	@echo "setup: done. Try: make demo"

demo: $(READY) ## run a story through a fresh installation; EXIT=1 stops by itself
	@$(BIN)/accredit demo $(if $(EXIT),--exit,)

test: $(READY) ## all tests; those that need Docker are skipped where there is none
	@$(BIN)/python -m pytest

lint: $(READY) ## ruff and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## strict type check
	@$(BIN)/mypy

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

fuzz: $(READY) ## schemathesis and 20,000 malformed requests against the real ingest; FUZZ_SEED=N repeats a run
	@$(BIN)/python -m pytest -s tests/integration/test_ingest_fuzz.py

chaos: $(READY) ## kill, freeze, join and leave under load, then count what is wrong, lost or there twice
	@$(BIN)/python -m tests.chaos

chaos-ingest: $(READY) ## a minute of visits, postbacks and bulk while Kafka and ingest are killed, then count
	@$(BIN)/python -m tests.chaos.ingest

bench: bench-join bench-history bench-latency bench-ingest ## all benchmarks

bench-join: $(READY) ## events/s of the attribution worker beside a stock Faust agent with a Table
	@$(BIN)/python -m bench.join

bench-history: $(READY) ## the worker with a long past: 1, 5, 10 million touches, one hot session, a lost state
	@$(BIN)/python -m bench.history

bench-latency: $(READY) ## from a sale's answer to its credit and to its row, at 5,000 events/s
	@$(BIN)/python -m bench.latency

bench-ingest: $(READY) ## redirects/s with durable acks beside nginx with a bare 302; bulk beside the bare producer
	@$(MAKE) --no-print-directory compiled || echo "bench-ingest: going on with the front door interpreted"
	@PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python -P -m bench.ingest

docs: $(READY) ## write the reference pages in docs/reference from the code
	@$(BIN)/python -m docs.write_reference

wheel: $(READY) ## build dist/accredit-*.whl, with what a visit runs through compiled; PURE=1 for one without
	@rm -rf build/source
	@mkdir -p build/source
	@cp -r $(PACKAGES) pyproject.toml README.md LICENSE build/source/
	@find build/source -name __pycache__ -prune -exec rm -rf {} +
	@$(if $(PURE),,$(COMPILER))
	@$(if $(PURE),,echo "wheel: compiling with mypyc (a minute or two)")
	@cd build/source && $(if $(PURE),,HATCH_BUILD_HOOK_ENABLE_MYPYC=1) \
	  $(UV) build --wheel --no-build-isolation --python ../../$(BIN)/python --out-dir ../../dist
	@ls dist/*.whl

# The product as it is deployed, beside the sources and not among them: there it would hide what is edited.
compiled: $(COMPILED) ## the compiled wheel, unpacked in build/compiled for the benchmarks
$(COMPILED): $(READY) $(shell find schemas ingest -name '*.py')
	@rm -rf build/compiled dist
	@$(MAKE) --no-print-directory wheel
	@$(UV) pip install --no-deps --target build/compiled dist/*.whl
	@touch $@

lock: $(READY) ## write requirements.lock anew from pyproject.toml
	@$(UV) pip compile --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev \
	  --python-version 3.11 -o requirements.lock

clean: ## take away .venv, caches and the demo's data
	@rm -rf $(VENV) build dist demo-data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
