# Tongchou 统筹. `make` lists the targets. Needs Python 3.11+, make and the package registries.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .venv-tools
export DJANGO_SETTINGS_MODULE := tongchou.settings
SCRATCH = $$(mktemp -d -t tongchou-test-XXXXXX)

.PHONY: help demo serve setup tools dev ldap test check format bench soak agent bundle clean
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

# ansible-core is GPL: in an environment of its own, run as a process, never imported
$(TOOLS)/.installed: requirements-tools.txt
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-tools.txt
	@touch $@

tools: $(TOOLS)/.installed ## Install ansible-runner for ansible steps, in .venv-tools

dev: $(VENV)/.dev tools setup

# python-ldap is compiled: only where its headers are (bin/apt-packages brings them)
$(VENV)/.ldap: $(VENV)/.runtime requirements-ldap.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-ldap.txt
	@touch $@

ldap: $(VENV)/.ldap ## Install what LDAP and AD sign-in needs (libldap2-dev, libsasl2-dev and a compiler)

demo: setup ## Start the platform and a small shop of real processes (port 8420, data in ./data)
	@$(BIN)/tongchou demo

serve: setup ## Start the platform without the shop
	@$(BIN)/tongchou serve

test: dev ## Set up and pass every test once
	@bash bin/apt-packages
	@test ! -e /usr/include/ldap.h || $(MAKE) --no-print-directory ldap
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

agent: ## Make the agent as one file, dist/tongchou-agent.pyz
	@PYTHON=$(PYTHON) bash bin/agent

bundle: setup ## Make the offline bundle in dist/: all wheels and install.sh (one archive, no network needed to install it)
	@bash bin/bundle

clean: ## Remove .venv and caches (not data)
	@rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .hypothesis
