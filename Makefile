PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: install quickstart figures test test-generic test-slow test-cluster chaos lint bench clean

install: $(STAMP)

# Done again only when what it installs has changed. constraints.txt has the exact versions that were tested.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	touch $(STAMP)

quickstart: install
	$(BIN)/latentphase run quickstart

# What only computes goes on two cores at once; what starts processes and watches the clock has them for itself.
COMPUTING := tests/analysis tests/models tests/simulators

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not cluster" $(COMPUTING)
	$(BIN)/python -m pytest -m "not slow and not cluster" $(COMPUTING:%=--ignore=%)

# The same without the vectors of this processor: what is compared within bounds must be so on any other, too. numba's
# caches are kept apart, but made by the first run, which takes some minutes more.
test-generic: export NUMBA_CPU_NAME := generic
test-generic: export ATEN_CPU_CAPABILITY := default
test-generic: export NUMBA_CACHE_DIR := $(CURDIR)/.numba-generic
test-generic: test

test-slow: install
	$(BIN)/python -m pytest -m "slow and not cluster"

# Needs slurmctld, slurmd and munge (Debian: slurm-wlm, munge), iproute2 and root; what is missing is said, and skipped.
test-cluster: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench,cluster]'
	$(BIN)/python -m pytest -m cluster tests/cluster

# Kills processes of many runs of one small study: half an hour.
SEED := 1

chaos: install
	$(BIN)/python -m tests.chaos --seed $(SEED) --runs 20 --kills 50

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The figures of README.md and docs/results: a folder there has the name of its preset, and those of the preset's figures
# that the page shows. Tables are each preset's report/verdict.md. Some four hours of one core; `make results/NAME` for one.
RESULTS := $(patsubst docs/%/,%,$(wildcard docs/results/*/))

figures: quickstart $(RESULTS)
	cp runs/quickstart/report/figures/latents-shallow.svg runs/quickstart/report/figures/thermal-shallow.svg docs/images/

results/%: install
	$(BIN)/latentphase run $*
	for figure in docs/$@/*.svg; do cp runs/$*/report/figures/$${figure##*/} $$figure || exit 1; done

bench: install
	$(BIN)/latentphase bench

clean:
	rm -rf .venv .numba-generic build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
