# Both commands set up everything they need; a machine needs only Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
OUT ?= quickstart
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test check clean

## quickstart: train on phantom images, generate, assess, report (under 5 minutes on 2 cores)
quickstart: $(VENV)/.core
	$(VENV)/bin/fetalsynth quickstart --out $(OUT)

## test: the default test suite
test: $(VENV)/.test
	$(VENV)/bin/python -m pytest

## check: linting, types and the import rules of the rooms
check: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[dicom,onnx,tracking,reader,postgresql,slurm,test]"
	touch $@

clean:
	rm -rf $(VENV)
