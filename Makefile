# Two commands matter: `make run` and `make test`. Both need only Python 3.11+ (and find or install the rest).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := $(wildcard zerglings/static/overmind/*)
COLLECTED := staticfiles/.collected
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' overmind_project/__init__.py)

.DEFAULT_GOAL := help
.PHONY: help run test stress faults check format bench bench-map image e2e e2e-production clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(COLLECTED) ## Bootstrap the store and serve on OVERMIND_HTTP_ADDR (default 0.0.0.0:8080)
	@$(BIN)/python manage.py bootstrap_couch
	@exec $(BIN)/python manage.py serve

test: $(VENV)/.development $(COLLECTED) ## Run every test, over both stores and in a browser, with coverage
	@sh tests/peer/install.sh $(VENV)
	@sh tests/browser/install.sh $(VENV)
	$(BIN)/python -m pytest --cov --cov-report=term

stress: $(VENV)/.development $(COLLECTED) ## Try what was promised under fire, a minute each (see tests/test_under_fire.py)
	@sh tests/peer/install.sh $(VENV)
	OVERMIND_STRESS=1 $(BIN)/python -m pytest -o log_cli=true -o log_cli_level=INFO tests/test_under_fire.py

faults: $(VENV)/.development $(COLLECTED) ## Break the store in every way under load, and print what each came to
	@sh tests/peer/install.sh $(VENV)
	OVERMIND_FAULTS=1 $(BIN)/python -m pytest -q -o log_cli=true -o log_cli_level=INFO tests/test_store_faults.py tests/test_store_places.py

check: $(VENV)/.development ## Check format, lint, types, settings and manifests
	@sh tests/peer/install.sh $(VENV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	@if command -v node >/dev/null; then for file in $(filter %.js,$(STATIC)); do \
		node --input-type=module --check - <$$file || exit 1; done; fi
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	$(BIN)/python -m pytest -q tests/k8s

format: $(VENV)/.development ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(COLLECTED) ## Measure speed and scale, STORE_URL=http://admin:password@host:port (see bench/README.md)
	@$(BIN)/python -m bench

bench-map: $(VENV)/.development $(COLLECTED) ## Measure the map in a browser with 100,000 and with 1,000,000 zerglings
	@sh tests/browser/install.sh $(VENV)
	@$(BIN)/python -m bench.map

image: ## Build the container image, tagged with the version
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --tag overmind:$(VERSION) .

e2e: ## Try the whole stack on the cluster that kubectl speaks to (see k8s/e2e.sh)
	k8s/e2e.sh

e2e-production: ## Try the production overlay there: each node of the CouchDB cluster deleted in turn
	k8s/e2e_production.sh

clean: ## Remove everything that was made, the embedded store excepted
	rm -rf $(VENV) staticfiles tests/peer/node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say PYTHON=/path/to/it") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(COLLECTED): $(STATIC) $(VENV)/.runtime
	OVERMIND_STORE=sqlite $(BIN)/python manage.py collectstatic --clear --noinput --verbosity 0
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
