# make demo   fine-tune on the embedded sample set with nothing but defaults
# make test   run the default tests
# make lint   ruff and mypy
# make venv   only create .venv and install
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= $(shell command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=

.PHONY: demo test lint venv clean

demo: $(INSTALLED)
	@n=1; while [ -e runs/demo-$$n ]; do n=$$((n + 1)); done; exec $(BIN)/finetune train --out runs/demo-$$n

test: $(INSTALLED)
	$(BIN)/python -m pytest --durations=10 $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

venv: $(INSTALLED)

# the stamp is newer than everything that says what is installed
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true). Name another one: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) || { echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu install the package python3-venv, or use another Python: make PYTHON=..." >&2; rm -rf $(VENV); exit 2; }; \
	fi
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
