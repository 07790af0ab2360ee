# Needs only Python 3.11 to 3.13 and git. PYTHON=... names an interpreter; without it, the newest one found is used.
.NOTPARALLEL:
.PHONY: help repository rebuild setup repro report test slow extra noise bench lock

# --no-compile: Python compiles the modules that are imported, a small part of all.
INSTALL := .venv/bin/python -m pip install --no-compile --quiet --disable-pip-version-check --require-hashes --requirement

# A command with the name python3.N may not be a working Python, so the version of each candidate is checked.
SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifdef PYTHON
# PYTHON is searched on the user's PATH, without .venv. If its version differs from the version in .venv, .venv is built again.
override PYTHON := $(or $(shell command -v '$(PYTHON)'),$(PYTHON))
REBUILD := $(shell test "$$('$(PYTHON)' --version 2>&1)" = "$$(.venv/bin/python --version 2>&1)" || echo rebuild)
else
PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
endif

# `dvc` starts `python -E -m stages.NAME`, so the python of .venv must come first on the PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# These variables make Python find other packages, hide the project's modules, or disable pytest's asserts.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Targets list it before setup, so that nothing is installed if it fails. Git names the way out of a folder of another user.
repository:
	@said=$$(git rev-parse --verify HEAD 2>&1) || { case "$$said" in *safe.directory*) echo "$$said" ;; *) \
		echo "make: $$PWD is not a git repository with a commit: run \`git init\`, \`git add --all\` and \`git commit\` in it first" ;; \
		esac >&2; exit 1; }

# .venv/installed holds the hash of requirements.txt, so a new time of requirements.txt alone installs nothing.
.venv/installed: requirements.txt $(REBUILD)
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo "make: $(or $(PYTHON),python3) is not Python 3.11, 3.12 or 3.13: name one with PYTHON=..." >&2; exit 1; }
	@if [ -z "$(REBUILD)" ] && [ "$$(git hash-object requirements.txt)" = "$$(cat $@ 2>/dev/null)" ]; then touch $@; else \
		echo "setup: installing the locked packages into .venv with $(PYTHON)" && \
		rm -rf .venv && "$(PYTHON)" -m venv .venv && $(INSTALL) requirements.txt && git hash-object requirements.txt > $@; fi

# pip and venv write the path of .venv into scripts, `activate` and pyvenv.cfg (at its end). MOVE writes the new path after
# the folder was moved or copied. In the new first lines a shell starts Python, because the path may contain a space.
export define MOVE
import re, shlex, venv
from pathlib import Path
folder = Path(".venv").resolve()
start = f"#!/bin/sh\n'''exec' {shlex.quote(str(folder / 'bin/python'))} \"$$0\" \"$$@\"\n' '''\n".encode()
for script in filter(Path.is_file, (folder / "bin").iterdir()):
    old = script.read_bytes()
    if (new := re.sub(rb"\A#!(/bin/sh\n'''exec' .*/bin/python.*\n' '''|/.*/bin/python.*)\n", lambda _: start, old)) != old:
        script.write_bytes(new)
venv.create(folder, symlinks=True)
endef
setup: .venv/installed  ## install the locked packages of requirements.txt into .venv, unless they are there
	@test ! -f .venv/pyvenv.cfg || case "$$(cat .venv/pyvenv.cfg)" in *" $$(cd .venv && pwd -P)") ;; *) \
		.venv/bin/python -c "$$MOVE" || { echo "make: .venv/bin/python does not run; after \`rm -r .venv\`, make builds it again" >&2; exit 1; };; esac

# DVC sees neither that another data set stands in nor that own data have changed; download names both.
SURE := python -c 'from classifier.data.data_set import read_data_set; raise SystemExit(read_data_set().warning())' 2>/dev/null
SAME := python -c 'from classifier.data.data_set import own_data_changed; raise SystemExit(own_data_changed())' 2>/dev/null
# The pipeline's outputs in Git. Not all of evaluation/: `make noise` writes there too.
RESULTS := dvc.lock metrics.json data/raw/dataset.json models/provenance.json 'evaluation/*.csv' 'evaluation/*.png' evaluation/export.json
WHOLE := python -c 'from classifier.parameters import conflict; said = conflict(); raise SystemExit(said and f"make: {said}")'
repro: repository setup  ## run the pipeline and show its metrics
	@$(WHOLE)
	@if [ -f data/raw/dataset.json ] && ! { $(SURE) && $(SAME); }; then dvc repro --force download; fi
	dvc repro
	dvc metrics show
	@$(SURE) || git diff --quiet HEAD -- $(RESULTS) || \
		echo "make: these are results on a stand-in for the data set: \`git checkout HEAD -- $(RESULTS)\` restores the committed" \
			"results; to use the 5,000 digits on purpose, make a branch and run \`cp recipes/mnist-5k.yaml params.yaml\`" >&2

report: repository setup  ## BASE=main [HEAD=...] [OUTPUT=report]: write a page that compares two revisions
	@test -n "$$BASE" || { echo "make: name the revision to compare with: make report BASE=main" >&2; exit 1; }
	@python -m review.report --output "$${OUTPUT:-report}" -- "$$BASE" $${HEAD:+"$$HEAD"}

test: repository setup  ## run ruff, mypy and the tests; needs no network
	ruff check .
	ruff format --check .
	mypy
	python -m pytest --numprocesses=2 --dist=worksteal
slow: repository setup  ## run the tests that take minutes, or ONLY=faults, datasets, servers, sweeps, or model after `make repro`
	python -m pytest --numprocesses=2 --dist=loadfile -m '$(or $(ONLY),faults or datasets or servers or sweeps)'

extra: setup  ## install packages for remotes on servers, `sweep --search`, and tests with servers and a browser
	@$(INSTALL) requirements-extra.txt
noise: repository setup  ## train with SEEDS=5 seeds, record what each misreads; RECIPE=... another params.yaml, SCHEDULER=... a cluster
	python -m review.noise --seeds $(or $(SEEDS),5) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(RECIPE)
bench: repository setup  ## time the pipeline and the notebook; DATASET_MIRROR=... names a copy of mnist.npz
	python -m bench.run --recipe recipes/notebook.yaml --recipe recipes/quick.yaml --once recipes/accurate.yaml
lock: setup  ## update both locks to the newest versions that pyproject.toml allows
	uv pip compile --universal --upgrade --generate-hashes --no-header --quiet pyproject.toml --group dev -o requirements.txt
	uv pip compile --universal --upgrade --generate-hashes --no-header --quiet --group extra -c requirements.txt -o requirements-extra.txt
