"""The file of measured noise: its form, for which revision a record holds, and what verify says of a false one."""

import hashlib
import re
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import convert

from classifier.paths import NOISE
from review.lock import mismatches
from review.results import Predictions, Record, Results, name_recipe
from review.seeds import why_stale, write_record
from review.verify import main
from tests.conftest import REPOSITORY
from tests.review.repository import IMAGES, TRAINING, lock, model, record

CHANGED = TRAINING | {"stages/train.py": "c" * 32}
HERE = {"kernels": "avx2", "threads": 2}
THERE = {"environment": {"kernels": "avx512_core"}}


def predicted(*misread: int, images: int = IMAGES) -> dict[str, Predictions]:
    """The predictions of a model that misreads these validation images."""
    image = np.arange(images)
    return {"validation": Predictions(image, image % 10, np.where(np.isin(image, misread), 9 - image % 10, image % 10))}


SIDE = Results(
    revision=None,
    commit=None,
    dataset="mnist",
    train_images=200,
    parameters={"download.dataset": "mnist", "train.epochs": 5, "train.filters": [32, 64], "train.seed": 0},
    environment=HERE,
    training=TRAINING,
    steps={},
    model=model(0),
    metrics={"validation.accuracy": 0.75, "validation.loss": 0.1},
    predictions=predicted(*range(10)),
    noise=[],
    history={},
    data_set=None,
)


def at(**parameters: Any) -> dict[str, Any]:
    """The change of a side to parameters of another value."""
    return {"parameters": SIDE.parameters | {key.replace("_", ".", 1): value for key, value in parameters.items()}}


ANOTHER_MODEL, OTHER_FILES = {"model": "f" * 32}, "other files: `stages/train.py`"
FIFTY, FIFTY_SAID = {"predictions": predicted(*range(10), images=50)}, "says 40 validation images, of which"
MANY = {"training": TRAINING | {f"stages/{number}.py": "d" * 32 for number in range(9)}}


@pytest.mark.parametrize(
    ("measured", "side", "reason"),
    [
        ({}, {}, None),
        ({}, at(download_dataset="copy"), None),  # the source of the data is no part of a recipe
        ({}, at(train_epochs=1), "it was measured at `train.epochs` 5"),
        ({"dataset": "mnist-5k"}, {}, "it was measured on `mnist-5k`"),
        ({}, {"training": CHANGED}, None),  # a comment in the code, for which the bytes tell
        ({}, {"training": CHANGED} | ANOTHER_MODEL, OTHER_FILES),
        ({}, ANOTHER_MODEL, "its seed 0 gave another model from the same files"),
        # a seed that was not measured has no bytes to tell by, and nor has another machine
        ({}, at(train_seed=7) | ANOTHER_MODEL, None),
        ({}, at(train_seed=7) | {"training": CHANGED}, OTHER_FILES),
        (THERE, ANOTHER_MODEL, None),
        (THERE, {"training": CHANGED}, None),
        (THERE, {"training": CHANGED} | ANOTHER_MODEL, "it comes from another machine (`kernels` "),
        ({}, MANY | ANOTHER_MODEL, "`stages/3.py`, `stages/4.py`, 4 more"),
        ({}, {"training": {}, "model": None}, "`dvc.lock` does not say what trained the model"),
        ({}, {"metrics": {"validation.loss": 0.2}}, "another validation loss of the same model than metrics.json"),
        ({}, {"predictions": predicted(*range(9), 12)}, "it says that other validation images are misread than "),
        ({}, FIFTY, FIFTY_SAID),
        # what one of the two does not tell contradicts nothing, and what another seed misreads cannot be compared
        ({}, {"metrics": {}, "predictions": {"test": predicted(1)["validation"]}}, None),
        ({}, at(train_seed=1) | {"model": model(1), "predictions": {}}, None),
    ],
)
def test_a_record_holds_where_the_same_files_or_the_same_model_tell_so(measured, side, reason):
    here = convert(record(0.75, 0.8, **{"environment": HERE} | measured), Record)
    why = why_stale(here, replace(SIDE, **side))
    assert why is reason is None or (reason and why and reason in why)


def second(**changes: Any) -> dict[str, Any]:
    """A record whose second seed is changed."""
    first, other = record(0.75, 0.8)["seeds"]
    return record(0.75, 0.8, seeds=[first, other | changes])


@pytest.mark.parametrize(
    "broken",
    [
        {},
        record(0.5, dataset=1),
        record(looks=[0]),
        record(0.5, 0.6, looks=[1]),
        second(seed=0),
        second(validation=None),
        *(second(validation={"loss": 0.1, "misread": numbers}) for numbers in ([40], [-1], [2, 1], [1, 1])),
        *(second(validation={"loss": loss, "misread": [1]}) for loss in (-0.5, float("nan"))),
    ],
)
def test_a_record_of_another_form_is_refused(broken):
    with pytest.raises(ValueError, match=r"Expected|expected|missing required field|malformed"):
        convert(broken, Record)


def test_two_recipes_have_two_names_that_every_system_can_write():
    paths = ["mnist", "~/my data/Cats & dogs.npz", "~/my-data/cats-dogs.npz", "/", "Äpfel", "x" * 300]
    names = [name_recipe(path, {"train.epochs": 5}) for path in paths]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}-[0-9a-f]{12}", name) for name in names)
    assert names[1].startswith("cats-dogs-")
    others = [{"train.epochs": 6}, {"train.epochs": 5.0}, {"train.epochs": "5"}, {"train.epochs": 5, "train.b": None}]
    names += [name_recipe("mnist", parameters) for parameters in others]
    assert len(set(names)) == len(names)
    assert name_recipe("mnist", others[-1] | {"train.seed": 3, "download.dataset": "copy"}) == names[-1]


def test_each_committed_record_is_written_back_with_the_bytes_and_the_name_of_its_file(tmp_path, monkeypatch):
    committed = {path.name: path.read_bytes() for path in (REPOSITORY / NOISE).iterdir()}
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # which replaces the files
        for content in committed.values():
            write_record(msgspec.json.decode(content, type=Record))
        assert {path.name: path.read_bytes() for path in NOISE.iterdir()} == committed
    odd = {"train.a": ["x", None], "train.b": "[\n  1,\n  2\n]", "train.c": [1e-05, -2.5], "train.d": []}
    written = convert(record(0.5, parameters=odd), Record)
    write_record(written)
    assert msgspec.json.decode((NOISE / f"{written.recipe}.json").read_bytes(), type=Record) == written


@pytest.mark.parametrize(
    ("seeds", "changes", "reason"),
    [
        ((0.75, 0.8), {}, None),
        ((0.1, 0.8), {"parameters": {"train.epochs": 7}}, None),
        ((0.1, 0.8), THERE, None),
        ((set(range(1, 11)), 0.8), {}, f"{NOISE}/{SIDE.recipe}.json: it says that other validation images are misread"),
        ((), {}, "evaluation/noise/0.json of "),
    ],
)
def test_noise_that_cannot_be_true_is_a_line_of_verify_and_of_the_report(repository, capsys, seeds, changes, reason):
    training = {"stages/train.py": hashlib.md5(b"KERNELS = 3\n").hexdigest()}
    repository.put("stages/train.py", "KERNELS = 3\n")
    repository.put("dvc.yaml", "stages: {train: {cmd: echo 1, deps: [stages/train.py], outs: [models/model.keras]}}\n")
    repository.write(seed=0, validation=set(range(10)), environment=HERE, lock=lock(training=training))
    measured = record(*seeds, **({"environment": HERE, "training": training} | changes))
    repository.put_noise(measured)
    repository.commit("Noise")
    for revision in ("HEAD", None):
        assert main([revision] if revision else []) == (1 if reason else 0)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "verify: train: matches"
        assert [line.startswith(f"verify: seed noise: {reason}") for line in lines[1:-1]] == [True] * bool(reason)
        assert (f"`seed noise: {reason}" in mismatches(revision, revision, accepted=True)) == bool(reason)
