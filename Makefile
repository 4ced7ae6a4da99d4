# `make help` lists the targets. The first one sets up what it needs in .venv; nothing is installed outside it.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# Workers of the tests: one a core, at most 8 (each holds PyTorch in memory).
JOBS ?= $(shell n=$$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2); echo $$(( n > 8 ? 8 : n )))

.DEFAULT_GOAL := help
.PHONY: help setup demo doctor test check format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed-dev  ## make .venv with everything for working on the code

demo: $(VENV)/.installed  ## set up and run the whole story on samples/
	@$(BIN)/worldfoundry demo

doctor: $(VENV)/.installed  ## check this machine
	@$(BIN)/worldfoundry doctor

test: $(VENV)/.installed-dev  ## set up and run every test
	@$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/.installed-dev  ## set up and run the format, lint, layer and type checks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports --no-cache
	@$(BIN)/pyright

format: $(VENV)/.installed-dev  ## format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove .venv, caches and build folders; runs/ stays
	@rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh
	@touch $@

$(VENV)/.installed-dev: pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh dev
	@touch $(VENV)/.installed $@
