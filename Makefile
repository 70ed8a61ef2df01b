# Every target sets up what it needs; `make demo` and `make test` work on a bare clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(BIN)/python -m pip --quiet
READY  := $(VENV)/.ready
# npm trusts whom this machine trusts.
CAS    := $(or $(NODE_EXTRA_CA_CERTS),$(wildcard /etc/ssl/certs/ca-certificates.crt))

.PHONY: help profile audit deb bench-readme demo test-slow test-sim test-crash docs docs-output docs-pages docs-transcript test test-systemd test-baddays test-package fuzz soak sbom man unit check format lock wheel clean bench bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api bench-delivery

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## five simulated providers, the real daemon killed half way, every webhook verified
	@$(BIN)/pollhook demo $(ARGS)

receivers: build/receivers/.ready ## what the Python receivers of docs/receivers stand on, for the tests

build/receivers/.ready: docs/receivers/requirements.txt
	@$(PYTHON) -m venv build/receivers
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/receivers/bin/python -m pip --quiet install --requirement $< 2>/dev/null && touch $@ \
	  || { rm -rf build/receivers; echo "!! the Python receivers could not be installed: their tests are SKIPPED" >&2; }

verifiers: build/verifiers/.ready ## the npm packages that the tests verify webhooks with, where npm is

build/verifiers/.ready: tests/verifiers/package.json tests/verifiers/package-lock.json
	@mkdir -p build/verifiers && cp $^ build/verifiers/
	@if command -v npm >/dev/null && command -v node >/dev/null; then \
	  NODE_EXTRA_CA_CERTS=$(CAS) npm ci --prefix build/verifiers --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null \
	    && touch $@ || echo "!! npm could not install the JavaScript verifiers: their tests are SKIPPED" >&2; \
	else echo "!! no node and npm here: the tests with JavaScript verifiers are SKIPPED" >&2; fi

test: $(READY) verifiers receivers ## the suite but for its slow part, on every core; ARGS=tests/core for whatever you name
	@$(BIN)/python -m pytest $(or $(ARGS),-m "not slow" -n auto --dist worksteal)

test-slow: $(READY) verifiers receivers ## the real daemon for minutes: crashes, reloads, security, models, benchmarks in small
	@$(BIN)/python -m pytest -m slow $(ARGS)

test-systemd: $(READY) ## boot a real systemd in a Debian root of its own and run the units there (root; SUITE=trixie for another Debian)
	@tests/boot/run $(ARGS)

test-crash: $(READY) ## kills at every point, at random, and the power gone; KILLS=1000 CUTS=300 for the long form
	@POLLHOOK_CRASHES=1 timeout $(or $(PATIENCE),3600) env KILLS=$(or $(KILLS),30) CUTS=$(or $(CUTS),20) $(BIN)/python -m pytest tests/crash $(ARGS)

test-baddays: $(READY) ## full disk, locked database, no network, stepped clock, … on the real process (root for some)
	@POLLHOOK_BAD_DAYS=1 $(BIN)/python -m pytest tests/baddays $(ARGS)

build/fuzz/.ready: tests/fuzz/requirements.txt
	@$(PYTHON) -m venv build/fuzz
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/fuzz/bin/python -m pip --quiet install --requirement $< 2>/dev/null && touch $@ \
	  || { rm -rf build/fuzz; echo "!! schemathesis could not be installed: the API is not fuzzed by its schema" >&2; }

fuzz: $(READY) ## hostile answers, requests, definitions and receivers; SECONDS=600 for all parts together, SEED=… to replay
	@$(MAKE) --no-print-directory build/fuzz/.ready || true
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: $(READY) ## MINUTES=30 of churn and faults: what may not grow is measured, then every ledger compared
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(ARGS)

sbom: $(READY) ## write build/sbom.json: what the daemon is made of (CycloneDX)
	@$(BIN)/python -m shipping.sbom build/sbom.json

audit: requirements.lock ## hold what is pinned against the public advisories (pip-audit; needs a network that answers for them)
	@$(PYTHON) -m venv build/audit
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/audit/bin/python -m pip --quiet install pip-audit
	@build/audit/bin/pip-audit --strict --disable-pip --requirement requirements.lock

unit: $(READY) verifiers ## the part of it that starts no process of its own
	@$(BIN)/python -m pytest tests/core tests/engine tests/providers tests/net tests/webhooks tests/store tests/api tests/config tests/observe tests/docs tests/models $(ARGS)

test-sim: $(READY) ## simulated days of the whole daemon under faults; ARGS="--seed 7 --runs 50 --hours 24"
	@$(BIN)/python -m tests.sim.run $(or $(ARGS),--runs 10)

mutants: $(READY) ## mutation testing of what decides verdicts, schedules, signatures, egress; MODULES="judge egress"
	@$(BIN)/python -m tests.mutants.run $(MODULES) $(ARGS)

check: $(READY) ## format, lint, types, the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: $(READY) ## rewrite the code as `make check` wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## build the documentation; a dead link, a stale page or stale output of a command fails
	@$(BIN)/python -m docs.generate.console
	@$(BIN)/python -m pytest tests/docs
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

docs-transcript: $(READY) ## play the session on a fresh Debian in a booted machine (root), and write what it says anew
	@POLLHOOK_WRITE_TRANSCRIPT=1 tests/boot/run -k fresh_debian || tests/boot/run -k fresh_debian

docs-output: $(READY) ## run the commands that the pages show, and write their output anew
	@$(BIN)/python -m docs.generate.console --write

docs-pages: $(READY) ## write the reference pages anew from the code
	@$(BIN)/python -m docs.generate

man: $(READY) ## write shipping/pollhook.1 from the command line's own words
	@$(BIN)/python -m shipping.manpage

wheel: $(READY) ## build the wheel and the sdist into dist/
	@$(BIN)/python -m hatchling build --directory dist

deb: $(READY) ## build dist/pollhook_VERSION_ARCH.deb for the Debian this is
	@$(BIN)/python -m shipping.debian

build/installers/.ready:
	@$(PYTHON) -m venv build/installers
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/installers/bin/python -m pip --quiet install pipx uv 2>/dev/null && touch $@ \
	  || { rm -rf build/installers; echo "!! pipx and uv could not be installed: packages are tried with those that are here" >&2; }

test-package: $(READY) build/installers/.ready ## build both, install each in an environment of its own, run it from an empty folder
	@$(BIN)/python -m shipping.try_packages $(ARGS)

bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api bench-delivery: bench-%: $(READY)
	@$(BIN)/python -m benchmarks.$* $(ARGS)

profile: $(READY) ## where the processor's time goes; ARGS=api for a registration, ARGS=delivery for a delivery
	@$(BIN)/python -m benchmarks.profiled $(or $(ARGS),api)

bench: bench-polls bench-cadence bench-lanes bench-restart bench-latency bench-api bench-delivery ## every benchmark; ARGS="--quick" for a look

bench-readme: $(READY) ## the README's tables anew from benchmarks/results
	@$(BIN)/python -m benchmarks.readme

lock: ## write requirements.lock anew from pyproject.toml; on Debian 12, PYTHON=/usr/bin/python3 takes the oldest 3.11 there is
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
