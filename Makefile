# Needs only Python 3.11 to 3.13 and git. PYTHON=... names an interpreter; the default is the newest found.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement

# A command of that name may not run (a shim, a stub), so each candidate is asked for its version.
SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VERSION := import sys; print(sys.version_info[:2])
ifdef PYTHON
# Looked up on the user's PATH, without .venv. If its version differs from that of .venv, .venv is built anew.
override PYTHON := $(or $(shell command -v '$(PYTHON)'),$(PYTHON))
ANEW := $(shell test "$$('$(PYTHON)' -c '$(VERSION)' 2>&1)" = "$$($(BIN)/python -c '$(VERSION)' 2>&1)" || echo anew)
else
PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
endif

# `dvc` starts `python -E -m stages.NAME`: the environment's python comes first on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# These make Python find other packages, hide the project's own, or disable pytest's asserts.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Runs before setup, so that nothing is installed if it fails.
.PHONY: repository
repository:
	@said=$$(git rev-parse --verify HEAD 2>&1) && exit; \
	hint=$$(printf '%s\n' "$$said" | sed -n 's/^[[:space:]]*\(git config .*safe\.directory.*\)/\1/p'); \
	if [ -n "$$hint" ]; then echo "make: $$PWD belongs to another user: \`$$hint\` lets git and dvc use it"; \
	else echo "make: $$PWD is not a git repository with a commit: run \`git init\`, \`git add --all\` and \`git commit\` in it first"; \
	fi >&2; exit 1

# The stamp carries the hash of the lock, so a checkout that only touches the file's time installs nothing.
$(VENV)/installed: requirements.txt $(ANEW)
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and none was found; name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUPPORTED)' || { echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@if [ -z "$(ANEW)" ] && [ "$$(git hash-object requirements.txt)" = "$$(cat $@ 2>/dev/null)" ]; then touch $@; else \
		echo "setup: installing the locked packages into $(VENV) with $(PYTHON)" && \
		rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV) && \
		$(INSTALL) requirements.txt && \
		git hash-object requirements.txt > $@; fi

.PHONY: anew
anew:

# pip and venv write the folder's path into scripts, `activate` and pyvenv.cfg (at its end).
# The new first lines let a shell start Python, as pip writes them for a path with a space.
define MOVE
import re, shlex, venv
from pathlib import Path
folder = Path("$(VENV)").resolve()
start = f"#!/bin/sh\n'''exec' {shlex.quote(str(folder / 'bin/python'))} \"$$0\" \"$$@\"\n' '''\n".encode()
for script in filter(Path.is_file, (folder / "bin").iterdir()):
    old = script.read_bytes()
    if (new := re.sub(rb"\A#!(/bin/sh\n'''exec' .*/bin/python.*\n' '''|/.*/bin/python.*)\n", lambda _: start, old)) != old:
        script.write_bytes(new)
venv.create(folder, symlinks=True)
endef

.PHONY: setup
setup: export MOVE := $(MOVE)
setup: $(VENV)/installed  ## build .venv from the hash-locked requirements.txt, once
	@test ! -f $(VENV)/pyvenv.cfg || case "$$(cat $(VENV)/pyvenv.cfg)" in *" $$(cd $(VENV) && pwd -P)") ;; *) \
		$(BIN)/python -c "$$MOVE" || { echo "make: $(BIN)/python does not run here; \`rm -r $(VENV)\`, and make builds it anew" >&2; exit 1; };; esac

STAND_IN := python -c 'from classifier.data.delivered import load; raise SystemExit(load().warning())'
# The pipeline's outputs in Git. Not all of evaluation/: `make noise` writes there too.
RESULTS := dvc.lock metrics.json models/provenance.json 'evaluation/*.csv' 'evaluation/*.png'

.PHONY: repro
repro: repository setup  ## run the pipeline and show its metrics
	@python -m classifier.running.integrity
	@# DVC does not know a stand-in from other outputs: fetch the data set again, or repeat the warning.
	@if [ -f data/raw/dataset.json ] && ! $(STAND_IN) 2>/dev/null; then dvc repro --force download; fi
	dvc repro
	dvc metrics show
	@if ! $(STAND_IN) 2>/dev/null && ! git diff --quiet HEAD -- $(RESULTS); then \
		echo "make: these are a stand-in's results: \`git checkout HEAD -- $(RESULTS)\` brings the committed ones back;" \
			"to work with the 5,000 digits on purpose, on a branch: \`cp recipes/mnist-5k.yaml params.yaml\`" >&2; fi

.PHONY: report
report: repository setup  ## BASE=main [HEAD=...] [OUTPUT=report]: write a page for the review of one revision against another
	@test -n "$$BASE" || { echo "make: name the revision to compare with: make report BASE=main" >&2; exit 1; }
	@python -m review.report --output "$${OUTPUT:-report}" -- "$$BASE" $${HEAD:+"$$HEAD"}

.PHONY: test
test: repository setup  ## run the whole test suite, with no network
	ruff check .
	ruff format --check .
	mypy
	python -m pytest --numprocesses=2 --dist=worksteal

.PHONY: remotes
remotes: setup  ## install what DVC needs to share data over SSH, S3 and WebDAV (docs/sharing.md)
	@$(INSTALL) requirements-remotes.txt

.PHONY: servers
servers: repository remotes  ## share data through real servers of SSH, S3 and WebDAV; one that is not installed is skipped
	@$(INSTALL) requirements-servers.txt
	python -m pytest -m servers tests/remotes

.PHONY: faults
faults: repository setup  ## kill stages and dvc, and damage their files, in many more ways than `make test` does
	FAULT_RUNS=32 python -m pytest --numprocesses=2 --dist=worksteal tests/test_faults.py tests/test_integrity.py

.PHONY: hostile
hostile: setup  ## make 10,000 broken archives and as many params.yaml, all to be refused
	HOSTILE_EXAMPLES=10000 python -m pytest tests/stages/test_hostile_input.py

.PHONY: noise
noise: setup  ## train the recipe with SEEDS=5 seeds and keep mean and deviation; RECIPE=... names another params.yaml
	python -m review.noise --seeds $(or $(SEEDS),5) $(RECIPE)

.PHONY: bench
bench: repository setup  ## time the pipeline beside the notebook; DATASET_MIRROR names mnist.npz
	python -m bench.run --recipe recipes/notebook.yaml --recipe recipes/quick.yaml

.PHONY: lock
lock: LOCK := uv pip compile --universal --upgrade --generate-hashes --no-header --quiet
lock: setup  ## renew the three requirements*.txt from pyproject.toml
	$(LOCK) pyproject.toml --group dev --output-file requirements.txt
	$(LOCK) --group remotes --constraint requirements.txt --output-file requirements-remotes.txt
	$(LOCK) --group servers --constraint requirements.txt --constraint requirements-remotes.txt --output-file requirements-servers.txt
