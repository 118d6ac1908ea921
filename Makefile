# One line of help a target: `make help`. CI calls these targets and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
STAMP := $(VENV)/.installed
EXT := $(VENV)/.ext
# A process per core, and no threads in it: they would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadscope
EXTRAS := cpu,text,plot,parquet,tensorboard,serve,sweep,dev,docs

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types docs ext bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## .venv with the package (editable) and every extra but the compiled ones

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	# torch first and alone: a plain request would bring the CUDA build, and the constraint pins what CI has.
	$(PIP) install --quiet --constraint constraints.txt torch numpy
	$(PIP) install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

ext: $(EXT)  ## build torch-scatter and torch-sparse from source (about 20 minutes on 2 cores, once)

$(EXT): $(STAMP)
	$(PIP) install --quiet setuptools wheel ninja hatchling editables  # without isolation every build backend must be there
	MAX_JOBS=$${MAX_JOBS:-2} $(PIP) install --no-build-isolation --constraint constraints.txt --editable ".[sparse]"
	@touch $@

demo: $(STAMP)  ## MovieLens-100k: most-popular, BPR, LightGCN and DRepMRec trained, compared and drawn (DEMO_FLAGS=--short: a quick run)
	$(BIN)/drepm demo $(DEMO_FLAGS)

test: $(STAMP)  ## the whole suite, then once more under the shape checker
	$(PYTEST)
	$(PYTEST) -q -m "not compile and not errors and not slow" --jaxtyping-packages=drepm_pyg,beartype.beartype tests/nn tests/models tests/evaluation

lint: $(STAMP) types  ## ruff, mypy --strict and the import layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy --strict on the package
	$(BIN)/mypy

docs: $(STAMP)  ## build the documentation, warnings are errors
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: $(STAMP)  ## every benchmark, hours (BENCH_FLAGS=--quick: minutes); tables on stdout, JSON under benchmarks/results
	-$(PIP) install --quiet --constraint constraints.txt --editable ".[bench]"  # a peer that does not build is told in its row
	for script in benchmarks/*.py; do $(BIN)/python $$script $(BENCH_FLAGS) || exit 1; done

clean:  ## remove the environment and everything built
	rm -rf $(VENV) docs/_build build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
