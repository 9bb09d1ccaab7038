# Tongchou 统筹. `make` lists the targets. Needs Python 3.11+, make and the package registries.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export DJANGO_SETTINGS_MODULE := tongchou.settings
SCRATCH = $$(mktemp -d -t tongchou-test-XXXXXX)

.PHONY: help demo serve setup dev test check format bench soak clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.runtime: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tongchou needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the hashed requirements (chDB is 0.5 GB: the first time takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.runtime ## Prepare .venv with the tongchou command in it
	@$(BIN)/tongchou setup

dev: $(VENV)/.dev setup

demo: setup ## Start the platform and a small shop of real processes (port 8420, data in ./data)
	@$(BIN)/tongchou demo

serve: setup ## Start the platform without the shop
	@$(BIN)/tongchou serve

test: dev ## Set up and pass every test once
	@bash bin/apt-packages
	@scratch=$(SCRATCH); trap 'rm -rf "$$scratch"' EXIT; \
	TONGCHOU_DATA=$$scratch bash bin/test

check: dev ## Types, lint, import contracts, sizes, migrations
	@scratch=$(SCRATCH); trap 'rm -rf "$$scratch"' EXIT; TONGCHOU_DATA=$$scratch bash bin/check

format: dev ## Format the code
	@$(BIN)/ruff format tongchou tests bench
	@$(BIN)/ruff check --fix tongchou tests bench

bench: dev ## Measure, beside the peers where they are installed
	@$(BIN)/python -m bench

soak: dev ## The long ones: kill rounds, repeats of the scenarios
	@scratch=$(SCRATCH); trap 'rm -rf "$$scratch"' EXIT; \
	TONGCHOU_DATA=$$scratch bash bin/soak

clean: ## Remove .venv and caches (not data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
