# `make run` shows dropload at work; `make test` runs every check. Both do all their set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Many tests wait for a daemon: more of them at a time than a small machine has processors. They are
# dealt in their order, so that those of whole daemons, which take longest, are not left to the end.
PARALLEL := --numprocesses 4 --dist load --maxschedchunk 2

.DEFAULT_GOAL := help
.PHONY: help run test format lint types contracts unit coverage wheel bench pictures clean

help:
	@echo "make run       set up, start the daemon, load a first file; Ctrl-C ends it"
	@echo "make test      set up, then format, lint, types, contracts, tests, wheel"
	@echo "make coverage  run the tests, and tell which lines none of them has run"
	@echo "make bench     compare with other ways to load a file; BENCH=--help lists options"
	@echo "make pictures  draw the pictures of the terminal in docs/ anew"
	@echo "make clean     remove the virtual environment and what tests left"

# Written only after everything is installed: an interrupted set-up starts again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dropload needs Python 3.11 or later; name one: make PYTHON=python3.11 ..."; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) 2>/dev/null && \
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || \
	  { echo "This Python can make no virtual environment: install your system's python3-venv."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

run: $(READY)
	@$(BIN)/python examples/first_file.py

test: format lint types contracts unit wheel

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

# They start hundreds of processes, and each would compile every module for itself.
unit coverage: export PYTHONDONTWRITEBYTECODE :=

unit: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

# Not part of `make test`: counting lines takes a third longer. Below 90 % it fails.
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What users install is the wheel, not the checkout: it is tried from an empty folder.
wheel: $(READY)
	$(BIN)/python tests/try_wheel.py

# Peers, data and findings are kept in build/benchmarks; docs/performance.md says what is compared.
bench: $(READY)
	$(BIN)/python -m benchmarks $(BENCH)

# What the program prints, for docs/: a test says when one is out of date.
pictures: $(READY)
	$(BIN)/python -m tests.pictures docs/pictures

clean:
	rm -rf $(VENV) dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
