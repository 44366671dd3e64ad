# `make run` starts the site, `make test` tests it. Both first make the environment; neither needs more than Python 3.11.
# Without make (Windows): `py -3.11 scripts/bootstrap.py run`; see docs/install.md.

PYTHON ?= $(shell command -v python3 || command -v python)
BOOTSTRAP = @if [ -z "$(PYTHON)" ]; then \
	echo "RLWHF needs Python 3.11, 3.12 or 3.13, and there is no python3 on the PATH: install one, then run the same command again." >&2; exit 1; \
	fi; exec "$(PYTHON)" scripts/bootstrap.py

.PHONY: run test test-full install lint clean help
.DEFAULT_GOAL := help

run: ## start the site (ARGS="--port 9000" to pass options to `rlwhf up`)
	$(BOOTSTRAP) run $(ARGS)

test: ## linters, types, walls and all tests but the long ones (ARGS="tests/jobs" to narrow)
	$(BOOTSTRAP) test $(ARGS)

test-full: ## the same with the long tests
	$(BOOTSTRAP) test-full $(ARGS)

install: ## make the environment only
	$(BOOTSTRAP) install

lint: ## linters, types and walls only
	$(BOOTSTRAP) lint

clean: ## remove the environment; your data, in RLWHF_HOME, stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build rlwhf.egg-info

help:
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /make \1 — /'
