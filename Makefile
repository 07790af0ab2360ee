# Needs only Python 3.11 to 3.13 and git. PYTHON=... names an interpreter; without it, the newest one found is used.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
# With --no-compile pip leaves it to Python to compile the modules that are imported, a small part of all.
INSTALL := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --require-hashes --requirement

# A command with the name python3.N may not be a working Python, so the version of each candidate is checked.
SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VERSION := import sys; print(sys.version_info[:2])
ifdef PYTHON
# PYTHON is searched on the user's PATH, without .venv. If its version differs from the version in .venv, .venv is built again.
override PYTHON := $(or $(shell command -v '$(PYTHON)'),$(PYTHON))
REBUILD := $(shell test "$$('$(PYTHON)' -c '$(VERSION)' 2>&1)" = "$$($(BIN)/python -c '$(VERSION)' 2>&1)" || echo rebuild)
else
PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
endif

# `dvc` starts `python -E -m stages.NAME`, so the python of .venv must come first on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# These variables make Python find other packages, hide the project's modules, or disable pytest's asserts.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Targets list it before setup, so that nothing is installed if it fails.
.PHONY: repository
repository:
	@said=$$(git rev-parse --verify HEAD 2>&1) && exit; \
	hint=$$(printf '%s\n' "$$said" | sed -n 's/^[[:space:]]*\(git config .*safe\.directory.*\)/\1/p'); \
	if [ -n "$$hint" ]; then echo "make: $$PWD belongs to another user: \`$$hint\` lets git and dvc use it"; \
	else echo "make: $$PWD is not a git repository with a commit: run \`git init\`, \`git add --all\` and \`git commit\` in it first"; \
	fi >&2; exit 1

# .venv/installed holds the hash of requirements.txt, so a new time of requirements.txt alone installs nothing.
$(VENV)/installed: requirements.txt $(REBUILD)
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and none was found; name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUPPORTED)' || { echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@if [ -z "$(REBUILD)" ] && [ "$$(git hash-object requirements.txt)" = "$$(cat $@ 2>/dev/null)" ]; then touch $@; else \
		echo "setup: installing the locked packages into $(VENV) with $(PYTHON)" && \
		rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV) && \
		$(INSTALL) requirements.txt && \
		git hash-object requirements.txt > $@; fi

.PHONY: rebuild
rebuild:

# pip and venv write the path of .venv into scripts, `activate` and pyvenv.cfg (at its end). MOVE writes the new path after
# the folder was moved or copied. In the new first lines a shell starts Python, because the path may contain a space.
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
setup: $(VENV)/installed  ## install the locked packages of requirements.txt into .venv, unless they are there
	@test ! -f $(VENV)/pyvenv.cfg || case "$$(cat $(VENV)/pyvenv.cfg)" in *" $$(cd $(VENV) && pwd -P)") ;; *) \
		$(BIN)/python -c "$$MOVE" || { echo "make: $(BIN)/python does not run; after \`rm -r $(VENV)\`, make builds it again" >&2; exit 1; };; esac

STAND_IN := python -c 'from classifier.data.delivered import load; raise SystemExit(load().warning())'
CHANGED := python -c 'from classifier.data.own.files import changed; raise SystemExit(changed())'
# The pipeline's outputs in Git. Not all of evaluation/: `make noise` writes there too.
RESULTS := dvc.lock metrics.json data/raw/dataset.json models/provenance.json 'evaluation/*.csv' 'evaluation/*.png'

.PHONY: repro
repro: repository setup  ## run the pipeline and show its metrics
	@# DVC does not see that another data set stands in: try to fetch the right one again, or repeat the warning.
	@# It does not see either that own data have changed: download names the changes and refuses them.
	@if [ -f data/raw/dataset.json ] && ! { $(STAND_IN) && $(CHANGED); } 2>/dev/null; then dvc repro --force download; fi
	dvc repro
	dvc metrics show
	@if ! $(STAND_IN) 2>/dev/null && ! git diff --quiet HEAD -- $(RESULTS); then \
		echo "make: these are results on a stand-in for the data set: \`git checkout HEAD -- $(RESULTS)\` restores the committed" \
			"results; to use the 5,000 digits on purpose, make a branch and run \`cp recipes/mnist-5k.yaml params.yaml\`" >&2; fi

.PHONY: report
report: repository setup  ## BASE=main [HEAD=...] [OUTPUT=report]: write a page that compares two revisions
	@test -n "$$BASE" || { echo "make: name the revision to compare with: make report BASE=main" >&2; exit 1; }
	@python -m review.report --output "$${OUTPUT:-report}" -- "$$BASE" $${HEAD:+"$$HEAD"}

.PHONY: test
test: repository setup  ## run ruff, mypy and the tests; needs no network
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

.PHONY: search
search: setup  ## install Optuna, which proposes parameters for `python -m sweep --search` (docs/sweeps.md)
	@$(INSTALL) requirements-search.txt

.PHONY: sweeps
sweeps: repository remotes search  ## run sweeps on this machine and on clusters of its own
	python -m pytest -m sweeps

.PHONY: faults
faults: repository setup  ## kill stages and dvc, and damage their files, in many ways
	python -m pytest --numprocesses=2 --dist=worksteal -m faults

.PHONY: datasets
datasets: repository setup  ## test the whole pipeline and a review on four data sets of other shapes and classes
	python -m pytest --numprocesses=2 --dist=worksteal -m datasets

.PHONY: use
use: repository setup  ## test what uses the model of `make repro`: predict, and the page in a browser if one is installed
	@$(INSTALL) requirements-servers.txt
	python -m pytest -m model

.PHONY: hostile
hostile: setup  ## test that 10,000 broken archives, data sets, pictures and params.yaml are refused
	HOSTILE_EXAMPLES=10000 python -m pytest tests/stages/test_hostile_input.py tests/classifier/data/own/test_hostile_own.py \
		tests/predict/test_hostile_pictures.py

.PHONY: noise
noise: repository setup  ## train with SEEDS=5 seeds, record what each misreads; RECIPE=... another params.yaml, SCHEDULER=... a cluster
	python -m review.noise --seeds $(or $(SEEDS),5) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(RECIPE)

.PHONY: bench
bench: repository setup  ## time the pipeline and the notebook; DATASET_MIRROR=... names a copy of mnist.npz
	python -m bench.run --recipe recipes/notebook.yaml --recipe recipes/quick.yaml --once recipes/accurate.yaml

.PHONY: lock
lock: LOCK := uv pip compile --universal --upgrade --generate-hashes --no-header --quiet
lock: setup  ## update the four requirements*.txt to the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml --group dev --output-file requirements.txt
	$(LOCK) --group remotes --constraint requirements.txt --output-file requirements-remotes.txt
	$(LOCK) --group search --constraint requirements.txt --output-file requirements-search.txt
	$(LOCK) --group servers --constraint requirements.txt --constraint requirements-remotes.txt --output-file requirements-servers.txt
