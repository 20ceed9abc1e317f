# The commands for people. The whole check is .ci/run.
.PHONY: run test lint tree demo bench messages clean
SHELL := /bin/sh
# The first Python on this machine that is new enough.
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; \
	done)
PEOPLE ?= 1000
# Commands with these variables run on SQLite and without a broker, whatever .env says.
EMBEDDED := DATABASE_URL= DATABASE_URL_FILE= REDIS_URL= REDIS_URL_FILE= PUBLIC_URL= SHORT_URL= HOST= PORT=

run: .venv/.run
	@exec .venv/bin/python manage.py serve

# Four processes, because the tests wait (for disks, sockets, killed processes) as much as they compute. None
# of them reads the tests of the browser, or its driver.
test: .venv/.dev
	@$(EMBEDDED) .venv/bin/pytest -n 4 --dist load --maxschedchunk 1 -p no:playwright --ignore=tests/browser -m "not browser and not broker and not slow and not only_postgresql" $(ARGS)

lint: .venv/.dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/djade --check $$(git ls-files 'templates/*.html')
	@for one in $$(git ls-files '*.js'); do node --check --input-type=module - < $$one || exit 1; done
	@.venv/bin/oxlint --deny-warnings
	@.venv/bin/mypy .
	@.venv/bin/lint-imports
	@.venv/bin/python docs/tree.py --check

# The map of the packages; ARGS=--write puts it into docs/architecture.md.
tree:
	@$(PYTHON) docs/tree.py $(ARGS)

# Uses a folder of its own, so that its people are not mixed with an existing school.
demo: .venv/.run
	@$(EMBEDDED) DATA_DIR=var/demo .venv/bin/python manage.py migrate --verbosity 0 --no-input
	@$(EMBEDDED) DATA_DIR=var/demo .venv/bin/python manage.py demo --people $(PEOPLE) $(ARGS)

# ARGS=full measures everything, ARGS=door one part; benchmarks/README.md says more.
bench: .venv/.dev
	@.venv/bin/python -m benchmarks $(ARGS)

# Run this after changing a string of the interface; it needs GNU gettext. Commit both files.
messages: .venv/.dev
	@.venv/bin/python manage.py makemessages -v 0 -l ru --no-location --no-obsolete -i .venv -i var -i tests
	@.venv/bin/python manage.py compilemessages -v 0 -l ru -i .venv

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Stamp files: a second start finds them newer than the lists and installs nothing.
.venv/.run: requirements-run.txt | .venv/bin/python
	@echo "Installing packages (about half a minute) ..."
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements-run.txt
	@touch $@

.venv/.dev: requirements-dev.txt | .venv/bin/python
	@echo "Installing packages for development (about a minute) ..."
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch .venv/.run $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "smsmail needs Python 3.11 or newer, and there is none here."; \
		echo "Debian, Ubuntu: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: a package of it is missing."; \
		echo "Debian, Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv
