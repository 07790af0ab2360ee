import json
import re
import shutil

import pytest
import yaml

from classifier.data.catalogue import MNIST, MNIST_5K
from classifier.model.summary import main
from classifier.paths import METRICS, PROVENANCE
from tests.clone import Clone
from tests.conftest import REPOSITORY, describe

MEASURED = {"accuracy": 0.9937, "loss": 0.052967, "errors": 63}


@pytest.fixture
def here(project) -> Clone:
    """A repository with dvc.yaml and the description of MNIST, as the current directory."""
    describe(project)
    shutil.copy(REPOSITORY / "dvc.yaml", project)
    here = Clone(project)
    here.init("A checkout")
    here.run("mkdir models")
    return here


def test_the_end_of_make_repro_fits_80_columns_and_names_the_page(here, capsys):
    unequal = {"accuracy": 0.5, "balanced_accuracy": 0.251, "loss": 1.0, "errors": 5_000}
    METRICS.write_text(json.dumps({"validation": MEASURED, "test": unequal}))
    assert main([]) == 0
    printed = capsys.readouterr()
    assert [line.split() for line in printed.out.splitlines()[:3]] == [
        ["accuracy", "balanced", "accuracy", "loss", "errors"],
        ["validation", "0.9937", "0.0530", "63"],
        ["test", "0.5000", "0.2510", "1.0000", "5,000"],
    ]
    assert "open page/index.html in a browser" in printed.out.splitlines()[3]
    assert max(map(len, printed.out.splitlines())) <= 80
    assert printed.err == ""


def test_the_command_after_a_stand_in_restores_each_file_in_git_that_a_run_writes(here, capsys):
    stages = yaml.safe_load(here.read("dvc.yaml"))["stages"].values()
    written = [out for stage in stages for kind in ("outs", "metrics") for out in stage.get(kind, [])]
    in_git = ["dvc.lock", *(path for out in written for path, options in out.items() if "cache" in options)]

    def run_pipeline(text: str, requested: str | None) -> None:
        for name in in_git:
            here.put(name, text)
        describe(here.folder, MNIST_5K if requested else MNIST, requested)
        METRICS.write_text(json.dumps({"test": MEASURED, "run": {"errors": len(text)}}))

    run_pipeline("first", None)
    here.commit("Results on MNIST")
    run_pipeline("second", "mnist")
    main([])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make: these are results on a stand-in for the data set: ")
    assert here.run("git status --porcelain").count("\n") == len(in_git)
    here.run(re.findall("`(git .*?)`", line)[0])
    assert here.run("git status --porcelain") == ""
    describe(here.folder, MNIST_5K, "mnist")
    here.commit("Results on the stand-in")
    main([])
    assert capsys.readouterr().err == ""


def test_results_of_another_machine_are_explained_in_one_line_and_those_of_another_recipe_are_not(here, capsys):
    provenance = {"dataset": "mnist", "images": {}, "data": {}, "versions": {"keras": "3"}}

    def said(kernels: str, epochs: int, accuracy: float) -> str:
        PROVENANCE.write_text(json.dumps(provenance | {"parameters": {"epochs": epochs}, "kernels": kernels}))
        METRICS.write_text(json.dumps({"test": MEASURED | {"accuracy": accuracy}}))
        assert main([]) == 0
        return capsys.readouterr().err

    said("avx512_core_bf16", 2, 0.9937)
    here.commit("Results")
    assert said("avx2", 3, 0.9) == said("avx512_core_bf16", 2, 0.9936) == ""
    assert said("avx2", 2, 0.9935) == (
        "make: as expected, another machine gives other weights (kernels avx2 instead of avx512_core_bf16): test "
        "accuracy 0.9935, committed 0.9937; `git checkout HEAD -- metrics.json models/provenance.json` restores the "
        "committed results, `git commit --all` keeps these\n"
    )
