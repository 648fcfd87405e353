# Every target works on a fresh Linux machine with Python 3.11 and make; only the first one needs PyPI.

# python3.11 where there is one, else python3 where that is new enough; or say: make PYTHON=...
PYTHON ?= $(shell for p in python3.11 python3; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$p"; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK_STAMP := $(VENV)/.spark
UV ?= uv
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv spark demo bench test quick lint lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## make the environment in .venv, exactly as pinned in constraints.txt

# An environment that works is brought up to date in place; `make clean` starts over. Nothing is compiled,
# and nothing comes in whose hash is not in constraints.txt: the build backend is pinned there too.
$(STAMP): constraints.txt pyproject.toml
	@if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Python 3.11 or newer is needed, and $(if $(PYTHON),$(PYTHON) is not,neither python3.11 nor python3 is): install one, or name one with make PYTHON=..." >&2; \
			exit 1; \
		fi; \
		echo "== environment in $(VENV), with $$("$(PYTHON)" --version)"; \
		if ! "$(PYTHON)" -m venv --clear $(VENV); then \
			rm -rf $(VENV); \
			echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian and Ubuntu: apt-get install python3-venv)." >&2; \
			exit 1; \
		fi; \
	fi
	@echo "== packages"
	@$(BIN)/python -m pip install --disable-pip-version-check --only-binary :all: --require-hashes -r constraints.txt || { \
		echo "The packages of constraints.txt could not be installed: PyPI, or a mirror that pip is configured for, must be reachable. Run make again once it is." >&2; \
		exit 1; \
	}
	@echo "== consent-ledger itself, editable"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m pip check
	@touch $@

# Apache Spark comes as source alone, jars and all (450 MB), and is packed into a wheel here: with the setuptools of
# constraints.txt, so that nothing unpinned comes in. pip keeps the wheel, and the next environment has it at once.
$(SPARK_STAMP): $(STAMP) constraints-spark.txt
	@echo "== Spark"
	@$(BIN)/python -m pip install --disable-pip-version-check --only-binary :all: --no-binary pyspark --use-pep517 --no-build-isolation --require-hashes -r constraints-spark.txt || { \
		echo "pyspark of constraints-spark.txt could not be installed: PyPI, or a mirror that pip is configured for, must be reachable. Run make again once it is." >&2; \
		exit 1; \
	}
	@touch $@

spark: $(SPARK_STAMP) ## add Apache Spark to the environment, for `consent filter --engine spark`; it needs Java 17

demo: venv ## see it work from end to end; ITEMS=FILE runs it over your own items
	@$(BIN)/python -m demo.demo $(if $(ITEMS),--items "$(ITEMS)")

bench: venv ## measure it beside what it is compared with, into bench/report.md; SIZE=small shows only that it works
	@$(BIN)/python -m bench.run --size $(if $(SIZE),$(SIZE),full)

test: lint spark ## everything that CI runs: the linters, then every test; as root it installs what they need of the system
	@tests/system.sh
	@echo "== pytest"
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 $(PYTEST_ARGS)

quick: venv ## the tests without the slow ones; PYTEST_ARGS="..." goes to pytest, here and in test
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 -m "not slow" $(PYTEST_ARGS)

lint: venv ## ruff, mypy, import contracts
	@echo "== ruff check"
	@$(BIN)/python -m ruff check .
	@echo "== ruff format"
	@$(BIN)/python -m ruff format --check .
	@echo "== mypy"
	@$(BIN)/python -m mypy
	@echo "== import contracts"
	@$(BIN)/lint-imports --no-logo

# An extra that is not named here is not installed by `make venv`: spark is not.
COMPILE = $(UV) pip compile --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --no-annotate --quiet

lock: ## rewrite constraints.txt and constraints-spark.txt from pyproject.toml (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: install it (pip install uv), or name it with make lock UV=..." >&2; exit 1; }
	$(COMPILE) --extra embedded --extra server --extra client --extra nats --extra dev --only-binary :all: pyproject.toml -o constraints.txt
	$(COMPILE) --extra spark --constraints constraints.txt --only-binary :all: --no-binary pyspark pyproject.toml -o constraints-spark.txt

clean: ## remove the environment and every cache
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
