"""dvc.yaml matches the code: a stage lists exactly the files that it imports and the parameters that it reads."""

import importlib
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.clone import REPOSITORY, Clone
from tests.imports import imported_files

PIPELINE = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
FOLDERS = ("stages", "classifier")  # from which a stage may import
READ_BY_MODULES = (".css", ".html", ".js")


def files_behind(stage: str) -> set[str]:
    """The files of the project that a stage imports, directly or through other files, and its own.

    A module may read the files beside it that are not Python.
    """
    found: set[Path] = set()
    waiting = [REPOSITORY / f"stages/{stage}.py", *(REPOSITORY / folder / "__init__.py" for folder in FOLDERS)]
    while waiting:
        path = waiting.pop()
        if path not in found and path.relative_to(REPOSITORY).parts[0] in FOLDERS:
            found.add(path)
            waiting += imported_files(path)
    found |= {file for path in list(found) for file in path.parent.iterdir() if file.suffix in READ_BY_MODULES}
    return {path.relative_to(REPOSITORY).as_posix() for path in found}


def outputs(stage: str) -> list[str]:
    entries = STAGES[stage].get("outs", []) + STAGES[stage].get("metrics", [])
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_files_it_imports(stage):
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    assert listed == files_behind(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_exactly_the_section_of_params_that_it_reads(stage):
    module = importlib.import_module(f"stages.{stage}")
    assert STAGES[stage].get("params", []) == ([stage] if hasattr(module, "Parameters") else [])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_a_description_the_usual_command_and_persistent_outputs(stage):
    entry = STAGES[stage]
    assert entry["cmd"] == f"python -E -m stages.{stage}"
    assert len(entry["desc"].split()) > 20
    for out in entry.get("outs", []) + entry.get("metrics", []):
        assert next(iter(out.values()))["persist"] is True


def test_every_data_dependency_is_the_output_of_an_earlier_stage():
    written: set[str] = set()
    for stage, entry in STAGES.items():
        assert set(entry["deps"]) - files_behind(stage) <= written
        written |= set(outputs(stage))


def test_only_the_stages_after_training_open_the_test_arrays():
    readers = {stage for stage in STAGES if any("test_images" in dep for dep in STAGES[stage]["deps"])}
    assert readers == {"export", "evaluate"}


def test_the_artifact_and_the_plots_are_outputs_of_the_pipeline():
    written = {path for stage in STAGES for path in outputs(stage)}
    assert {artifact["path"] for artifact in PIPELINE["artifacts"].values()} <= written
    for plot in PIPELINE["plots"]:
        files = {plot} if isinstance(plot, str) else set(next(iter(plot.values()))["y"])
        assert files <= written


def test_only_train_imports_tensorflow():
    for stage in STAGES.keys() - {"train"}:
        sources = [(REPOSITORY / file).read_text() for file in files_behind(stage)]
        assert not any("import tensorflow" in source or "import keras" in source for source in sources)


@pytest.mark.slow
def test_dvc_freezes_a_stage_by_one_line_and_unfreezes_it_to_the_same_bytes(tmp_path):
    clone = Clone(tmp_path / "clone")
    (clone.folder / ".dvc").mkdir(parents=True)
    for name in (".dvc/.gitignore", ".dvc/config", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, clone.folder / name)
    clone.init("In the layout of DVC")
    clone.run(f"dvc freeze {' '.join(STAGES)}")
    assert clone.run("git diff HEAD --numstat").split() == [str(len(STAGES)), "0", "dvc.yaml"]
    assert all(stage["frozen"] for stage in YAML(typ="safe").load(clone.read("dvc.yaml"))["stages"].values())
    clone.run(f"dvc unfreeze {' '.join(STAGES)}")
    assert clone.run("git status --porcelain") == ""
