# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo
RUN := $(VENV)/bin

.PHONY: demo test lint types test-gpu bench-gpu clean

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
	PYTHONPATH=src OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(VENV_PYTHON) -m pytest -m gpu -n auto --maxprocesses 12 tests

# All figures of docs/benchmarks.md that need a GPU: make bench-gpu VENV_PYTHON=python3 REAL=FOLDER_WITH_A_REAL_FRAME
bench-gpu:
	PYTHONPATH=src $(VENV_PYTHON) benchmarks/on_gpu.py $(if $(REAL),--real $(REAL))

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
