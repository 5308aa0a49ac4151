# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo
RUN := $(VENV)/bin

.PHONY: demo test lint types test-gpu clean

demo: $(VENV)/.installed
	$(RUN)/multiface demo --out $(OUT) $(DEMO)

test: $(VENV)/.installed-dev lint types
	$(RUN)/python -m pytest -n auto --dist loadgroup

lint: $(VENV)/.installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(RUN)/pyright

# On a machine with a GPU, with the PyTorch that is there: make test-gpu VENV_PYTHON=python3
VENV_PYTHON ?= $(RUN)/python
test-gpu:
	PYTHONPATH=src $(VENV_PYTHON) -m pytest -m gpu tests

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) demo runs build dist
