# Two commands do all the set-up: `make quickstart` and `make test`.

VENV := .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: test-long quickstart real server test venv check lint types fuzz benchmark kill-sweep server-sweep rerun-lab

quickstart: venv  ## the whole idea in one run: fine-tunes, predictor, registry, ranking
	mlflow run . --env-manager local --experiment-name quickstart

real: venv  ## the same on a real model and real questions: make real DATA=FOLDER; half an hour
	mlflow run . -e real --env-manager local --experiment-name real -P data="$(DATA)"

server: venv  ## PostgreSQL and an MLflow server over the folder server, at http://127.0.0.1:5000; until Ctrl-C
	python -m entrypoints.server --folder server --port 5000

test: venv  ## the tests; no network, no GPU
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: venv  ## those that take longest: kills, servers, clusters and memory
	python -m pytest -n 2 --dist loadfile -m long

venv: $(VENV)/.ready  ## the environment with pinned versions

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[dev]"
	touch $@

check: lint types  ## what CI asks of the code's form

lint: venv
	ruff check .
	ruff format --check .

types: venv
	mypy

fuzz: venv  ## 20 000 damaged dataset files
	PREDICTOR_FUZZ_CASES=20000 python -m pytest tests/data/test_fuzz.py

benchmark: venv  ## the figures of docs/benchmarks.md; give the machine to it alone
	python -m benchmarks.step_time
	python -m benchmarks.evaluation
	python -m benchmarks.overheads
	python -m benchmarks.dev_slice

kill-sweep: venv  ## 200 SIGKILLs over sweeps of 40 fine-tunes; about half an hour
	python -m benchmarks.kill_sweep 200

server-sweep: venv  ## everything against PostgreSQL behind a server, which is disturbed meanwhile; some minutes
	python -m benchmarks.server_sweep 2

rerun-lab: venv  ## five of the package's runs, drawn at random, made again and compared
	python -m benchmarks.rerun_lab

MLproject: FORCE
	python -m entrypoints._mlproject > $@

.PHONY: FORCE
FORCE:
