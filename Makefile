# Everything from a bare machine: needs python3 (3.11 or newer, with venv), make and a package index.
#
#   make demo    dub the bundled portrait, results in lipwright-demo/
#   make test    the test suite without what is marked slow
#   make test-all  all of it
#   make lowest  the same as test with the lowest versions that pyproject.toml allows
#   make lint    ruff and mypy
#   make docs    regenerate docs/cli.md
#   make clean   remove the virtual environment and the caches

PYTHON ?= python3
# Processes of the test suite; each computes with one thread, and a file of tests stays in one, so that
# what its tests share is made once.
JOBS ?= auto
VENV ?= .venv
LOWEST ?= .venv-lowest
BIN := $(VENV)/bin
# Errors only: a private mirror's notices are no concern of a user.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

.PHONY: demo test test-all lowest lint format docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/lipwright demo -o lipwright-demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

# PyTorch is left free: its old builds bring CUDA along.
lowest: $(VENV)/.installed-dev
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(BIN)/python tools/lowest_versions.py --skip torch > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]' -c $(LOWEST)/constraints.txt
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

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
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis lipwright-demo
