# Two commands matter: `make run` and `make test`. Both need only Python 3.11+ (and find or install the rest).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := zerglings/static/overmind
STATICS := $(wildcard $(STATIC)/*)
COLLECTED := staticfiles/overmind/main.js
LOCKED := requirements requirements-dev requirements-audit tests/peer/requirements
INSTALL := install --quiet --disable-pip-version-check --require-hashes
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' overmind_project/__init__.py)

.DEFAULT_GOAL := help
FUZZ_MINUTES ?= 10
.PHONY: help run test stress crash fuzz faults rollover soak drill check format lock licenses sbom audit bench bench-map image e2e e2e-production clean

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

crash: $(VENV)/.development $(COLLECTED) ## Kill at random under load, ten minutes on each store: make crash CRASH="--store sqlite --seconds 60"
	@sh tests/peer/install.sh $(VENV)
	@$(BIN)/python -m tests.crash $(CRASH)

fuzz: $(VENV)/.development $(COLLECTED) ## Send it what breaks services for FUZZ_MINUTES (10), another seed each round
	@sh tests/peer/install.sh $(VENV)
	@$(BIN)/python -m tests.hostile $(FUZZ_MINUTES)

rollover: $(VENV)/.development $(COLLECTED) ## Roll from the previous release to this one and back under load, minutes long
	@sh tests/peer/install.sh $(VENV)
	OVERMIND_STRESS=1 $(BIN)/python -m pytest -o log_cli=true -o log_cli_level=INFO tests/test_rollover.py

soak: $(COLLECTED) ## Load the service for SOAK_MINUTES (default 30) and tell whether it stays as it is; STORE_URL as for bench
	@$(BIN)/python -m bench.soak

drill: $(COLLECTED) ## Back up under load, destroy the store, restore it and compare; STORE_URL as for bench
	@$(BIN)/python -m bench.drill

faults: $(VENV)/.development $(COLLECTED) ## Break the store in every way under load, and print what each came to
	@sh tests/peer/install.sh $(VENV)
	OVERMIND_FAULTS=1 $(BIN)/python -m pytest -q -o log_cli=true -o log_cli_level=INFO tests/test_store_faults.py tests/test_store_places.py

check: $(VENV)/.development ## Check format, lint, types, settings, packages and manifests
	@sh tests/peer/install.sh $(VENV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive overmind_project zerglings bench k8s manage.py
	$(BIN)/python -m pip check
	$(BIN)/mypy .
	@if command -v node >/dev/null; then for file in $(filter %.js,$(STATICS)); do \
		node --input-type=module --check - <$$file || exit 1; done; fi
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	$(BIN)/python -m pytest -q tests/k8s tests/supply

format: $(VENV)/.development ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.development ## Write the requirements*.txt anew, with hashes, from the requirements*.in
	@index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}; \
	for each in $(LOCKED); do \
		env $${index:+UV_DEFAULT_INDEX="$$index"} $(BIN)/uv pip compile --quiet --universal --python-version=3.11 \
			--generate-hashes --output-file=$$each.txt $$each.in || exit 1; done

licenses: $(VENV)/.development ## Write LICENSES.md anew: the licence of all that the service runs with
	@$(BIN)/python -m tests.supply.licenses

sbom: $(VENV)/.development ## Write build/overmind.cdx.json: all that the service runs with, as CycloneDX
	@mkdir -p build
	@$(BIN)/python -m tests.support.runtime build/runtime
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --validate \
		--output-reproducible --output-file build/overmind.cdx.json build/runtime
	@$(BIN)/python -m tests.supply.bill build/overmind.cdx.json

audit: build/audit/.installed ## Ask the public database of vulnerabilities for those of what is locked
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-dev.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-audit.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement tests/peer/requirements.txt

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
	rm -rf $(VENV) build staticfiles tests/peer/node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say PYTHON=/path/to/it") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip $(INSTALL) --requirement requirements.txt
	@touch $@

$(COLLECTED): $(STATIC) $(STATICS) $(VENV)/.runtime
	OVERMIND_STORE=sqlite $(BIN)/python manage.py collectstatic --clear --noinput --verbosity 0
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip $(INSTALL) --requirement requirements-dev.txt
	@touch $@

build/audit/.installed: requirements-audit.txt
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip $(INSTALL) --requirement requirements-audit.txt
	@touch $@
