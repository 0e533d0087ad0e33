# make reproduce [SCALE=smoke|reduced|full] [PAPER=<name or arXiv number>]   the figures and the claims table
# make plan [SCALE=...]                                                      what it takes: jobs, and each kernel's memory, disk and hours
#   both with [CONFIG=<YAML file laid over config/>] and [LAZYRICH_DATA=<folder of dataset files>]
# make test                                                                  the tests (`make test-fast` leaves out the slow ones)
# make benchmark                                                             speed against other libraries (about an hour)
# All make .venv first if it is not there; they need git, make, Python 3.11 and a package index, and nothing else.

SHELL := /bin/bash
PYTHON := $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
RUN := $(VENV)/bin/python
SCALE ?=
PAPER ?=
CONFIG ?=

.DEFAULT_GOAL := help
.PHONY: help reproduce plan test test-fast lint format lock environment benchmark peers

help:
	@sed -n 's/^# \(make .*\)/  \1/p' Makefile

reproduce: $(VENV)/.installed
	@$(RUN) workflow_scripts/reproduce.py $(if $(SCALE),--scale $(SCALE)) $(if $(PAPER),--paper $(PAPER)) \
	  $(if $(CONFIG),--configfile $(CONFIG))

plan: $(VENV)/.installed
	@$(RUN) workflow_scripts/plan_costs.py $(if $(SCALE),--scale $(SCALE)) $(if $(CONFIG),--configfile $(CONFIG))

test: $(VENV)/.installed-dev
	$(RUN) -m pytest -q --durations=15

test-fast: $(VENV)/.installed-dev
	$(RUN) -m pytest -q -m "not slow"

lint: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	cd workflow_scripts && ../$(RUN) -m mypy --config-file ../pyproject.toml

format: $(VENV)/.installed-dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	$(VENV)/bin/snakefmt Snakefile rules

environment: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "lazyrich needs Python 3.11 (found: $$($(PYTHON) --version 2>&1)). Install it, or run: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv installs ten times faster than pip but knows none of pip's settings but those handed over; where it fails, pip does the work.
define install
	@echo "Installing $(1) into $(VENV) (once; about a minute with a fast connection)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@if [ -n "$$PIP_FIND_LINKS" ]; then export UV_FIND_LINKS="$$PIP_FIND_LINKS"; fi; \
	  if [ -n "$$PIP_INDEX_URL" ]; then export UV_DEFAULT_INDEX="$$PIP_INDEX_URL"; fi; \
	  $(VENV)/bin/uv pip install --quiet --python $(RUN) --compile-bytecode -r $(1) \
	  || $(RUN) -m pip install --disable-pip-version-check -r $(1)
	@touch $@
endef

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(call install,requirements.txt)

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(call install,requirements-dev.txt)

# Pin anew what requirements*.in ask for. Left out: the build tag of a CPU wheel of torch, and what only its CUDA build needs (it
# brings that itself), so that both builds satisfy the same pins.
lock: $(VENV)/.installed-dev
	if [ -n "$$PIP_FIND_LINKS" ]; then export UV_FIND_LINKS="$$PIP_FIND_LINKS"; fi; \
	for name in requirements requirements-dev; do \
	  $(VENV)/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 $$name.in -o $$name.txt \
	  && sed -i -E -e 's/^(torch==[0-9.]*)\+cpu/\1/' -e '/^(nvidia-|cuda-|triton)/d' $$name.txt; \
	done

# The libraries that ours is compared with: nngeometry beside the packages of .venv, neural-tangents with a JAX that it still runs on.
benchmark: $(VENV)/.installed peers
	$(RUN) benchmarks/kernels.py

peers: .venv-peers/.installed .venv-jax/.installed

.venv-peers/.installed: benchmarks/requirements-nngeometry.txt $(VENV)/.installed
	$(PYTHON) -m venv --clear .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	$(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(.venv-peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth"
	@touch $@

.venv-jax/.installed: benchmarks/requirements-jax.txt | $(VENV)/bin/python
	$(PYTHON) -m venv --clear .venv-jax
	.venv-jax/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@
