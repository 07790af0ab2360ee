"""dvc.lock against tampering of every kind, in a small pipeline without data or cache."""

import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from review import compare, report
from tests.conftest import REPOSITORY
from tests.review.repository import Repository

PIPELINE = """\
stages:
  download:
    cmd: python -m stages.download
    deps: [stages/download.py]
    params: [download]
    outs: [data/raw/mnist.npz, data/raw/dataset.json: {cache: false}]
  train:
    cmd: python -m stages.train
    deps: [data/raw/mnist.npz, stages/train.py]
    params: [train.epochs, train.filters, more.yaml: [note]]
    outs: [models/model.keras, models/provenance.json: {cache: false}]
  evaluate:
    cmd: python -m stages.evaluate
    deps: [models/model.keras]
    metrics: [metrics.json: {cache: false}]
"""
IN_CACHE = {"data/raw/mnist.npz": "images", "models/model.keras": "weights"}
MD5 = {path: hashlib.md5(text.encode()).hexdigest() for path, text in IN_CACHE.items()}
DATA = MD5["data/raw/mnist.npz"]
TRAINED = {
    "dataset": "mnist",
    "images": {"train": 9},
    "parameters": {"epochs": 1, "filters": [32, 64]},
    "data": {"data/raw/mnist.npz": DATA},
}
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "download:\n  dataset: mnist\ntrain:\n  epochs: 1\n  filters: [32, 64]\n  seed: 0\n",
    "more.yaml": "note: on\n",
    "stages/download.py": "DOWNLOAD = 1\n",
    "stages/train.py": "TRAIN = 1\n",
    "data/raw/dataset.json": '{"dataset": "mnist", "requested": "mnist"}',
    "models/provenance.json": json.dumps(TRAINED),
    "metrics.json": '{"test": {"accuracy": 0.5}}',
}
MD5 |= {path: hashlib.md5(text.encode()).hexdigest() for path, text in FILES.items()}
PARAMETERS = {
    "download": {"params.yaml": {"download": {"dataset": "mnist"}}},
    "train": {"params.yaml": {"train.epochs": 1, "train.filters": [32, 64]}, "more.yaml": {"note": "on"}},
    "evaluate": {},
}


def files(items: list[Any]) -> list[dict[str, str]]:
    paths = [item if isinstance(item, str) else next(iter(item)) for item in items]
    return [{"path": path, "hash": "md5", "md5": MD5[path]} for path in paths]


@pytest.fixture
def plain(repository) -> Repository:
    """What `git clone` gives of a pipeline whose dvc.lock matches."""
    for path, text in FILES.items():
        repository.put(path, text)
    stages = yaml.safe_load(PIPELINE)["stages"]
    for name, part in stages.items():
        outs = [*part.pop("outs", []), *part.pop("metrics", [])]
        part |= {"deps": files(part["deps"]), "params": PARAMETERS[name], "outs": files(outs)}
    repository.put("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))
    repository.put(".gitignore", "/data/raw/mnist.npz\n/models/model.keras\n/.dvc/tmp\n")
    repository.commit("A pipeline")
    return repository


def tamper(plain: Repository, path: str, old: str, new: str | None) -> None:
    """Replace the first such text of a file; remove the file if there is no new text."""
    text = plain.read(path)
    assert old in text
    if new is None:
        (plain.folder / path).unlink()
    else:
        plain.put(path, text.replace(old, new, 1))


RAW, METRICS, TRAINED_WITH = "data/raw/mnist.npz", MD5["metrics.json"][:8], "the model was trained with"
READ = f"deps:\n    - path: data/raw/mnist.npz\n      hash: md5\n      md5: {DATA}"


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("params.yaml", "epochs: 1", "epochs: 9", "train: changed parameter train.epochs: 1 -> 9"),
        ("params.yaml", "epochs: 1", "epochs: 1.0", "train: changed parameter train.epochs: 1 -> 1.0"),
        ("params.yaml", "t: mnist", "t: mnist\n  more: 1", "changed parameter download.more: absent -> 1"),
        ("more.yaml", "note: on", "note: off", "train: changed parameter more.yaml:note: on -> off"),
        ("stages/train.py", "1", "2", "train: changed file stages/train.py"),
        ("stages/train.py", "1", None, "train: missing file stages/train.py"),
        ("dvc.yaml", "s.train", "s.trian", "command: python -m stages.train -> python -m stages.trian"),
        ("dvc.lock", "  train:", "  traim:", "train: missing from dvc.lock: it has not been run"),
        ("dvc.lock", "  train:", "  traim:", "traim: in dvc.lock, but not in dvc.yaml"),
        ("dvc.yaml", ", stages/train.py", "", "dependency stages/train.py is in dvc.lock, but not in dvc.yaml"),
        ("dvc.yaml", "s/train.py", "s/t.py", "dependency stages/t.py is in dvc.yaml, but not in dvc.lock"),
        ("dvc.yaml", "[models/model.keras, ", "[", "output models/model.keras is in dvc.lock, but not in dvc.yaml"),
        ("metrics.json", "0.5", "0.9", f"evaluate: metrics.json is 7c15a721, but the stage wrote {METRICS}"),
        ("metrics.json", "0.5", None, "evaluate: missing output metrics.json, which Git should hold"),
        # as after a merge that took the entries of two branches
        ("dvc.lock", DATA, "0" * 32, f"{RAW} was read as {DATA[:8]}, but download wrote 0"),  # a number in YAML
        # as DVC records an edit while the stage runs, and a merge by lines the half of a run
        ("dvc.lock", "train.epochs: 1", "train.epochs: 4", f"{TRAINED_WITH} train.epochs 1, but dvc.lock has 4"),
        ("dvc.lock", READ, f"{READ[:-32]}{'f' * 32}", f"{TRAINED_WITH} data/raw/mnist.npz {DATA}, but dvc.lock has f"),
        ("models/provenance.json", "mnist", "cut", "the results come from cut, but params.yaml asks for mnist"),
    ],
)
def test_tampering_is_found_with_its_reason_before_and_after_a_commit(plain, run, path, old, new, reason):
    tamper(plain, path, old, new)
    status, lines, _ = run()
    assert status == 1
    assert reason in "\n".join(lines)
    assert re.fullmatch(r"verify: dvc\.lock of this folder does not match \d of [34] stages", lines[-1])
    plain.commit("Tampered")
    assert run("HEAD") == (1, [line.replace("this folder", "HEAD") for line in lines], "")


def test_params_may_ask_for_a_copy_of_the_data_set_by_its_path(plain, run):
    tamper(plain, "models/provenance.json", "mnist", "cut")
    plain.put("data/raw/dataset.json", '{"dataset": "cut", "requested": "mnist", "files": "4 files"}')
    assert "the results come from" not in "\n".join(run()[1])


def test_a_lock_that_matches_is_a_line_a_stage_and_outputs_in_the_folder_are_hashed(plain, run):
    lines = [*(f"verify: {name}: matches" for name in PARAMETERS), "verify: dvc.lock of HEAD matches all 3 stages"]
    assert run("HEAD") == (0, lines, "")
    for path, text in IN_CACHE.items():
        plain.put(path, text)
    assert run() == (0, [line.replace("HEAD", "this folder") for line in lines], "")
    plain.put("models/model.keras", "other weights")
    status, lines, _ = run()
    assert status == 1
    assert lines[1].startswith("verify: train: models/model.keras is ")
    assert f", but the stage wrote {MD5['models/model.keras'][:8]}: `dvc checkout` or `dvc repro` " in lines[1]
    assert run("HEAD")[0] == 0
    assert run("topic") == (1, [], "verify: unknown Git revision 'topic'\n")


@pytest.mark.parametrize("command", [compare, report])
def test_results_that_do_not_match_are_compared_only_if_asked(plain, capsys, command):
    assert command.main(["HEAD", "HEAD"]) == 0
    capsys.readouterr()
    tamper(plain, "params.yaml", "epochs: 1", "epochs: 9")
    change = "`train: changed parameter train.epochs: 1 -> 9`"
    reason = f"the results of this folder do not match the files beside them: {change}"
    assert command.main(["HEAD"]) == 2
    line = f"{command.__name__.removeprefix('review.')}: {reason}; run `dvc repro` there, or compare with --stale\n"
    assert capsys.readouterr() == ("", line)
    assert command.main(["HEAD", "--stale"]) == 0
    printed = capsys.readouterr()
    assert "verdict: " in printed.out
    assert reason in (plain.read("report/report.md") if command is report else printed.err)
    plain.commit("Stale")
    assert command.main(["HEAD", "HEAD~"]) == 2
    assert "the results of `HEAD` do not match" in capsys.readouterr().err
    tamper(plain, "dvc.lock", "", None)
    assert command.main(["HEAD~"]) == 2
    assert "`there is no dvc.lock: 'dvc repro' writes it`" in capsys.readouterr().err


WRITTEN_OUT = "verify: dvc.yaml: write the stages out, without "


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        ("dvc.lock", "", None, "verify: there is no dvc.lock: `dvc repro` writes it"),
        ("dvc.yaml", "", None, "verify: there is no dvc.yaml"),
        ("dvc.lock", "stages:", "steps:", "verify: dvc.lock is not a whole lock file"),
        ("dvc.lock", "md5", "}", "run `git checkout dvc.lock`"),
        ("dvc.lock", "schema", "<<<<<<< HEAD\nschema", "verify: a merge left conflicts in dvc.lock: edit "),
        ("dvc.yaml", "stages:", "<<<<<<< HEAD\nstages:", "verify: a merge left conflicts in dvc.yaml: "),
        ("dvc.yaml", "stages:", "vars: []\nstages:", WRITTEN_OUT),
        ("dvc.yaml", "python -m stages.train", "python ${item}", WRITTEN_OUT),
        ("dvc.yaml", "stages:", "stages:\n  many: {foreach: [1], do: {cmd: x}}", WRITTEN_OUT),
        ("dvc.yaml", PIPELINE, "stages: [1]", "verify: dvc.yaml: expected stages"),
        ("params.yaml", "epochs", "]", "verify: params.yaml: not valid YAML"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(plain, run, path, old, new, message):
    tamper(plain, path, old, new)
    status, lines, error = run()
    assert (status, lines, error.count("\n")) == (1, [], 1)
    assert message in error


def test_verify_imports_neither_dvc_nor_pygit2():
    code = "import sys, review.verify; sys.exit(bool({'dvc', 'pygit2', 'scmrepo'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
