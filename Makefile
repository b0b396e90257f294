# Everything a user or CI does, one word each. `make drill` and `make test` set up what they need.
SHELL := /bin/bash
PY := .venv/bin/python
DRILL ?= drills/server/ledger-primary-crash.yaml

.PHONY: help set-up set-up-docker drill test test-local lint slow fuzz bench known-outages sick-banks drills pins clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

set-up: ## .venv from the pinned requirements (under a second when nothing changed)
	@scripts/set-up

set-up-docker: ## the engine and every image that drills on Docker need (root installs; seconds when all is there)
	@scripts/set-up-docker

drill: set-up ## run one drill on the local runtime: make drill DRILL=drills/server/…
	@$(PY) -m chaoskit run "$(DRILL)"

lint: set-up ## formatter, linter and strict typing
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m mypy

test: set-up lint ## everything but the slow tier; needs a Docker engine (make set-up-docker)
	@scripts/set-up-docker check
	@scripts/get-toxiproxy
	@$(PY) -m pytest -n 2 --dist worksteal

test-local: set-up lint ## the same without Docker: no engine, no root
	@scripts/get-toxiproxy
	@$(PY) -m pytest -n 2 --dist worksteal -m "not slow and not docker"

slow: set-up ## what runs long: 200 kills on each runtime, 100 known outages, 100 flagship runs
	@scripts/get-toxiproxy
	@$(PY) -m pytest -m slow
	@$(PY) -m tests.runtimes.docker.kill_trials --instants 200 --beside 2
	@$(PY) benchmarks/flagship.py --runs 100

fuzz: set-up ## rubbish in drill, system and Compose files and in run folders: make fuzz SECONDS=600 SEED=1
	@$(PY) -m tests.fuzz --seconds "$(or $(SECONDS),60)" $(if $(SEED),--seed "$(SEED)")

known-outages: set-up ## 100 real outages of known length and 1,000 under simulated time: the intervals must contain them
	@$(PY) tests/known_outages/trials.py --trials 100
	@$(PY) -m tests.known_outages.simulated --trials 1000

SEEDS ?= 2
HEALTHY ?= 10
sick-banks: set-up ## banks with one bug each must be caught by the named check, by key: make sick-banks SEEDS=10 HEALTHY=50
	@$(PY) -m tests.sick_banks --seeds $(SEEDS) --healthy $(HEALTHY)

drills: set-up ## every shipped drill and variant twice on each runtime; what one cannot do must be refused by name
	@scripts/get-toxiproxy
	@$(PY) -m tests.shipped_drills

bench: set-up ## every benchmark, ratios measured in one run; what it is measured against is installed beside .venv
	@scripts/get-toxiproxy
	@scripts/set-up-bench || echo "bench: no Locust; the load generator is compared with nothing" >&2
	@missed=""; for file in benchmarks/*.py; do echo "== $$file"; $(PY) "$$file" || missed="$$missed $$file"; done; \
	  if [ -n "$$missed" ]; then echo "targets missed, or not measured:$$missed" >&2; exit 1; fi

pins: ## pin the requirements anew
	@uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url -q \
	  pyproject.toml requirements/dev.in -o requirements/dev.txt
	@uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url -q \
	  requirements/bench.in -o requirements/bench.txt

clean: set-up ## undo and remove whatever dead runs left on this machine
	@$(PY) -m chaoskit clean
