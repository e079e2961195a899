PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup
BROWSER := .venv/.browser
DOCS := .venv/.docs
# kedro-mlflow takes part in every run of an environment: it is kept out of this one, for the test that looks there
BESIDE := .venv/beside
LOWEST := .venv-lowest/.setup
PYTHONS := 3.12 3.13
TELLING := tests/theory/solvers/test_exponential.py tests/theory/law/test_distance.py tests/theory/initialization/test_gaussian.py \
	tests/sweeps/test_parameters.py tests/sweeps/test_datasets.py tests/own_data/test_tables.py tests/own_data/test_sources.py tests/own_data/test_prepare.py \
	tests/cli/test_check.py tests/pipelines/test_run.py::test_results_do_not_depend_on_the_number_of_workers
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
ENV ?= base
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false

PORT ?= 5000
# MLflow's page opens on traces; this address opens on the sweeps of the experiment that a new store begins with
SWEEPS := tags.%60implicit_bias.process%60%20LIKE%20%27%25%27%20AND%20tags.%60implicit_bias.plan%60%20LIKE%20%27%25%27%20AND%20tags.%60implicit_bias.sweep%60%20LIKE%20%27%25%27
UI := http://127.0.0.1:$(PORT)/\#/experiments/1/runs?workflowType=machine_learning&searchFilter=$(SWEEPS)

.PHONY: setup $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' $(firstword $(MAKEFILE_LIST)))
.DEFAULT_GOAL := run

run: $(SETUP)  ## the paper's two experiments: figures, tracked runs, comparison links
	$(BIN)/kedro run --pipelines=implicit_bias --env=$(ENV)

claims: $(SETUP)  ## every claim of the paper on random problems; keeps docs/claims.md
	$(BIN)/kedro run --pipelines=verification
	cp data/08_reporting/claims.md data/08_reporting/claims.png docs/

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt
	@echo "Installing pinned packages into .venv, once: about 3 minutes and 1.4 GB"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e '.[viz,test,lint]'
	touch $@

$(LOWEST): pyproject.toml constraints-lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e '.[test]'
	touch $@

.venv-3.%/.setup: pyproject.toml constraints.txt
	test -x .venv-3.$*/bin/python || python3.$* -m venv .venv-3.$*
	.venv-3.$*/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

$(BROWSER): $(SETUP)
	$(INSTALL) --quiet -e '.[browser,dask,server]'
	$(INSTALL) --quiet --no-deps --upgrade --target $(BESIDE) kedro-mlflow
	touch $@

$(DOCS): $(SETUP)
	$(INSTALL) --quiet -e '.[docs,notebooks]'
	touch $@

test: $(SETUP)  ## all tests except soaks and version matrices
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: $(BROWSER)  ## the rest; browser tests need Chromium
	$(BIN)/python -m pytest -m slow -n auto --dist loadfile

test-lowest: $(LOWEST)  ## make test with the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python -m pytest -m "not slow" -n auto --dist loadfile

test-pythons:  ## a selection of the tests, with every other Python of pyproject.toml that is installed
	@for version in $(PYTHONS); do \
		python$$version -c '' 2> /dev/null || { echo "python$$version is not installed: not tested"; continue; }; \
		$(MAKE) --no-print-directory .venv-$$version/.setup && .venv-$$version/bin/python -m pytest -m "not slow" \
			-n auto --dist loadfile $(TELLING) || exit; \
	done

fuzz: $(SETUP)  ## hostile input, twenty times as much as in test-slow: about half an hour
	FUZZ=20 $(BIN)/python -m pytest tests/cli/test_fuzz.py -m slow -n auto

check:  ## everything CI checks, in its order
	$(MAKE) lint
	$(MAKE) docs
	$(MAKE) test
	$(MAKE) test-slow
	$(MAKE) test-lowest
	$(MAKE) test-pythons

lint: $(SETUP)  ## ruff, types, import contracts, spelling, plain English
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src tests notebooks conf Makefile pyproject.toml \
		--skip='docs/assets/*,*.png'
	$(BIN)/python -m tests.prose

mutate: $(SETUP)  ## breaks formulas one by one: a test must fail for each; keeps docs/mutation.md
	$(BIN)/python -m tests.mutation --write docs/mutation.md

chaos: $(SETUP)  ## faults of every family, 500: half an hour and more; keeps docs/chaos.md
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.chaos --write docs/chaos.md

docs-numbers: $(SETUP)  ## numbers and console output in the pages, beside what the commands give now
	$(BIN)/python -m tests.numbers

# The search of pages that are opened from a folder needs a script, which the builder would let them fetch from elsewhere.
docs: $(DOCS)  ## docs/ and the docstrings as a site, strictly: site/index.html
	$(BIN)/zensical build --clean --strict
	sed -i 's#https://unpkg.com/iframe-worker/shim#assets/iframe-worker/shim.js#' site/*.html
	sed -i 's#https://unpkg.com/iframe-worker/shim#../assets/iframe-worker/shim.js#' site/*/*.html

docs-serve: docs  ## the site on http://127.0.0.1:8000
	@echo "The site: http://127.0.0.1:8000"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

notebooks: $(DOCS)  ## the notebooks as .ipynb
	$(BIN)/jupytext --to ipynb notebooks/*.py

ui: $(SETUP)  ## MLflow's UI on http://127.0.0.1:5000, or make ui PORT=5001; links: params tracking.ui
	@echo "The runs: $(UI)"
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT)

viz: viz-build  ## kedro-viz on http://127.0.0.1:4141, as the last run has left it
	@echo "The pipeline: http://127.0.0.1:4141"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build 4141

# `kedro viz run` asks PyPI for updates, its page Google for a font; static pages ask nobody and hold no paths.
viz-build: $(SETUP)  ## the pages of kedro-viz with the figures in them, for any web server: build/index.html
	KEDRO_ENV=$(ENV) $(BIN)/kedro viz build --include-previews
	$(BIN)/python $(dir $(firstword $(MAKEFILE_LIST)))tests/static_pages.py build

bench: $(SETUP)  ## cost ratios, side by side in one run
	$(BIN)/python -m tests.benchmarks

soak: $(SETUP)  ## 5,000 tracked points: cost, memory and store from the first to the last; 10 minutes and more
	$(BIN)/python -m tests.benchmarks.soak

clean:  ## remove what runs and tools wrote; keeps .venv and the tracked runs
	find data -mindepth 1 ! -name README.md ! -path 'data/reference*' -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .viz .cache build dist site
	@echo "Kept: .venv, the tracked runs (mlflow.db, mlruns, mlartifacts), data/reference"

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 12
