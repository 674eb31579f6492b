# The commands of this repository. Every target creates what it needs first; `make help` lists them.

# On the command line or in the environment: make run PORT=0 ARGS="--data-dir ./state", make test ARGS="-k files -x".
PYTHON ?=
VENV ?= .venv
PORT ?= 7878
WORKERS ?= auto
KILLS ?= 200
CYCLES ?= 50000
COSTS ?= 300
EXAMPLES ?= 1000
RUNS ?= 20
SAMPLE ?= 300
SEED ?= 1
SECONDS ?= 600
ARGS ?=
RECORDINGS ?=
DIR ?=

SHELL := /bin/bash
# Where the environment forbids bytecode, each of the many processes of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
STAMPS := $(VENV)/.stamps

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: help run demo test test-shuffled test-oldest-uvicorn measure mutation mutation-kit soak load bench bench-quick ranking contract contract-all contract-newest contract-recorded frameworks evidence recordings conformance-filters lint docs site lock clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

run: $(STAMPS)/run  ## Start the emulator (PORT=7878, 0 picks a free one; ARGS="--data-dir ./state")
	@exec $(BIN)/python -m emulator serve --log requests --port $(PORT) $(ARGS)

demo: $(STAMPS)/demo  ## Show what it does, with both SDKs, and leave it running to look at (ARGS=--once ends it)
	@exec $(BIN)/python -m emulator demo $(ARGS)

# One more than processors: a test waits now and then, for a process, a browser or the end of a time bound.
TEST_WORKERS = $(if $(filter auto,$(WORKERS)),$(shell echo $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1 ))),$(WORKERS))
PARALLEL = -n $(TEST_WORKERS) --maxprocesses 8 --dist worksteal

test: $(STAMPS)/test $(STAMPS)/node  ## Run every test that measures no time or memory (WORKERS=auto, 0 for one process; ARGS="tests/rest -x")
	$(BIN)/python -m pytest -p no:randomly $(PARALLEL) $(ARGS)

test-shuffled: $(STAMPS)/test $(STAMPS)/node  ## Run the tests in random order, repeatedly (RUNS=20; ARGS="--randomly-seed=7")
	@for run in $$(seq $(RUNS)); do \
	  echo "run $$run of $(RUNS)"; \
	  $(BIN)/python -m pytest -q $(PARALLEL) $(ARGS) || exit 1; \
	done

# Only uvicorn is older: it is found before the one of $(VENV), whose other packages are used.
UVICORN_OLDEST := $(shell sed -n 's/.*"uvicorn>=\([0-9.]*\)".*/\1/p' pyproject.toml)
UVICORN_PATH := $(VENV)-uvicorn/$(UVICORN_OLDEST)

test-oldest-uvicorn: $(STAMPS)/test $(UVICORN_PATH)/.installed  ## Run the tests of the port with the oldest uvicorn that is allowed
	PYTHONPATH=$(UVICORN_PATH) $(BIN)/python -c 'import uvicorn; assert uvicorn.__version__.startswith("$(UVICORN_OLDEST)"), uvicorn'
	PYTHONPATH=$(UVICORN_PATH) $(BIN)/python -m pytest -p no:randomly -n $(WORKERS) --maxprocesses 8 tests/port $(ARGS)

measure: $(STAMPS)/test $(STAMPS)/node  ## Run the tests that measure time and memory, one at a time, on an idle machine
	$(BIN)/python -m pytest -p no:randomly -n 0 -m measure $(ARGS)

bench: $(STAMPS)/test $(VENV)-moto/.stamps/clients  ## Measure against the reference servers and print the table (minutes) (ARGS="--only search")
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(STAMPS)/test  ## Measure the same in a minute, with generous slack
	$(BIN)/python -m benchmarks --quick $(ARGS)

ranking: $(STAMPS)/test  ## Measure how often a search finds the right passage, by kind of question and by language
	$(BIN)/python -m benchmarks.ranking

soak: $(STAMPS)/test  ## Search for lost data, costly requests and broken properties, for hours (KILLS=200 CYCLES=50000 COSTS=300 EXAMPLES=1000)
	XAI_KILLS=$(KILLS) XAI_CYCLES=$(CYCLES) XAI_COSTS=$(COSTS) $(BIN)/python -m pytest -o faulthandler_timeout=0 \
	  -m "measure or not measure" \
	  tests/reliability/test_kill.py tests/reliability/test_lifecycles.py tests/reliability/test_costs.py $(ARGS)
	XAI_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -o faulthandler_timeout=0 -n $(WORKERS) --maxprocesses 8 \
	  -m "hypothesis and not measure" $(ARGS)

load: $(STAMPS)/test  ## Call REST and gRPC at 70 % of their capacity, and look for growth and long waits (SECONDS=600)
	XAI_LOAD_SECONDS=$(SECONDS) $(BIN)/python -m pytest -o faulthandler_timeout=0 -s -m measure tests/reliability/test_load.py $(ARGS)

# The contract kit runs in any environment that has pytest and clients; the emulator it judges is that of $(VENV).
KIT := -m pytest -c contract_tests/pytest.ini --rootdir contract_tests --slow --destructive --paid --node-packages=tests/node
JUDGE = PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m emulator exec -- $(1)/bin/python $(KIT) \
  --record=$(STAMPS)/$(2).json $(3) $(ARGS) contract_tests

SITE := "mkdocs>=1.6,<2" "mkdocs-material>=9.6"
comma := ,

# Clients beside the newest ones of $(VENV). What an old one cannot do is skipped with the reason.
OLDER := oldest middle litellm
CLIENTS_moto := "moto[s3,server]>=5.2" tantivy
CLIENTS_oldest := "xai-sdk==1.4.0" "openai>=1.101,<2" "pytest-asyncio>=1.3"
CLIENTS_middle := "xai-sdk==1.12.2" "openai>=2,<3"
CLIENTS_litellm := "litellm>=1.100"
# What programs reach the model endpoints with; LiteLLM calls functions only where mcp is installed.
FRAMEWORKS := "litellm>=1.100" "mcp>=1" "langchain-xai>=1.3" "pydantic-ai-slim[openai,xai]>=2.31" "pytest-asyncio>=1.3"
FRAMEWORKS_LOCK := tests/frameworks/requirements.lock
CLIENTS_frameworks := $(FRAMEWORKS) --constraint $(FRAMEWORKS_LOCK)

contract: $(STAMPS)/test $(STAMPS)/node contract-newest contract-litellm  ## Run the contract tests with the newest clients, mutants and fuzzing (minutes)
	$(BIN)/python -m pytest -p schemathesis -n $(WORKERS) --maxprocesses 8 tests/contract/check_mutants.py tests/contract/check_schemathesis.py

contract-all: contract $(OLDER:%=contract-%) contract-recorded  ## Run the contract tests with older clients too, and through the recorder

contract-recorded: $(STAMPS)/test  ## Run the contract tests through the recorder, and compare the recording with another emulator (minutes)
	$(BIN)/python -m emulator exec -- sh -c '$(BIN)/python -m emulator record --overwrite --out $(STAMPS)/recorded.har \
	  --to "$$XAI_EMULATOR_URL" -- $(BIN)/python -m emulator verify --clients httpx,xai-sdk --slow --destructive --paid $(ARGS)'
	$(BIN)/python -m emulator compare $(STAMPS)/recorded.har

contract-newest: $(STAMPS)/test $(STAMPS)/node
	$(call JUDGE,$(VENV),newest)

contract-%: $(STAMPS)/test $(VENV)-%/.stamps/clients
	$(call JUDGE,$(VENV)-$*,$*,--clients=openai$(comma)xai-sdk$(comma)xai-sdk-async$(comma)litellm)

evidence: contract-newest $(OLDER:%=contract-%)  ## Regenerate docs/evidence.md from runs with every client
	$(BIN)/python -m tools.evidence $(STAMPS)/newest.json $(OLDER:%=$(STAMPS)/%.json)

# -P: the packages of the emulator are not in these environments, so they are not to be found in the working directory.
PROGRAMS = $(BIN)/python -m emulator exec -- $(1)/bin/python -P -m pytest -c tests/frameworks/pytest.ini \
  --rootdir tests/frameworks --confcutdir tests/frameworks $(ARGS) tests/frameworks$(2)

frameworks: $(STAMPS)/run $(VENV)-frameworks/.stamps/clients $(VENV)-oldest/.stamps/clients  ## Run programs with xai-sdk (newest and oldest), LiteLLM, LangChain and pydantic-ai against the model endpoints
	$(call PROGRAMS,$(VENV)-frameworks)
	$(call PROGRAMS,$(VENV)-oldest,/check_xai_sdk.py)

recordings: $(STAMPS)/test  ## Compare the recordings of the real service with the emulator (RECORDINGS=DIR for further ones)
	$(BIN)/python -m tools.recordings contract_tests/recordings $(RECORDINGS)

conformance-filters: $(STAMPS)/test  ## Compare filter_grammar with test tables of other AIP-160 implementations (DIR=a checkout, which you have to have)
	@test -d "$(DIR)" || { echo "Say where the checkout is: make conformance-filters DIR=DIRECTORY" >&2; exit 2; }
	@$(BIN)/python -m tools.filter_conformance "$(DIR)"

mutation:  ## Change the code in small ways, and see whether the tests notice (hours; ARGS="emulator/domain/files.py")
	$(MAKE) VENV=$(VENV)-mutation $(VENV)-mutation/.stamps/mutation
	XAI_EXAMPLES=all $(VENV)-mutation/bin/python -m tests.mutation $(ARGS)

mutation-kit: $(STAMPS)/test  ## Change what the emulator sends in small ways, and see whether the contract kit notices (minutes; SAMPLE=300 SEED=7)
	$(BIN)/python -m tests.mutation.wire --sample $(SAMPLE) --seed $(SEED) $(ARGS)

lint: $(STAMPS)/test  ## Check style and formatting (ruff), and types (mypy, strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMPS)/test  ## Regenerate the reference, the evidence page and the tables of README and CONTRIBUTING from the code
	$(BIN)/python -m tools.reference
	$(BIN)/python -m tools.pages
	$(BIN)/python -m tools.evidence
	$(BIN)/python -m tools.promises

site: $(VENV)-site/.stamps/site  ## Build the site of the documentation into build/site, and check its links
	$(VENV)-site/bin/mkdocs build --quiet --clean

lock:  ## Regenerate requirements-ci.lock: the newest version of everything, resolved on the oldest Python
	rm -rf $(VENV)-lock
	$(MAKE) VENV=$(VENV)-lock PYTHON="$(or $(PYTHON),python3.11)" $(VENV)-lock/.stamps/test
	$(VENV)-lock/bin/python -m pip freeze --all --exclude pip --exclude-editable > requirements-ci.lock
	$(MAKE) VENV=$(VENV)-lock CLIENTS_frameworks='$(FRAMEWORKS)' $(VENV)-lock-frameworks/.stamps/clients
	$(VENV)-lock-frameworks/bin/python -m pip freeze --all --exclude pip > $(FRAMEWORKS_LOCK)
	rm -rf $(VENV)-lock $(VENV)-lock-frameworks

clean:  ## Remove the virtual environments, caches and build products
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a target is installed again only when what it was installed from has changed.

$(STAMPS)/venv:
	@candidates="$(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)"; \
	for python in $$candidates; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -m venv --without-pip $(VENV) && mkdir -p $(STAMPS) && echo "$$python" > $@; exit; \
	done; \
	echo "xai-emulator needs Python 3.11 or newer, and none of these is one: $$candidates (say which with PYTHON=...)." >&2; \
	exit 1

# Installing pip takes four seconds, a third of a first `make run`, so only the targets that need it do.
$(STAMPS)/pip: $(STAMPS)/venv
	@$(BIN)/python -c 'import pip' 2>/dev/null || "$$(cat $<)" -m venv $(VENV)
	@touch $@

# The pip of the Python that made the environment can install into it, if there is one and it is 22.3 or newer.
# Without --no-compile pip compiles all modules of all libraries, of which a start imports few.
$(STAMPS)/run: $(STAMPS)/venv pyproject.toml setup.py
	@echo "Installing the emulator into $(VENV) ..." >&2
	@if "$$(cat $<)" -c 'import pip, sys; sys.exit([int(part) for part in pip.__version__.split(".")[:2]] < [22, 3])' 2>/dev/null; \
	then pip=("$$(cat $<)" -m pip --python $(BIN)/python); \
	else $(MAKE) --no-print-directory $(STAMPS)/pip && pip=($(BIN)/python -m pip); \
	fi && "$${pip[@]}" install -qq --disable-pip-version-check --no-compile --editable .
	@touch $@

$(STAMPS)/demo: $(STAMPS)/pip pyproject.toml setup.py
	@echo "Installing the emulator and the SDKs that the demo calls into $(VENV) ..." >&2
	@$(PIP_INSTALL) --editable '.[demo]'
	@touch $@ $(STAMPS)/run

$(STAMPS)/test: $(STAMPS)/pip pyproject.toml setup.py $(wildcard requirements-ci.lock)
	@echo "Installing the emulator, the clients and the test tools into $(VENV) ..." >&2
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $@ $(STAMPS)/run $(STAMPS)/demo

$(STAMPS)/mutation: $(STAMPS)/test
	@$(PIP_INSTALL) --editable '.[mutation]'
	@touch $@

# Older clients have needs of their own, so the lock does not bind them.
$(VENV)-%/.stamps/clients: $(STAMPS)/venv Makefile
	@echo "Installing $(subst ",,$(CLIENTS_$*)) into $(VENV)-$* ..." >&2
	@[ -x $(VENV)-$*/bin/python ] || $(BIN)/python -m venv $(VENV)-$*
	@env -u PIP_CONSTRAINT $(VENV)-$*/bin/python -m pip install -qq --disable-pip-version-check --no-compile \
	  $(CLIENTS_$*) "httpx>=0.28" "jsonschema-rs>=0.30" "pytest>=9.0"
	@mkdir -p $(@D) && touch $@

$(VENV)-frameworks/.stamps/clients: $(FRAMEWORKS_LOCK)

$(UVICORN_PATH)/.installed: $(STAMPS)/venv
	@env -u PIP_CONSTRAINT $(PIP_INSTALL) --no-deps --upgrade --target $(@D) "uvicorn==$(UVICORN_OLDEST)"
	@touch $@

$(VENV)-site/.stamps/site: $(STAMPS)/venv Makefile
	@echo "Installing MkDocs into $(VENV)-site ..." >&2
	@[ -x $(VENV)-site/bin/python ] || $(BIN)/python -m venv $(VENV)-site
	@env -u PIP_CONSTRAINT $(VENV)-site/bin/python -m pip install -qq --disable-pip-version-check --no-compile $(SITE)
	@mkdir -p $(@D) && touch $@

# The tests with the Node client are skipped, and say so, where there is no npm. `npm ci` refuses a lock without the
# optional packages for other platforms, which not every registry has.
$(STAMPS)/node: $(STAMPS)/venv $(wildcard tests/node/package.json tests/node/package-lock.json)
	@if [ -f tests/node/package.json ] && command -v npm >/dev/null; then \
	  cd tests/node && npm install --no-save --silent --no-audit --no-fund; \
	fi
	@touch $@
