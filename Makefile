# make run | test | check | bench | crash | soak: everything installs into .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUNDS ?= 100
STAMP := $(VENV)/.installed
# A relay is three processes; where the environment forbids to keep compiled modules, each compiles all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: man monitoring-docs run test coverage check format bench bench-backlog bench-scale bench-shaping bench-suppression crash soak rotation corpus clean deb

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: $(STAMP)          ## one real message end to end, then keep serving (ONCE=1: end after the message)
	$(BIN)/relay demo var $(if $(ONCE),--once)

test: $(STAMP)         ## everything, with the real programs where they are installed
	$(BIN)/python -m pytest -n $(or $(JOBS),4) $(ARGS)

coverage: $(STAMP)     ## the same, and which lines it ran (a fifth slower)
	$(BIN)/python -m pytest -n $(or $(JOBS),4) --cov=relay --cov-report=term:skip-covered $(ARGS)

check: $(STAMP)        ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)        ## against Postfix + OpenDKIM in one run (QUICK=1: under a minute)
	$(BIN)/python -m bench $(ARGS)

bench-backlog: $(STAMP) ## 100,000 messages to a dead next hop, a restart in the middle
	$(BIN)/python -m bench.backlog $(ARGS)

bench-scale: $(STAMP)  ## a million waiting, 10,000 sites, 100 dead ones, a password behind a campaign (QUICK=1)
	$(BIN)/python -m bench.scale $(ARGS)

bench-shaping: $(STAMP) ## receivers of every kind on a virtual clock: capacity reached, mail refused (seconds)
	$(BIN)/python -m bench.shaping $(ARGS)

bench-suppression: $(STAMP) ## suppression lists of a million addresses: import, look-up, memory (URL=postgresql://...)
	$(BIN)/python -m bench.suppression $(if $(URL),--url $(URL)) $(ARGS)

crash: $(STAMP)        ## kill -9 at random moments, compare the ledgers
	$(BIN)/python -m tests.crash --rounds $(ROUNDS)

soak: $(STAMP)         ## everything at once for MINUTES=10 at RATE=80 a second: nothing lost, nothing that grows
	$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),10) --rate $(or $(RATE),80) $(ARGS)

rotation: $(STAMP)     ## DKIM keys turn under load, and every message verifies (MESSAGES=20000)
	$(BIN)/python -m tests.scenarios.rotation --messages $(or $(MESSAGES),20000)

corpus: $(STAMP)       ## how well bounces are read: figures on real ones, and thousands of damaged ones
	$(BIN)/python -m tests.corpora $(ARGS)

monitoring-docs: $(STAMP) ## the dashboard, and what Prometheus answers to its queries beside a relay under load
	$(BIN)/python -m bench.monitoring.dashboard > conf/grafana/relay.json
	$(BIN)/python -m bench.monitoring > docs/dashboard.new
	mv docs/dashboard.new docs/dashboard.md

man: $(STAMP)          ## man pages and completion for shells, into build/man
	$(BIN)/relay manual build/man --settings conf/relay.toml

deb: $(STAMP)          ## dist/relay_VERSION_ARCHITECTURE.deb (WHEELS=folder: offline; packaging/deb/build says more)
	PIP=$(BIN)/pip packaging/deb/build dist

clean:
	rm -rf $(VENV) var dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
