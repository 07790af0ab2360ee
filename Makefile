# Needs only Python 3.11 to 3.13 and git. PYTHON=... names an interpreter; without it, the newest one that works is used.
.NOTPARALLEL:
.PHONY: help repository rebuild setup repro report test slow extra noise bench lock

SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifdef PYTHON
# PYTHON is searched on the user's PATH, without .venv. If its version differs from the version in .venv, .venv is built again.
override PYTHON := $(or $(shell command -v '$(PYTHON)'),$(PYTHON))
WANTED := $$('$(PYTHON)' --version 2>&1)
else
PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
WANTED := $$version
endif
REBUILD := $(shell version=$$(.venv/bin/python --version 2>&1) && test "$$version" = "$(WANTED)" && \
	git hash-object requirements.txt | cmp -s - .venv/installed || echo rebuild)

# uv installs: the user's if it is new enough, else that of requirements/uv.txt, by pip. --python is for users of conda.
UV := $(shell printf '0.9\n%s' "$$(uv --version 2>/dev/null | cut -d ' ' -f 2)" | sort -VC && \
	command -v uv | grep -v '/\.venv/' >/dev/null && echo uv || echo .venv-uv/bin/uv)
OPTIONS = --python .venv/bin/python --require-hashes $(if $(PIP_NO_INDEX),--offline --no-index $(PIP_FIND_LINKS:%=--find-links %))
install = $(UV) pip $(1) $(2) $(OPTIONS) || { echo "make: uv failed; pip, which may know another index, downloads the packages" >&2 && \
	.venv/bin/python -m ensurepip >/dev/null && .venv/bin/python -m pip download --no-deps --require-hashes -r $(2) -d .venv/wheels && \
	$(UV) pip $(1) $(2) $(OPTIONS) --offline --no-index --find-links .venv/wheels && rm -r .venv/wheels; }

# `dvc` starts `python -E -m stages.NAME`, so the python of .venv must come first on the PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# These hide the project's modules, disable pytest's asserts, or compile DVC at each start.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE
# These let pip or uv install elsewhere or something else. The user's indexes, caches and certificates stay as they are.
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_CONSTRAINT PIP_NO_BINARY PIP_REQUIREMENT PIP_DRY_RUN
unexport UV_CONSTRAINT UV_OVERRIDE UV_EXCLUDE_NEWER UV_NO_VERIFY_HASHES UV_WORKING_DIR UV_PROJECT UV_MANAGED_PYTHON

# A comment with one # is for CONTRIBUTING.md, which names these targets.
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Targets list it before setup, so that nothing is installed if it fails. Git names the way out of a folder of another user.
repository:
	@said=$$(git rev-parse --verify HEAD 2>&1) || { case "$$said" in *safe.directory*) echo "$$said" ;; *) \
		echo "make: $$PWD is not a git repository with a commit: run \`git init\`, \`git add --all\` and \`git commit\` in it first" ;; \
		esac >&2; exit 1; }

rebuild:
	@"$(or $(PYTHON),$(UV))" $(if $(PYTHON),-c '$(SUPPORTED)',--version) >/dev/null 2>&1 || \
		{ echo "make: $(or $(PYTHON),python3) is not Python 3.11, 3.12 or 3.13: name one with PYTHON=..." >&2; exit 1; }
.venv-uv/bin/uv: requirements/uv.txt
	@echo "setup: pip installs uv, which installs the packages, into .venv-uv: 18 MB"
	@python="$(PYTHON)"; into="--upgrade --target .venv-uv"; "$$python" -m pip --version >/dev/null 2>&1 || \
		{ "$$python" -m venv .venv-uv && python=.venv-uv/bin/python && into=; } && PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore "$$python" -m pip \
		--disable-pip-version-check install $$into --no-user --no-deps --require-hashes -r $< && touch -c $@
.venv/installed: $(REBUILD) $(if $(REBUILD),$(filter-out uv,$(UV)))
	@echo "setup: installing the locked packages into a new .venv$(if $(wildcard .venv), instead of the one there) with $(or $(PYTHON),a Python that uv chooses): 480 MB of wheels, 2.1 GB on the disk"
	@base=$(if $(PYTHON),$$('$(PYTHON)' -c 'import sys; print(sys._base_executable)'),'>=3.11,<3.14') && rm -rf .venv && \
		$(UV) venv --quiet --relocatable --python "$$base" .venv
	@sed -i.bak 's|realpath -- "$$SCRIPT_PATH"|realpath -- "$${SCRIPT_PATH:-.venv/bin/activate}"|' .venv/bin/activate  # for dash
	@{ $(call install,sync,requirements.txt); } && git hash-object requirements.txt > $@
setup: .venv/installed  ## install the locked packages of requirements.txt into .venv, unless they are there

# DVC sees neither that another data set stands in nor that own data have changed; download names both.
SURE := python -c 'from classifier.data.data_set import read_data_set; raise SystemExit(read_data_set().warning())' 2>/dev/null
SAME := python -c 'from classifier.data.data_set import own_data_changed; raise SystemExit(own_data_changed())' 2>/dev/null
repro: repository setup  ## run the pipeline; show its metrics and where the page is
	@python -c 'from classifier.parameters import conflict; said = conflict(); raise SystemExit(said and f"make: {said}")'
	@if [ -f data/raw/dataset.json ] && ! { $(SURE) && $(SAME); }; then dvc repro --force download; fi
	@# The first import compiles TensorFlow, for 10 s: a second processor does so while the first stages run.
	@ls .venv/lib/*/site-packages/keras/__pycache__ >/dev/null 2>&1 || \
		python -c 'from classifier.model import runtime; runtime.start(0); import stages.evaluate' >/dev/null 2>&1 </dev/null &
	dvc repro
	@python -m classifier.model.summary

report: repository setup  ## BASE=main [HEAD=...] [OUTPUT=report]: write a page that compares two revisions
	@test -n "$$BASE" || { echo "make: name the revision to compare with: make report BASE=main" >&2; exit 1; }
	@python -m review.report --output "$${OUTPUT:-report}" -- "$$BASE" $${HEAD:+"$$HEAD"}

test: repository setup  ## run ruff, mypy and the tests; needs no network
	ruff check .
	ruff format --check .
	mypy
	python -m pytest --numprocesses=2 --dist=worksteal
# Half of the time these tests wait: for a server, a cluster, a killed worker. Three at a time keep two processors busy.
slow: repository setup  # run the tests that take minutes, or ONLY=faults, datasets, servers, sweeps, walks, or model after `make repro`
	python -m pytest --numprocesses=3 --dist=$(if $(filter model,$(ONLY)),worksteal,loadfile) -m '$(or $(ONLY),faults or datasets or servers or sweeps or walks)'
extra: setup $(filter-out uv,$(UV))  ## install packages for remotes on servers, `sweep --search`, and tests with servers and a browser; EXTRA=gpu: for NVIDIA GPUs
	@$(call install,install --no-deps -r,requirements/$(or $(EXTRA),extra).txt)
noise: repository setup  ## train with SEEDS=5 seeds, record what each misreads; RECIPE=... another params.yaml, SCHEDULER=... a cluster
	python -m review.noise --seeds $(or $(SEEDS),5) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(RECIPE)
bench: repository setup  ## time the pipeline and the notebook; DATASET_MIRROR=... names a copy of mnist.npz
	python -m bench.run --recipe recipes/notebook.yaml --recipe recipes/quick.yaml --once recipes/accurate.yaml
LOCK = $(UV) pip compile --universal --python-version 3.11 --upgrade --generate-hashes --no-header --quiet
lock: setup $(filter-out uv,$(UV))  # update the locks to the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml --group dev -o requirements.txt
	$(LOCK) --group extra -c requirements.txt -o requirements/extra.txt
	$(LOCK) --group gpu -c requirements.txt -o requirements/gpu.txt
	$(LOCK) --group uv -o requirements/uv.txt
