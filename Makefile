# Everything from a bare machine: needs python3 (3.11 or newer, with venv), make and a package index.
#
#   make demo    dub the bundled portrait, results in lipwright-demo/
#   make test    the test suite
#   make lint    ruff and mypy
#   make docs    regenerate docs/cli.md
#   make clean   remove the virtual environment and the caches

PYTHON ?= python3
# Processes of the test suite; each computes with one thread.
JOBS ?= auto
VENV ?= .venv
BIN := $(VENV)/bin
# Errors only: a private mirror's notices are no concern of a user.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

.PHONY: demo test lint format docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/lipwright demo -o lipwright-demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev
	$(BIN)/python tools/make_cli_docs.py
	$(BIN)/python tools/make_stage_docs.py

# The stamp files make repeated calls quick; editing pyproject.toml installs again.
$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing Lipwright into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis lipwright-demo
