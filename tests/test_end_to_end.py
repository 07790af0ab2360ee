"""The pipeline as a user runs it, in a clone of this checkout, on the embedded digits, which need no network."""

import csv
import json
import shutil
from collections import Counter
from typing import Any

import pytest

from tests.clone import Clone

pytestmark = pytest.mark.slow

STAGES = ["download", "preprocess", "train", "export", "evaluate"]


@pytest.mark.walks
def test_without_a_network_the_pipeline_runs_on_the_embedded_digits_and_warns_twice(clone):
    clone.set("download.dataset", "mnist")
    first_output = clone.run("dvc repro")
    assert clone.ran(first_output) == STAGES
    for stage in ("download", "evaluate"):
        assert f"{stage}: warning: mnist-5k is used instead of mnist" in first_output
    metrics = json.loads(clone.read("metrics.json"))
    assert {key for numbers in metrics.values() for key in numbers} == {"accuracy", "loss", "errors"}
    assert metrics["test"]["accuracy"] > 0.9
    assert "train: 15 epochs instead of 1, as mnist-5k is smaller\n" in first_output
    assert json.loads(clone.read("models/provenance.json"))["images"] == {"train": 3000, "validation": 1000}
    predictions = csv.DictReader(clone.read("evaluation/predictions.csv").splitlines())
    assert Counter(row["split"] for row in predictions) == {"validation": 1000, "test": 1000}
    assert clone.ran(clone.run("dvc repro")) == []
    clone.run("echo '# a comment' >> stages/evaluate.py")
    assert clone.ran(clone.run("dvc repro --dry")) == ["evaluate"]


def test_in_another_folder_with_other_settings_every_byte_is_the_same(clone, tmp_path):
    other = Clone(tmp_path / "another folder")
    clone.run(f"git clone -q --no-local {clone.folder} '{other.folder}'")
    settings = {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
    (other.folder.parent / ".keras").mkdir()
    (other.folder.parent / ".keras/keras.json").write_text(json.dumps(settings))
    (tmp_path / "shadows").mkdir()
    (tmp_path / "shadows/mlxtend.py").write_text("raise ImportError('another package of this name')\n")
    variables = f"TZ=Pacific/Auckland LC_ALL=C PYTHONHASHSEED=7 PYTHONOPTIMIZE=2 PYTHONPATH={tmp_path}/shadows"
    variables += " PYTHONSAFEPATH=1 MPLBACKEND=svg KERAS_BACKEND=torch KERAS_MAX_EPOCHS=1 KERAS_MAX_STEPS_PER_EPOCH=1"
    variables += " TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL=0 TF_ENABLE_ONEDNN_OPTS=0 TF_NUM_INTRAOP_THREADS=1"
    variables += " ONEDNN_DEFAULT_FPMATH_MODE=ANY XLA_FLAGS=--xla_cpu_enable_fast_math=true"
    output = other.run(f"OMP_NUM_THREADS=1 {variables} dvc repro --force")
    assert other.ran(output) == STAGES
    assert other.run("git status --porcelain") == ""  # dvc.lock has the MD5 of each output


def test_a_refused_run_changes_no_output_and_no_lock_file(clone):
    clone.set("train.batch_size", 0)
    edit = 'lambda: (main(), open("stages/evaluate.py", "a").write("# edited"))'  # while the stage runs
    clone.replace("stages/evaluate.py", 'run("evaluate", main)', f'run("evaluate", {edit})')
    for command, message in (
        ("dvc repro", "train: params.yaml: "),
        (
            "sed -i 's/: mnist-5k  #/: mnist  #/' params.yaml && DATASET_MIRROR=/nowhere/a.npz dvc repro",
            "/nowhere/a.npz",
        ),
        ("dvc repro --single-item evaluate", "evaluate: stages/evaluate.py changed while the stage ran"),
    ):
        done = clone.attempt(command)
        assert (done.returncode != 0, message in done.stderr, "Traceback" in done.stderr) == (True, True, False)
    clone.run("git checkout -q params.yaml stages")
    assert clone.run("git status --porcelain") == ""
    assert "up to date" in clone.run("dvc status")


def test_the_plots_show_curves_and_the_errors_of_each_split(clone):
    def vega(plot: str) -> Any:
        return json.loads(clone.run(f"dvc plots show '{plot}' --show-vega 2>/dev/null"))

    clone.run("dvc plots show")
    page = clone.read("dvc_plots/index.html")
    assert all(name in page for name in ("misclassified.png", "Learning curve, accuracy"))
    assert "<DVC_METRIC" not in page  # every placeholder of a template is filled
    curve = vega("Learning curve, loss")
    assert {row["field"] for row in curve["data"]["values"]} == {"loss", "validation_loss"}
    matrix = vega("Confusion matrix by split")
    assert matrix["facet"]["row"]["field"] == "split"
    assert matrix["transform"][1]["calculate"] == "datum.predicted == datum.actual ? null : datum.images"
    rows = list(csv.DictReader(clone.read("evaluation/predictions.csv").splitlines()))
    assert matrix["data"]["values"] == [row | {"rev": "workspace"} for row in rows]


def test_a_released_model_comes_from_the_cache_of_the_project_or_from_a_remote(clone, tmp_path):
    plain, elsewhere = Clone(tmp_path / "plain"), Clone(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    first = (clone.folder / "models/model.onnx").read_bytes()
    clone.run(f"dvc remote add --default local {tmp_path / 'remote'} && dvc push")
    clone.commit("A remote")
    clone.run("git tag -a image-classifier@v1.0.0 -m Release")
    (clone.folder / "models/model.onnx").write_bytes(b"another model")
    clone.run("dvc commit --force export")
    clone.commit("Another model")
    clone.run("git tag -a image-classifier@v1.1.0 -m Release")
    clone.run(f"git clone -q --no-local {clone.folder} {plain.folder}")  # a clone has no cache

    def get(project: Clone, options: str = "") -> bytes:
        elsewhere.run(f"dvc artifacts get {project.folder} image-classifier --force {options}")
        return (elsewhere.folder / "model.onnx").read_bytes()

    assert get(clone) == b"another model"
    assert get(clone, "--rev v1.0.0") == first
    assert get(plain, "--rev v1.0.0") == first
    shutil.rmtree(elsewhere.folder)
