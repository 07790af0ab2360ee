"""The lock against tampering of every kind, in a clone with neither data nor cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from review.verify import main
from tests.clone import Clone

pytestmark = pytest.mark.slow


@pytest.fixture
def plain(clone: Clone, tmp_path: Path) -> Clone:
    """What `git clone` gives: the committed results on the embedded digits, which params.yaml asks for."""
    copy = Clone(tmp_path / "plain")
    clone.run(f"git clone -q --no-local {clone.folder} {copy.folder}")
    copy.set("download.dataset", "mnist-5k")
    copy.replace("dvc.lock", "dataset: mnist\n", "dataset: mnist-5k\n")
    copy.commit("Ask for the embedded digits")
    return copy


Verify = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command in a clone; return its exit status and the lines it prints."""

    def run(clone: Clone, *arguments: str) -> tuple[int, list[str]]:
        monkeypatch.chdir(clone.folder)
        status = main(list(arguments))
        printed = capsys.readouterr()
        return status, (printed.out + printed.err).splitlines()

    return run


def test_what_is_committed_is_true_in_a_checkout_and_at_a_revision(plain: Clone, verify: Verify) -> None:
    for revision in ([], ["HEAD"], ["main"]):
        status, lines = verify(plain, *revision)
        assert (status, lines[:5]) == (
            0,
            [f"verify: {name}: matches" for name in ("download", "preprocess", "train", "export", "evaluate")],
        )
        assert lines[5] == f"verify: dvc.lock of {''.join(revision) or 'this folder'} matches all 5 stages"


def edit(path: str, old: str, new: str) -> Callable[[Clone], None]:
    return lambda clone: clone.replace(path, old, new)


def append(path: str, text: str) -> Callable[[Clone], None]:
    return lambda clone: (clone.folder / path).open("a").write(text) and None


def remove(path: str) -> Callable[[Clone], None]:
    return lambda clone: (clone.folder / path).unlink()


def edit_lock(change: Callable[[dict[str, Any]], object]) -> Callable[[Clone], None]:
    def tamper(clone: Clone) -> None:
        document = YAML(typ="safe").load(clone.read("dvc.lock"))
        change(document["stages"])
        YAML().dump(document, clone.folder / "dvc.lock")

    return tamper


def swap_in_another_model(stages: dict[str, Any]) -> None:
    """As after a merge that took train's entry from one branch and evaluate's from the other."""
    next(dep for dep in stages["evaluate"]["deps"] if dep["path"] == "models/model.onnx")["md5"] = "0" * 32


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (edit("params.yaml", "epochs: 1", "epochs: 9"), "verify: train: changed parameter train.epochs: 1 -> 9"),
        (
            edit("params.yaml", "[32, 64, 64]", "[32, 64]"),
            "verify: train: changed parameter train.filters: [32, 64, 64] -> [32, 64]",
        ),
        (append("params.yaml", "  momentum: 1\n"), "verify: train: changed parameter train.momentum: absent -> 1"),
        (append("stages/evaluate.py", "# changed\n"), "verify: evaluate: changed file stages/evaluate.py"),
        (remove("classifier/model/architecture.py"), "verify: train: missing file classifier/model/architecture.py"),
        (
            edit("dvc.yaml", "python -E -m stages.train", "python -E -O -m stages.train"),
            "verify: train: changed command: python -E -m stages.train -> python -E -O -m stages.train",
        ),
        (edit_lock(lambda stages: stages.pop("train")), "verify: train: missing from dvc.lock: it has not been run"),
        (
            edit("dvc.yaml", "      - classifier/model/architecture.py\n", ""),
            "verify: train: dependency classifier/model/architecture.py is in dvc.lock, but not in dvc.yaml",
        ),
        (
            edit(
                "dvc.yaml",
                "      - classifier/model/architecture.py\n",
                "      - classifier/model/architecture.py\n      - Makefile\n",
            ),
            "verify: train: dependency Makefile is in dvc.yaml, but not in dvc.lock",
        ),
        (edit("metrics.json", '"accuracy": 0.', '"accuracy": 0.9'), "verify: evaluate: metrics.json is "),
        (
            remove("evaluation/predictions.csv"),
            "verify: evaluate: missing output evaluation/predictions.csv, which Git should hold",
        ),
        (edit("models/provenance.json", '"threads"', '"thread"'), "verify: train: models/provenance.json is "),
        (edit_lock(swap_in_another_model), "verify: evaluate: models/model.onnx was read as "),
        (
            edit_lock(lambda stages: stages.update(traim=stages["train"])),
            "verify: traim: in dvc.lock, but not in dvc.yaml",
        ),
        (
            edit("params.yaml", "dataset: mnist-5k ", "dataset: mnist "),
            "the results come from mnist-5k, but params.yaml asks for mnist",
        ),
    ],
)
def test_tampering_is_found_with_its_reason_before_and_after_a_commit(
    plain: Clone, verify: Verify, tamper: Callable[[Clone], None], reason: str
) -> None:
    tamper(plain)
    status, lines = verify(plain)
    assert status == 1
    assert any(reason in line for line in lines), lines
    assert "does not match" in lines[-1]
    plain.commit("Tampered")
    at_head = {"this folder holds": "`HEAD` holds", "this folder": "HEAD", "writes it": "there and commit it"}
    for here, there in at_head.items():
        lines = [line.replace(here, there) for line in lines]
    assert verify(plain, "HEAD") == (1, lines)


def test_the_command_exits_with_its_status(plain: Clone) -> None:
    assert plain.attempt("python -m review.verify").returncode == 0
    plain.set("train.epochs", 9)
    assert plain.attempt("python -m review.verify").returncode == 1


def test_data_that_is_present_is_hashed_too(clone: Clone, verify: Verify) -> None:
    labels = clone.folder / "data/processed/test_labels.npy"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(content[:-1] + b"!")
    status, lines = verify(clone)
    assert status == 1
    assert any("verify: preprocess: data/processed/test_labels.npy is " in line for line in lines)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda _: None, "verify: unknown Git revision 'no-such-branch'"),
        (lambda _: None, "verify: unknown Git revision 'main:stages'"),
        (remove("dvc.lock"), "verify: there is no dvc.lock: `dvc repro` writes it"),
        (edit("dvc.lock", "stages:", "steps:"), "verify: dvc.lock is not a whole lock file"),
        (append("dvc.lock", "\n  : : :\n"), "verify: dvc.lock is not a whole lock file"),
        (remove("dvc.yaml"), "verify: there is no dvc.yaml"),
        (append("dvc.yaml", "vars: []\n"), "verify: dvc.yaml: stages must be written out, without "),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    plain: Clone, verify: Verify, break_it: Callable[[Clone], object], message: str
) -> None:
    revision = [name for name in ("no-such-branch", "main:stages") if name in message]
    break_it(plain)
    status, lines = verify(plain, *revision)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith(message)
