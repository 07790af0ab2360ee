# Everything here needs Python 3.11 to 3.13 and git only; PYTHON=... names another interpreter than the newest found.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# `dvc` starts `python -m stages.NAME`: the environment's python comes first on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONPATH PYTHONHOME

# A name may exist and not run (a shim, a stub), so each candidate is asked for its version.
SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp carries the hash of the lock, so a checkout that only touches the file's time installs nothing.
$(VENV)/installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and none was found; name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@if [ "$$(git hash-object requirements.txt)" = "$$(cat $@ 2>/dev/null)" ]; then touch $@; else \
		echo "setup: installing the locked packages into $(VENV) with $(PYTHON)" && \
		rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt && \
		git hash-object requirements.txt > $@; fi

.PHONY: setup
setup: $(VENV)/installed  ## build .venv from the hash-locked requirements.txt, once

STAND_IN := python -c 'from stages.source import load; raise SystemExit(load().warning())'

.PHONY: repro
repro: setup  ## run the pipeline and show its metrics
	@# To DVC a stand-in is as good as any output: it is fetched anew here, or its warning comes again.
	@if [ -f data/raw/dataset.json ] && ! $(STAND_IN) 2>/dev/null; then dvc repro --force download; fi
	dvc repro
	dvc metrics show

.PHONY: report
report: setup  ## BASE=main [HEAD=...] [OUTPUT=report]: write a page for the review of one revision against another
	@test -n "$$BASE" || { echo "make: name the revision to compare with: make report BASE=main" >&2; exit 1; }
	@python -m review.report --output "$${OUTPUT:-report}" -- "$$BASE" $${HEAD:+"$$HEAD"}

.PHONY: test
test: setup  ## run the whole test suite, with no network
	ruff check .
	ruff format --check .
	mypy
	python -m pytest --numprocesses=2 --dist=worksteal

.PHONY: faults
faults: setup  ## kill stages and dvc at many more random moments than `make test` does
	FAULT_RUNS=32 python -m pytest --numprocesses=2 tests/test_faults.py

.PHONY: hostile
hostile: setup  ## make 10,000 broken archives and as many params.yaml, all to be refused
	HOSTILE_EXAMPLES=10000 python -m pytest tests/stages/test_hostile_input.py

.PHONY: noise
noise: setup  ## train the recipe with SEEDS=5 seeds and keep mean and deviation; RECIPE=... names another params.yaml
	python -m review.noise --seeds $(or $(SEEDS),5) $(RECIPE)

.PHONY: bench
bench: setup  ## time the pipeline beside the notebook; DATASET_MIRROR names mnist.npz
	python -m bench.run --recipe recipes/notebook.yaml --recipe recipes/quick.yaml

.PHONY: lock
lock: setup  ## renew requirements.txt from pyproject.toml
	uv pip compile pyproject.toml --group dev --universal --upgrade --generate-hashes --no-header --quiet --output-file requirements.txt
