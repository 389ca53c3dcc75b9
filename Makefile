# A bare machine needs Python >= 3.11 and make; everything else is set up in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo check test test-all lint manual bench clean
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "bonectl needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.ready ## the whole chain on real bone: pictures and bone numbers in demo-output/
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/quickstart.sh demo-output

test: lint ## everything that CI runs
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

test-all: lint ## the slow tests too
	$(BIN)/pytest -n auto --dist worksteal --ignore tests/faults
	$(BIN)/pytest tests/faults # by itself: it fills disks and counts processes, which workers share

lint: $(VENV)/.ready ## format, lint, types, layers
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports

check: $(VENV)/.ready ## before a commit: format, lint, types, layers, and the tests of what was touched
	$(BIN)/ruff format src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -x -n auto --dist worksteal -m "not slow" $$($(BIN)/python tests/touched.py)

manual: $(VENV)/.ready ## rewrite man/ and completions/ from the code
	$(BIN)/python -m bonectl.cli.manual .

$(VENV)/.peers: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

bench: $(VENV)/.peers ## measure against the peers, in one run, into bench/RESULTS.md; the machine must be idle
	$(BIN)/python bench/results.py

clean: ## remove what was made
	rm -rf $(VENV) demo-output build dist .pytest_cache .mypy_cache .ruff_cache
