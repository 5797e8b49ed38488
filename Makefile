# What a person runs. Every target sets up what it needs in .venv and is quick when that is already there.
#
#   make quickstart   install, apply examples/quickstart on this machine, print its outputs
#   make test         all tests
#   make check        format, lint, types, layers, freshness of schemas/
#   make bench        all benchmarks, into docs/performance.md; BENCH_ARGS=--quick: the small ones, on the screen
#   make docs         regenerate what is generated (schemas/)
#   make clean        destroy the quickstart's processes and data, remove .venv and caches

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
PYTEST_ARGS ?=
BENCH_ARGS ?=
QUICKSTART := examples/quickstart
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help quickstart quickstart-destroy test check format bench docs clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("mlinfra needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/local.stamp: $(VENV)/pip.stamp pyproject.toml constraints.txt
	$(PIP) --editable '.[local]' scikit-learn
	$(BIN)/python -m compileall -q mlinfra providers  # as pip does for what it copies
	@touch $@

$(VENV)/dev.stamp: $(VENV)/local.stamp
	$(PIP) --editable '.[docker,aws,gcp,azure,postgres,ray]' --group dev
	@touch $@

quickstart: $(VENV)/local.stamp
	cd $(QUICKSTART) && PATH="$(CURDIR)/$(BIN):$$PATH" mlinfra apply --yes
	@echo
	@echo "It keeps running. Next: $(QUICKSTART)/README.md; make quickstart-destroy removes it."

quickstart-destroy: $(VENV)/local.stamp
	cd $(QUICKSTART) && PATH="$(CURDIR)/$(BIN):$$PATH" mlinfra destroy --yes

test: $(VENV)/dev.stamp
	@$(BIN)/python -m compileall -q mlinfra providers  # a test starts hundreds of commands
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_schemas.py

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(if $(BENCH_ARGS),$(BENCH_ARGS),--write docs/performance.md)

docs: $(VENV)/local.stamp
	$(BIN)/mlinfra schema --write schemas

clean:
	@if [ -x $(BIN)/mlinfra ] && [ -d $(QUICKSTART)/.mlinfra ]; then \
		cd $(QUICKSTART) && PATH="$(CURDIR)/$(BIN):$$PATH" mlinfra destroy --yes; fi
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
