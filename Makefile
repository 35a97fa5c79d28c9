# `make` alone prints this list. Everything runs in .venv, which `make install` creates from the lock file.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
KEDRO := $(BIN)/kedro
PIPELINE ?= imdb
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install run lesson cpu full viz mlflow test test-slow nights lint format sample lock clean

help:  ## Print the targets with a line each
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gradual needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
		"Name another with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.run: .venv/.python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/.test: .venv/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet -r requirements-dev.lock
	@touch $@

install: .venv/.run  ## Create .venv and install the locked dependencies

run: .venv/.run  ## Train and evaluate imdb, or PIPELINE=adult, movielens, …, on embedded samples
	$(KEDRO) run --pipeline=$(PIPELINE)

lesson: .venv/.run  ## The same on the lesson's real data (downloads, or reads GRADUAL_MIRROR)
	$(KEDRO) run --pipeline=$(PIPELINE) --env=lesson

cpu: .venv/.run  ## imdb on all 100,000 reviews, by a model for two CPU cores, in an hour and a half
	$(KEDRO) run --pipeline=imdb --env=cpu

full: .venv/.run  ## The same at full size (texts want a GPU)
	$(KEDRO) run --pipeline=$(PIPELINE) --env=full

viz: .venv/.run  ## Look at the pipelines, tables, metrics and figures in the browser
	$(KEDRO) viz run

mlflow: .venv/.run  ## Look at the tracked runs in the browser
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

test: .venv/.test lint  ## Lint, type check, check import contracts and run the tests with coverage
	$(BIN)/pytest -n auto --dist loadfile --cov --cov-report=term

test-slow: .venv/.test  ## Run the tests that take more than some ten seconds each
	$(BIN)/pytest -m slow

lint: .venv/.test  ## Lint, format check, type check, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.test  ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

nights: .venv/.run  ## A week of retrains on generated data, one of them killed: did each decide as it should?
	$(BIN)/python scripts/nights.py

sample: .venv/.run  ## Generate the embedded sample data anew
	for script in scripts/make_*_sample.py; do $(BIN)/python $$script || exit 1; done

lock:  ## Resolve pyproject.toml anew into the two lock files
	bash scripts/lock.sh $(PYTHON)

clean:  ## Remove everything that runs have made (raw data, mlflow.db and .venv stay)
	rm -rf data/0[2-8]_*/* data/lesson data/cpu data/full data/tiny logs .pytest_cache .mypy_cache .ruff_cache htmlcov .coverage
