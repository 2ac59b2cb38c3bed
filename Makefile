# The targets that a person needs, each with its help text. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint fuzz prove bench-gate bench-storm bench-library bench-scan bench-mux bench-sessions bench-watch bench-flow wheel lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Seconds per target of `make fuzz`.
SECONDS_EACH ?= 300
# Storms of `make prove`.
SCENARIOS ?= 100000

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup ## Create .venv with the locked Python packages

$(VENV)/.setup: requirements/dev.txt
	@PYTHON="$(PYTHON)" scripts/setup

build: $(VENV)/.setup ## Build the release extension module and tidegate-lab into .venv
	@scripts/build

demo: build ## Show a reconnect storm, without and with the gate
	@$(BIN)/tidegate demo

test: ## Run every test; as root on Debian installs the peers it needs. REQUIRE_ALL=1: nothing may be left out
	@PYTHON="$(PYTHON)" $(PYTHON) scripts/test.py

lint: $(VENV)/.setup ## Run the linters and type checkers only
	@$(PYTHON) scripts/test.py --only lint

fuzz: ## Fuzz every target for SECONDS_EACH seconds (default 300)
	@scripts/fuzz $(SECONDS_EACH)

prove: ## Play SCENARIOS random storms (default 100000), or the one with SEED=…, and check every rule in each
	@CARGO_PROFILE_TEST_OPT_LEVEL=2 SCENARIOS="$(SCENARIOS)" $(if $(SEED),SEED="$(SEED)") \
	  cargo test --locked --package tidegate-sim --test prove -- --nocapture

bench-gate: build ## Measure the gate beside haproxy, nginx and envoy (QUICK=1: a short look; QUIET box needed)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benches.gate $(if $(QUICK),--quick)

bench-mux: build ## Measure connections, ports and verdicts beside peers (QUICK=1: five minutes; root; QUIET box needed)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benches.mux $(if $(QUICK),--quick)

bench-sessions: build ## Measure what a vCenter sees of scripts, beside HAProxy (QUICK=1: five minutes; needs Go; QUIET box needed)
	@scripts/vcsim >/dev/null
	@$(BIN)/python -m benches.sessions $(if $(QUICK),--quick)

bench-watch: build ## Measure windows beside ElastAlert2, and how soon an alert comes (QUICK=1: a minute; QUIET box needed)
	@$(BIN)/python -m benches.watch $(if $(QUICK),--quick)

bench-flow: build ## Measure how fast captures are analysed, beside tshark and argus (QUICK=1: a minute; QUIET box needed)
	@$(BIN)/python -m benches.flow $(if $(QUICK),--quick)

bench-library: build ## Measure what being admitted costs inside a server (QUICK=1: a short look; QUIET box needed)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benches.library $(if $(QUICK),--quick)

bench-storm: build ## Play reconnect storms through the gate and its peers (QUICK=1: five minutes; QUIET box needed)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benches.storm $(if $(QUICK),--quick)

bench-scan: build ## Measure how fast logs are searched, beside ripgrep, grep, lnav and vectorscan (QUICK=1; QUIET box needed)
	@$(BIN)/python -m benches.scan $(if $(QUICK),--quick)

wheel: ## Build a wheel with the lab binary in it, install it without Rust, and run it
	@PYTHON="$(PYTHON)" scripts/wheel

lock: ## Resolve the Python packages anew: uv.lock and requirements/*.txt
	@scripts/lock

clean: ## Remove what was built (.venv, target, dist)
	@rm -rf $(VENV) target dist fuzz/target
