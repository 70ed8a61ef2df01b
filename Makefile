# Every target sets up what it needs; `make demo` and `make test` work on a bare clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(BIN)/python -m pip --quiet
READY  := $(VENV)/.ready

.PHONY: help demo test unit check format lock wheel clean bench bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## five simulated providers, the real daemon killed half way, every webhook verified
	@$(BIN)/pollhook demo $(ARGS)

test: $(READY) ## the whole test suite
	@$(BIN)/python -m pytest $(ARGS)

unit: $(READY) ## the part of it that starts no process of its own
	@$(BIN)/python -m pytest tests/core tests/engine tests/providers tests/net tests/webhooks tests/store tests/api tests/config tests/observe $(ARGS)

check: $(READY) ## format, lint, types, the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: $(READY) ## rewrite the code as `make check` wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

wheel: $(READY) ## build the wheel and the sdist into dist/
	@$(PIP) install build
	@$(BIN)/python -m build --no-isolation --outdir dist .

bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api: bench-%: $(READY)
	@$(BIN)/python -m benchmarks.$* $(ARGS)

bench: bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api ## every benchmark; ARGS="--quick" for a look

lock: ## write requirements.lock anew from pyproject.toml
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --quiet install pip-tools
	@build/lock/bin/pip-compile --quiet --all-extras --allow-unsafe --generate-hashes --strip-extras --no-header \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Pollhook needs Python 3.11 or newer as $(PYTHON); install it, or name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks the venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(READY)
