# make demo   fine-tune on the embedded sample set with nothing but defaults
# make test   run the default tests, on every core (up to eight); one after the other: make test PYTEST_ARGS=-n0
# make lint   ruff and mypy
# make venv   only create .venv and install
# Another Python: make PYTHON=python3.12 demo

# the first Python that really runs (version managers leave stubs), is new enough and can make virtual environments
PROBE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do $$p -c '$(PROBE)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=

.PHONY: demo test lint venv clean

demo: $(INSTALLED)
	@n=1; while [ -e runs/demo-$$n ]; do n=$$((n + 1)); done; exec $(BIN)/finetune train --out runs/demo-$$n

test: $(INSTALLED)
	$(BIN)/python -m pytest --durations=10 -n auto --maxprocesses 8 --dist worksteal $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

venv: $(INSTALLED)

# the stamp is newer than everything that says what is installed
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@'$(PYTHON)' -c '$(PROBE)' 2>/dev/null || { \
	  echo "error: Python 3.11 or newer with the modules venv and ensurepip is needed (on Debian and Ubuntu: the package python3-venv);" \
	    "'$(or $(PYTHON),none of python3.11, python3.12, python3.13, python3)' is not one. Name another: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "installing into $(VENV), with the versions of constraints.txt"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
