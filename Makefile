# The commands of the project. Each makes .venv first when it is missing or out of date.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

# The stamp holds the directory it was made in: a moved checkout or a removed interpreter is set up again.
ifneq ($(shell test -x $(PY) && head -n 1 $(INSTALLED) 2>/dev/null),$(CURDIR))
.PHONY: $(INSTALLED)
endif

.PHONY: help setup demo run test lint bench cases oracles protos breaking clean

help: ## list the commands
	@printf 'usage: make <command> [VARIABLE=value]\n\n'
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 12

setup: $(INSTALLED) ## make .venv and install the locked packages (PYTHON=/path/to/python to choose one)
	@echo 'setup: $(VENV) is ready'

$(INSTALLED): pyproject.toml deploy/requirements.lock deploy/setup_venv.sh
	@PYTHON='$(PYTHON)' sh deploy/setup_venv.sh

demo: $(INSTALLED) ## play a month of business and print its bills (TRACE=file.csv replays real requests)
	@$(PY) -m deploy.demo $(if $(TRACE),--trace '$(TRACE)')

run: $(INSTALLED) ## start both services and the projector on an embedded PostgreSQL, until Ctrl-C
	@$(PY) -m deploy.run

test: lint ## every check and every test
	@$(PY) -m pytest --numprocesses 2 --dist loadfile

interop: $(INSTALLED) ## let hledger and beancount read exported books (fetches hledger where there is none)
	@$(PY) -m pytest tests/interop --override-ini 'python_files=check_*.py'

lint: $(INSTALLED) ## formatting, lint, types, protos, generated code
	@sh deploy/check.sh

bench: $(INSTALLED) ## measure against the floors, print a table, write build/bench.json
	@$(PY) -m tests.benchmarks.run_bench

cases: $(INSTALLED) ## play acceptance cases over gRPC (FILES="a.json b.json")
	@$(PY) -m tests.acceptance.run_cases $(FILES)

oracles: $(INSTALLED) ## play cases that independent oracles write (COUNT=100 of each kind, SEED=0)
	@$(PY) -m tests.acceptance.play_oracles $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

protos: $(INSTALLED) ## write protos/gen anew from the protos
	@$(PY) -m deploy.generate_protos

breaking: $(INSTALLED) ## find breaking changes in the protos (AGAINST=git ref, default HEAD)
	@$(PY) -m deploy.generate_protos --breaking $(or $(AGAINST),HEAD)

clean: ## remove .venv, caches and build output; data stays
	@rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find ledger_service rating_service tests deploy protos -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
