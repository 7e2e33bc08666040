PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: install quickstart figures test test-slow lint bench clean

install: $(STAMP)

# Done again only when what it installs has changed. constraints.txt has the exact versions that were tested.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	touch $(STAMP)

quickstart: install
	$(BIN)/latentphase run quickstart

test: install
	$(BIN)/python -m pytest -m "not slow"

test-slow: install
	$(BIN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The figures of README.md and docs/results: quickstart, and an hour of the paper's own size (tables: report/verdict.md).
figures: quickstart
	$(BIN)/latentphase run ising-phases-hour
	cp runs/quickstart/report/figures/latents-shallow.svg runs/quickstart/report/figures/thermal-shallow.svg docs/images/
	cp runs/ising-phases-hour/report/figures/*.svg docs/results/
	$(BIN)/latentphase run xy-vortices
	cp runs/xy-vortices/report/figures/latents-von-mises.svg docs/results/xy-vortices/

bench: install
	$(BIN)/latentphase bench

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
