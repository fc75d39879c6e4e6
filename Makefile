# The front door: `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FIGURES ?= figures

.DEFAULT_GOAL := help
.PHONY: help all test check bench bench-gpu docs lock clean setup

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## make the virtual environment, every package checked by its hash

all: $(READY) ## encode, train, draw every figure of the paper into figures/ and test its claims
	$(BIN)/imbpipe compare experiments/paper.toml
	$(BIN)/imbpipe figures experiments/paper.toml --out $(FIGURES)
	$(BIN)/imbpipe claims --out $(FIGURES)

test: $(READY) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

check: $(READY) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## measure every claim of speed beside its peers
	for script in $(filter-out %_gpu.py %_peers.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

bench-gpu: $(READY) ## measure training and encoding on a GPU
	for script in benchmarks/*_gpu.py; do $(BIN)/python $$script || exit 1; done

docs: $(READY) ## write what the documentation takes from the code
	sed -i '/^<!-- strategies/,/^<!-- .strategies/{//!d}' docs/strategies.md
	$(BIN)/imbpipe strategies --markdown | sed -i '/^<!-- strategies/r /dev/stdin' docs/strategies.md
	$(BIN)/python docs/generate.py

lock: $(READY) ## pin every package and its hash anew (needs uv)
	uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --quiet --output-file requirements.txt

clean: ## remove the environment and what was drawn; features and runs stay
	rm -rf $(VENV) $(FIGURES) .mypy_cache .pytest_cache .ruff_cache .hypothesis
