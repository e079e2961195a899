PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup
BROWSER := .venv/.browser
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ENV ?= base
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run claims setup test test-slow lint mutate ui viz bench clean
.DEFAULT_GOAL := run

run: $(SETUP)  ## the paper's two experiments: figures, tracked runs, comparison links
	$(BIN)/kedro run --pipeline=implicit_bias --env=$(ENV)

claims: $(SETUP)  ## every claim of the paper on random problems; keeps docs/claims.md
	$(BIN)/kedro run --pipeline=verification
	cp data/08_reporting/claims.md data/08_reporting/claims.png docs/

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e '.[viz,test,lint]'
	touch $@

$(BROWSER): $(SETUP)
	$(INSTALL) -e '.[browser]'
	touch $@

test: $(SETUP)  ## all tests but soaks and version matrices
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: $(BROWSER)  ## the rest; browser tests need Chromium
	$(BIN)/python -m pytest -m slow

lint: $(SETUP)  ## ruff, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutate: $(SETUP)  ## breaks formulas one by one: a test must fail for each; keeps docs/mutation.md
	$(BIN)/python -m tests.mutation --write docs/mutation.md

ui: $(SETUP)  ## MLflow's UI on http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

viz: $(SETUP)  ## kedro-viz on http://127.0.0.1:4141
	$(BIN)/kedro viz run --host 127.0.0.1 --port 4141 --no-browser

bench: $(SETUP)  ## cost ratios, side by side in one run
	$(BIN)/python -m tests.benchmarks

clean:  ## remove what runs and tools wrote; keeps .venv and mlflow.db
	find data -mindepth 1 ! -name README.md ! -path 'data/reference*' -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .viz build dist
