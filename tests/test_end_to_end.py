"""The pipeline as a user runs it, in a clone of this checkout, on the embedded digits, which need no network."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.clone import Clone

pytestmark = pytest.mark.slow


def test_without_a_network_the_pipeline_runs_on_the_embedded_digits_and_warns_twice(
    clone: Clone, first_output: str
) -> None:
    assert clone.ran(first_output) == ["download", "preprocess", "train", "export", "evaluate"]
    assert "download: warning: mnist-5k is used instead of mnist" in first_output
    assert "evaluate: warning: mnist-5k is used instead of mnist" in first_output
    metrics = json.loads(clone.read("metrics.json"))
    assert {key for numbers in metrics.values() for key in numbers} == {"accuracy", "loss", "errors"}
    assert metrics["test"]["accuracy"] > 0.5
    agreement = json.loads(clone.read("evaluation/export.json"))
    assert {split: agreement[split]["errors"]["onnx"] for split in metrics} == {
        split: metrics[split]["errors"] for split in metrics
    }
    provenance = json.loads(clone.read("models/provenance.json"))
    assert provenance["dataset"] == "mnist-5k"
    assert provenance["images"] == {"train": 3000, "validation": 1000}
    predictions = csv.DictReader(clone.read("evaluation/predictions.csv").splitlines())
    assert Counter(row["split"] for row in predictions) == {"validation": 1000, "test": 1000}


def test_a_second_run_runs_no_stage(clone: Clone) -> None:
    assert clone.ran(clone.run("dvc repro")) == []
    assert "Data and pipelines are up to date" in clone.run("dvc status")


def test_make_repro_tries_to_download_the_full_data_set_again_and_repeats_the_warning(clone: Clone) -> None:
    output = clone.run("make --old-file=.venv/installed repro")
    assert clone.ran(output) == ["download"]
    assert "download: warning: mnist-5k is used instead of mnist" in output
    assert "test.accuracy" in output
    assert clone.run("git status --porcelain") == ""


def test_in_another_folder_with_other_settings_every_byte_is_the_same(clone: Clone, tmp_path: Path) -> None:
    other = Clone(tmp_path / "another folder")
    clone.run(f"git clone -q --no-local {clone.folder} '{other.folder}'")
    settings = {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
    (other.folder.parent / ".keras").mkdir()
    (other.folder.parent / ".keras/keras.json").write_text(json.dumps(settings))
    shadows = tmp_path / "shadows"
    shadows.mkdir()
    (shadows / "mlxtend.py").write_text("raise ImportError('another package of this name')\n")
    output = other.run(
        "dvc repro --force",
        TZ="Pacific/Auckland",
        LC_ALL="C",
        PYTHONHASHSEED="7",
        PYTHONOPTIMIZE="2",
        PYTHONPATH=str(shadows),
        PYTHONSAFEPATH="1",
        KERAS_BACKEND="torch",
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="1",
        TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL="0",
        TF_ENABLE_ONEDNN_OPTS="0",
        OMP_NUM_THREADS="1",
        TF_NUM_INTRAOP_THREADS="1",
        MPLBACKEND="svg",
    )
    assert other.ran(output) == ["download", "preprocess", "train", "export", "evaluate"]
    assert other.run("git status --porcelain") == ""


def test_a_changed_file_reruns_only_the_stages_that_import_it(clone: Clone) -> None:
    with (clone.folder / "stages/evaluate.py").open("a") as file:
        file.write("# a comment\n")
    assert clone.ran(clone.run("dvc repro")) == ["evaluate"]


def test_a_refused_parameter_changes_no_output_and_no_lock_file(clone: Clone) -> None:
    clone.set("train.batch_size", 0)
    done = clone.attempt("dvc repro")
    assert done.returncode != 0
    assert "train: params.yaml: train.batch_size must be a whole number of at least 1, got 0" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert clone.run("git status --porcelain").split() == ["M", "params.yaml"]
    clone.run("git checkout -q params.yaml")
    assert "up to date" in clone.run("dvc status")


def test_a_wrong_mirror_changes_no_output_and_no_lock_file(clone: Clone) -> None:
    done = clone.attempt("dvc repro --force", DATASET_MIRROR="/nowhere/mnist.npz")
    assert done.returncode != 0
    assert "download: /nowhere/mnist.npz: no such file or folder" in done.stderr
    assert clone.run("git status --porcelain") == ""
    assert "up to date" in clone.run("dvc status")


def test_a_branch_with_another_batch_size_can_be_reviewed_in_a_clone_without_data(clone: Clone, tmp_path: Path) -> None:
    clone.run("git checkout -q -B tuning")
    clone.set("train.batch_size", 50)
    assert clone.ran(clone.run("dvc repro")) == ["train", "export", "evaluate"]
    clone.commit("Halve the batches")
    plain = Clone(tmp_path / "plain")
    clone.run(f"git clone -q --no-local {clone.folder} {plain.folder}")
    plain.run("git checkout -q tuning && git fetch -q origin main:main")
    for each in (clone, plain):
        parameters = json.loads(each.run("dvc params diff main --json"))
        assert parameters == {"params.yaml": {"train.batch_size": {"old": 100, "new": 50, "diff": -50}}}
        metrics = json.loads(each.run("dvc metrics diff main --json"))["metrics.json"]
        assert set(metrics) <= {
            f"{split}.{name}" for split in ("validation", "test") for name in ("accuracy", "loss", "errors")
        }
        assert metrics["test.loss"]["diff"] != 0
        assert "verdict: undecided: this folder and `main` are two models" in each.run("python -m review.compare main")
        plots = each.run("dvc plots diff main --targets evaluation/history.csv --show-vega")
        assert '"rev": "main"' in plots
        assert '"rev": "workspace"' in plots


def test_the_plots_show_curves_over_whole_epochs_and_the_errors_of_each_split(clone: Clone) -> None:
    clone.run("dvc plots show")
    page = clone.read("dvc_plots/index.html")
    assert "misclassified.png" in page
    assert "<DVC_METRIC" not in page  # every placeholder of a template is filled
    for metric in ("loss", "accuracy"):
        curve = vega(clone, f"dvc plots show 'Learning curve, {metric}'")
        assert curve["encoding"]["x"]["axis"]["tickMinStep"] == 1
        assert {row["field"] for row in curve["data"]["values"]} == {metric, f"validation_{metric}"}
    matrix = vega(clone, "dvc plots show 'Confusion matrix by split'")
    assert matrix["facet"]["row"]["field"] == "split"
    count, errors = matrix["transform"]
    assert count["groupby"] == ["rev", "split", "predicted", "actual"]
    assert errors == {"calculate": "datum.predicted == datum.actual ? null : datum.images", "as": "errors"}
    rows = list(csv.DictReader(clone.read("evaluation/predictions.csv").splitlines()))
    assert matrix["data"]["values"] == [row | {"rev": "workspace"} for row in rows]


def test_plots_can_be_compared_between_branches_with_and_without_these_templates(clone: Clone) -> None:
    clone.run("git checkout -q -b older && git rm -q -r .dvc/plots")
    without = [line for line in clone.read("dvc.yaml").splitlines(keepends=True) if "template:" not in line]
    (clone.folder / "dvc.yaml").write_text("".join(without))
    clone.commit("No templates but those of DVC")
    assert "Learning curve, loss" in clone.run("dvc plots diff main && cat dvc_plots/index.html")
    clone.run("git checkout -q -b newer main")
    clone.replace("evaluation/history.csv", "\n1,0.", "\n1,0.0")
    for revision in ("main", "older"):
        curve = vega(clone, f"dvc plots diff {revision} --targets 'Learning curve, loss'")
        assert curve["encoding"]["x"]["axis"]["tickMinStep"] == 1
        matrix = vega(clone, f"dvc plots diff {revision} --targets 'Confusion matrix by split'")
        for plot in (curve, matrix):
            assert {row["rev"] for row in plot["data"]["values"]} == {"workspace", revision}


def vega(clone: Clone, command: str) -> dict[str, Any]:
    """The Vega specification of the one plot that a command shows."""
    plot: dict[str, Any] = json.loads(clone.run(f"{command} --show-vega 2>/dev/null"))
    return plot


def test_experiments_run_and_are_shown(clone: Clone) -> None:
    clone.run("dvc exp run --name small-steps -S train.learning_rate=1e-5")
    shown = clone.run("dvc exp show --csv")
    rows = {row["Experiment"]: row for row in csv.DictReader(shown.splitlines())}
    assert float(rows["small-steps"]["train.learning_rate"]) == 1e-5
    assert float(rows["small-steps"]["test.accuracy"]) < float(rows[""]["test.accuracy"])


def test_a_released_model_comes_from_the_cache_of_the_project_or_from_a_remote(clone: Clone, tmp_path: Path) -> None:
    shutil.copytree(clone.folder, tmp_path / "project", symlinks=True)
    project, plain, elsewhere = (Clone(tmp_path / name) for name in ("project", "plain", "elsewhere"))
    elsewhere.folder.mkdir()
    released = (project.folder / "models/model.onnx").read_bytes()
    trained = (project.folder / "models/model.keras").read_bytes()
    get = "dvc artifacts get {} image-classifier --rev v1.0.0 --force"

    def tag(release: str) -> None:
        project.run(f"git -c user.name=Test -c user.email=test@example.org tag -a {release} -m Release")

    project.run("git tag image-classifier@v0.9.0")  # lightweight, so DVC ignores it
    assert elsewhere.attempt(get.format(project.folder).replace("v1.0.0", "v0.9.0")).returncode != 0
    project.run(f"dvc remote add --default local {tmp_path / 'remote'} && dvc push")
    project.commit("A remote")
    tag("image-classifier@v1.0.0")
    project.set("train.seed", 1)
    project.run("dvc repro export")
    project.commit("Another seed")
    tag("image-classifier@v1.1.0")
    latest = (project.folder / "models/model.onnx").read_bytes()
    assert latest != released

    elsewhere.run("dvc artifacts get ../project image-classifier")
    assert (elsewhere.folder / "model.onnx").read_bytes() == latest
    elsewhere.run(get.format("../project"))
    assert (elsewhere.folder / "model.onnx").read_bytes() == released
    (elsewhere.folder / "model.onnx").unlink()
    project.run(f"git clone -q --no-local {project.folder} {plain.folder}")  # a clone has no cache
    elsewhere.run(get.format("../plain"))
    assert (elsewhere.folder / "model.onnx").read_bytes() == released
    elsewhere.run("dvc get ../plain models/model.keras --rev image-classifier@v1.0.0")
    assert (elsewhere.folder / "model.keras").read_bytes() == trained
