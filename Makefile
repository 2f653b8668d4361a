# Every target creates .venv when it is missing; `make help` lists them.
PYTHON ?= python3
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1
export DVC_NO_ANALYTICS := 1
export PYTHONUNBUFFERED := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check docs repro bench bench-quick bench-build bench-models bench-loader bench-growth drill-fetch drill-cluster clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml
	@echo "setting up $(VENV): one pip command, about 3 minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[all,dev]'
	@touch $@

setup: $(STAMP) ## Create .venv with everything in it

demo: $(STAMP) ## From a fresh checkout to the report of the toy world
	@echo "demo: draws the toy world in ./demo, builds the triplets, trains six systems, scores and reports"
	@echo "about 11 minutes on two cores; run it again to resume"
	@test -f demo/params.yaml || avsynth init demo --preset toy
	@cd demo && set -o pipefail; dvc repro | python ../.ci/progress.py $$(dvc stage list --name-only | wc -l)
	@cd demo && avsynth stats
	@echo "open demo/reports/index.html in a browser"

test: $(STAMP) ## Run the default tests (offline, CPU)
	@echo "running the default tests on every core: about 4 minutes on two"
	@pytest -n auto -m "not slow and not gpu and not network"

test-slow: $(STAMP) ## Run the slow tests: clusters, browsers, training (about 20 minutes)
	@pytest -n 2 -m "slow and not gpu and not network"

check: $(STAMP) ## Lint, format check and types
	ruff check .
	ruff format --check .
	mypy
	codespell

docs: $(STAMP) ## Write the website of the documentation to site/, warnings as errors
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "open site/index.html in a browser"

repro: $(STAMP) ## Run every stage that has changed (DVC)
	dvc repro

bench: $(STAMP) ## Speed against peers, one table; see docs/performance.md
	python -m bench

bench-quick: $(STAMP) ## The same table, small and without a verdict
	python -m bench --quick

bench-build: $(STAMP) ## Speed of reading annotations and of building
	python -m bench.build

bench-models: $(STAMP) ## Speed of the encoder and of a training step
	python -m bench.models

bench-loader: $(STAMP) ## Speed of the training loader
	python -m bench.loader

bench-growth: $(STAMP) ## Time and memory against masks, categories, workers; a chart
	python -m bench.growth --chart docs/growth.svg

drill-fetch: $(STAMP) ## Download from a local server that fails in every way
	python -m bench.drill_fetch

drill-cluster: $(STAMP) ## Kill a node of a Ray cluster in the middle of a build
	python -m bench.drill_cluster

clean: ## Remove all outputs (not .venv)
	rm -rf demo data runs reports site .pytest_cache .mypy_cache .ruff_cache
