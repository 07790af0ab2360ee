"""dvc.lock against tampering of every kind, in a small pipeline without data or cache."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from review.verify import main
from tests.conftest import REPOSITORY
from tests.review.repository import Repository

PIPELINE = """\
stages:
  download:
    cmd: python -m stages.download
    deps:
      - stages/download.py
    params:
      - download
    outs:
      - data/raw/mnist.npz
      - data/raw/dataset.json:
          cache: false
  train:
    cmd: python -m stages.train
    deps:
      - data/raw/mnist.npz
      - stages/train.py
    params:
      - train.epochs
      - train.filters
      - more.yaml:
          - note
    outs:
      - models/model.keras
      - models/provenance.json:
          cache: false
  evaluate:
    cmd: python -m stages.evaluate
    deps:
      - models/model.keras
    metrics:
      - metrics.json:
          cache: false
"""
NAMES = ("download", "train", "evaluate")
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "download:\n  dataset: mnist\ntrain:\n  epochs: 1\n  filters: [32, 64]\n  seed: 0\n",
    "more.yaml": "note: on\n",
    "stages/download.py": "DOWNLOAD = 1\n",
    "stages/train.py": "TRAIN = 1\n",
    "data/raw/dataset.json": '{"dataset": "mnist", "requested": "mnist"}',
    "models/provenance.json": '{"dataset": "mnist", "images": {"train": 9}}',
    "metrics.json": '{"test": {"accuracy": 0.5}}',
}
IN_CACHE = {"data/raw/mnist.npz": "images", "models/model.keras": "weights"}


def md5_of(path: str) -> str:
    return hashlib.md5((IN_CACHE | FILES)[path].encode(), usedforsecurity=False).hexdigest()


def files_of(part: dict[str, Any], *kinds: str) -> list[dict[str, str]]:
    paths = [item if isinstance(item, str) else next(iter(item)) for kind in kinds for item in part.get(kind, [])]
    return [{"path": path, "hash": "md5", "md5": md5_of(path)} for path in paths]


def lock_of(pipeline: str) -> dict[str, Any]:
    """The dvc.lock that DVC would write."""
    stages = {
        name: {"cmd": part["cmd"], "deps": files_of(part, "deps"), "outs": files_of(part, "outs", "metrics")}
        for name, part in yaml.safe_load(pipeline)["stages"].items()
    }
    stages["download"]["params"] = {"params.yaml": {"download": {"dataset": "mnist"}}}
    train = {"train.epochs": 1, "train.filters": [32, 64]}
    stages["train"]["params"] = {"params.yaml": train, "more.yaml": {"note": "on"}}
    return {"schema": "2.0", "stages": stages}


@pytest.fixture
def plain(repository: Repository) -> Repository:
    """What `git clone` gives of a pipeline whose dvc.lock matches."""
    for path, text in FILES.items():
        repository.put(path, text)
    repository.put("dvc.lock", yaml.safe_dump(lock_of(PIPELINE), sort_keys=False))
    repository.put(".gitignore", "/data/raw/mnist.npz\n/models/model.keras\n/.dvc/tmp\n")
    repository.commit("A pipeline")
    return repository


Verify = Callable[..., tuple[int, list[str]]]
Change = Callable[[Repository], object]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command; return its exit status and the lines it prints."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        status = main(list(arguments))
        printed = capsys.readouterr()
        return status, (printed.out + printed.err).splitlines()

    return run


@pytest.mark.parametrize("revision", ["this folder", "HEAD", "main"])
def test_a_lock_that_matches_is_a_line_a_stage(plain: Repository, verify: Verify, revision: str) -> None:
    lines = [*(f"verify: {name}: matches" for name in NAMES), f"verify: dvc.lock of {revision} matches all 3 stages"]
    assert verify(*([] if revision == "this folder" else [revision])) == (0, lines)


def edit(path: str, old: str, new: str) -> Change:
    return lambda repository: repository.replace(path, old, new)


def remove(path: str) -> Change:
    return lambda repository: (repository.folder / path).unlink()


def edit_lock(change: Callable[[dict[str, Any]], object]) -> Change:
    def tamper(repository: Repository) -> None:
        document = yaml.safe_load(repository.read("dvc.lock"))
        change(document["stages"])
        repository.put("dvc.lock", yaml.safe_dump(document, sort_keys=False))

    return tamper


DATA, MODEL, ZEROS = md5_of("data/raw/mnist.npz")[:8], md5_of("models/model.keras")[:8], "0" * 8
TAMPERED = [
    (edit("params.yaml", "epochs: 1", "epochs: 9"), "train: changed parameter train.epochs: 1 -> 9"),
    (edit("params.yaml", "epochs: 1", "epochs: 1.0"), "train: changed parameter train.epochs: 1 -> 1.0"),
    (edit("params.yaml", "[32, 64]", "[32]"), "train: changed parameter train.filters: [32, 64] -> [32]"),
    (edit("params.yaml", "  epochs: 1\n", ""), "train: changed parameter train.epochs: 1 -> absent"),
    (edit("more.yaml", "note: on", "note: off"), "train: changed parameter more.yaml:note: on -> off"),
    (
        edit("params.yaml", "dataset: mnist", "dataset: mnist\n  more: 1"),
        "changed parameter download.more: absent -> 1",
    ),
    (edit("stages/train.py", "1", "2"), "train: changed file stages/train.py"),
    (remove("stages/train.py"), "train: missing file stages/train.py"),
    (
        edit("dvc.yaml", "stages.train", "stages.trian"),
        "command: python -m stages.train -> python -m stages.trian",
    ),
    (edit_lock(lambda stages: stages.pop("train")), "train: missing from dvc.lock: it has not been run"),
    (edit_lock(lambda stages: stages.update(traim=stages["train"])), "traim: in dvc.lock, but not in dvc.yaml"),
    (
        edit("dvc.yaml", "      - stages/train.py\n", ""),
        "dependency stages/train.py is in dvc.lock, but not ",
    ),
    (
        edit("dvc.yaml", "- stages/train.py", "- stages/t.py"),
        "dependency stages/t.py is in dvc.yaml, but not in ",
    ),
    (
        edit("dvc.yaml", "- models/model.keras\n      - models/p", "- models/p"),
        "output models/model.keras is in dvc.",
    ),
    (edit("metrics.json", "0.5", "0.9"), f"metrics.json is {{md5}}, but the stage wrote {md5_of('metrics.json')[:8]}"),
    (remove("metrics.json"), "evaluate: missing output metrics.json, which Git should hold"),
    (
        # as after a merge that took the entries of two branches
        edit_lock(lambda stages: stages["evaluate"]["deps"][0].update(md5="0" * 32)),
        f"evaluate: models/model.keras was read as {ZEROS}, but train wrote {MODEL}",
    ),
    (
        edit_lock(lambda stages: stages["download"]["outs"][0].update(md5="0" * 32)),
        f"train: data/raw/mnist.npz was read as {DATA}, but download wrote {ZEROS}",
    ),
    (
        edit("models/provenance.json", "mnist", "mnist-5k"),
        "download: the results come from mnist-5k, but params.yaml asks for mnist",
    ),
]


@pytest.mark.parametrize(("tamper", "reason"), TAMPERED, ids=[reason[:60] for _, reason in TAMPERED])
def test_tampering_is_found_with_its_reason_before_and_after_a_commit(
    plain: Repository, verify: Verify, tamper: Change, reason: str
) -> None:
    tamper(plain)
    status, lines = verify()
    assert status == 1
    assert re.search(re.escape(reason).replace(re.escape("{md5}"), "[0-9a-f]{8}"), "\n".join(lines)), lines
    assert re.fullmatch(r"verify: dvc\.lock of this folder does not match \d of [34] stages", lines[-1])
    plain.commit("Tampered")
    at_head = [line.replace("this folder", "HEAD") for line in lines]
    assert verify("HEAD") == (1, at_head)


def test_outputs_that_are_in_the_folder_are_hashed_too(plain: Repository, verify: Verify) -> None:
    for path, text in IN_CACHE.items():
        plain.put(path, text)
    assert verify()[0] == 0
    plain.put("models/model.keras", "other weights")
    status, lines = verify()
    assert status == 1
    assert lines[1].startswith("verify: train: models/model.keras is ")
    assert verify("HEAD")[0] == 0


WRITTEN_OUT = "verify: dvc.yaml: write the stages out, without "


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda _: None, "verify: unknown Git revision 'no-such-branch'"),
        (remove("dvc.lock"), "verify: there is no dvc.lock: `dvc repro` writes it"),
        (remove("dvc.yaml"), "verify: there is no dvc.yaml"),
        (edit("dvc.lock", "stages:", "steps:"), "verify: dvc.lock is not a whole lock file"),
        (
            lambda plain: plain.put("dvc.lock", plain.read("dvc.lock").partition("md5")[0]),
            "run `git checkout dvc.lock`",
        ),
        (edit("dvc.yaml", "stages:", "vars: []\nstages:"), WRITTEN_OUT),
        (edit("dvc.yaml", "python -m stages.train", "python ${item}"), WRITTEN_OUT),
        (lambda plain: plain.put("dvc.yaml", "stages: {many: {foreach: [1], do: {cmd: x}}}"), WRITTEN_OUT),
        (lambda plain: plain.put("dvc.yaml", "stages: [1]"), "verify: dvc.yaml: expected stages"),
        (edit("params.yaml", "epochs", "]"), "verify: params.yaml: not valid YAML"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    plain: Repository, verify: Verify, break_it: Change, message: str
) -> None:
    break_it(plain)
    status, lines = verify(*(["no-such-branch"] if "no-such-branch" in message else []))
    assert (status, len(lines)) == (1, 1)
    assert message in lines[0]


def test_verify_imports_neither_dvc_nor_pygit2() -> None:
    code = "import sys, review.verify; sys.exit(bool({'dvc', 'pygit2', 'scmrepo'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
