"""The command on the embedded digits, with stages that really train, and with stages made in training/stand_in.py."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from review.noise import main
from tests.clone import Clone
from tests.review.repository import OLD, noise
from tests.review.stand_in import IMAGES, TRAIN, Project, md5, seeds_of, trained
from tests.sweep import project as sweep

SECTIONS = "expected the sections of a params.yaml, download with the key dataset"
COMMAND = "python -m review.noise --seeds 2"


@pytest.mark.slow
@pytest.mark.sweeps
def test_a_recipe_is_measured_beside_its_committed_run_and_again_with_the_same_bytes(clone: Clone) -> None:
    clone.set("download.dataset", "mnist-5k")
    clone.run("dvc repro")
    clone.commit("Ask for the embedded digits")
    output = clone.run(COMMAND)
    assert trained(output) == [1]  # the committed run is that of seed 0
    assert clone.run("git status --porcelain --untracked-files=all").split() == ["M", "evaluation/seed_noise.json"]
    assert "up to date" in clone.run("dvc status")
    *others, found = json.loads(clone.read("evaluation/seed_noise.json"))["recipes"]
    assert others == json.loads(clone.run("git show HEAD:evaluation/seed_noise.json"))["recipes"]
    assert found["dataset"] == "mnist-5k"
    assert found["parameters"]["train.epochs"] == 1
    assert "train.seed" not in found["parameters"]
    assert list(found["images"]) == ["validation", "test"]
    first, second = found["seeds"]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["model"] != second["model"]
    assert first["test"]["misread"] != second["test"]["misread"]
    metrics = json.loads(clone.read("metrics.json"))
    for split in ("validation", "test"):
        assert first[split]["loss"] == metrics[split]["loss"]
        assert len(first[split]["misread"]) == metrics[split]["errors"]
    assert re.search(r"noise: test 0\.\d{4} ± 0\.\d{4} over 2 seeds -> evaluation/seed_noise\.json", output)
    assert "noise: seed 1: validation accuracy 0." in output

    # Training gives what the pipeline gave, and what the first run of seed 1 gave.
    before = clone.read("evaluation/seed_noise.json")
    assert trained(clone.run(f"{COMMAND} --anew")) == [0, 1]
    assert clone.read("evaluation/seed_noise.json") == before
    clone.commit("Noise")
    assert clone.run("python -m review.verify").endswith("matches all 5 stages\n")


def test_a_number_of_workers_below_1_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--workers", "0"])
    assert capsys.readouterr().err.endswith("error: argument --workers: expected at least 1, got 0\n")


@pytest.mark.slow
def test_a_stage_that_refuses_is_told_in_its_own_words_and_nothing_is_kept(clone: Clone) -> None:
    clone.set("train.batch_size", 0)
    done = clone.attempt(COMMAND)
    assert done.returncode == 1
    expected = "train: params.yaml: train.batch_size must be a whole number of at least 1, got 0"
    assert done.stderr.splitlines() == [f"noise: {expected}"]
    assert clone.run("git status --porcelain").split() == ["M", "params.yaml"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Such a project after `dvc repro` with seed 1."""
    project = Project(tmp_path_factory.mktemp("results") / "project")
    project.make()
    project.gate.touch()
    project.run("dvc repro -q")
    project.commit("Results")
    return project


@pytest.fixture
def ran(stand_in: Project, results: Project) -> Project:
    """The project of `measure`, after `dvc repro` with seed 1."""
    shutil.copytree(results.folder, stand_in.folder, dirs_exist_ok=True)
    return stand_in


Measure = Callable[..., str]


@pytest.fixture
def measure(here: Project, capsys: pytest.CaptureFixture[str]) -> Measure:
    """Run the command in this process, with the gate open; it must exit with 0, and what it prints is returned."""

    def run(*arguments: str) -> str:
        status = main(list(arguments))
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    return run


def test_each_seed_is_kept_with_its_model_and_misread_images_and_with_what_trained_them(
    stand_in: Project, measure: Measure
) -> None:
    assert measure("--seeds", "3").splitlines() == [
        *(f"noise: seed {seed} of 0 to 2: training" for seed in range(3)),
        *(f"noise: seed {seed}: validation accuracy 0.9000" for seed in range(3)),
        "noise: validation 0.9000 ± 0.0000 over 3 seeds -> evaluation/seed_noise.json",
        "noise: test 0.8000 ± 0.0000 over 3 seeds -> evaluation/seed_noise.json",
    ]
    old, found = stand_in.records()
    assert old == OLD
    assert found == {
        "dataset": "mnist",
        "parameters": {"train.epochs": 5},
        "environment": {"kernels": "avx2"},
        "training": {"data/processed/train_images.npy": md5("images"), "stages/train.py": md5(TRAIN)},
        "images": {"validation": IMAGES, "test": IMAGES},
        "looks": [3],
        "seeds": seeds_of(0, 1, 2),
    }
    assert '"misread": [2, 9]' in stand_in.read("evaluation/seed_noise.json")


def test_the_same_command_again_trains_nothing_and_gives_the_same_bytes(stand_in: Project, measure: Measure) -> None:
    first = measure("--seeds", "3")
    file = stand_in.read("evaluation/seed_noise.json")
    again = measure("--seeds", "3")
    assert (trained(first), trained(again)) == ([0, 1, 2], [])
    assert again == "".join(line for line in first.splitlines(keepends=True) if not line.endswith("training\n"))
    assert stand_in.read("evaluation/seed_noise.json") == file
    assert stand_in.runs() == ["0", "1", "2"]


def test_more_seeds_are_added_to_those_there_are_and_each_number_is_a_look(stand_in: Project, measure: Measure) -> None:
    measure("--seeds", "2")
    assert trained(measure("--seeds", "4")) == [2, 3]
    (_, found) = stand_in.records()
    assert (found["looks"], found["seeds"]) == ([2, 4], seeds_of(0, 1, 2, 3))
    assert trained(measure("--seeds", "3")) == []  # which takes no seed away
    assert stand_in.records() == [OLD, found]


@pytest.mark.sweeps
def test_a_clone_that_has_the_file_alone_trains_only_the_seeds_that_are_added(
    stand_in: Project, measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure("--seeds", "2")
    stand_in.commit("Noise")
    stand_in.run("git clone -q . ../clone")
    copy = Project(tmp_path / "clone")
    monkeypatch.chdir(copy.folder)
    assert trained(measure("--seeds", "4")) == [2, 3]
    assert len(copy.runs()) == 2
    _, found = copy.records()
    assert (found["looks"], found["seeds"]) == ([2, 4], seeds_of(0, 1, 2, 3))


@pytest.mark.sweeps
def test_other_code_or_data_trains_every_seed(stand_in: Project, measure: Measure) -> None:
    measure("--seeds", "2")
    for path in ("stages/train.py", "data/raw/mnist.npz"):
        with (stand_in.folder / path).open("a") as file:
            file.write("# changed\n")
        assert trained(measure("--seeds", "2")) == [0, 1]
        assert stand_in.records()[1]["looks"] == [2]


def test_after_a_change_of_code_that_keeps_the_model_only_added_seeds_are_trained(
    ran: Project, measure: Measure
) -> None:
    measure("--seeds", "2")
    ran.replace("stages/train.py", "import json", "import json  # a comment\nimport json")
    ran.run("dvc repro -q")
    assert trained(measure("--seeds", "3")) == [2]
    _, found = ran.records()
    assert (found["seeds"], found["training"]["stages/train.py"]) == (
        seeds_of(0, 1, 2),
        md5(ran.read("stages/train.py")),
    )


@pytest.mark.parametrize("kept", [True, pytest.param(False, marks=pytest.mark.sweeps)])
def test_seeds_of_another_environment_are_trained_again_and_not_mixed(
    stand_in: Project, measure: Measure, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """As after a change of processor; `kept` are the runs in .dvc/tmp."""
    monkeypatch.setenv("ELSEWHERE", "0 1 2")
    measure("--seeds", "3")
    assert stand_in.records()[1]["environment"] == {"kernels": "avx512_core"}
    assert trained(measure("--seeds", "3")) == []  # nothing shows that this is another machine
    monkeypatch.delenv("ELSEWHERE")
    if not kept:
        stand_in.forget()
    assert trained(measure("--seeds", "4")) == [3, 0, 1, 2]
    _, found = stand_in.records()
    assert (found["environment"], found["looks"], found["seeds"]) == ({"kernels": "avx2"}, [4], seeds_of(0, 1, 2, 3))
    assert trained(measure("--seeds", "4")) == []


def test_an_environment_that_changes_between_two_trainings_makes_no_record(
    stand_in: Project, measure: Measure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ELSEWHERE", "1")
    assert main(["--seeds", "3"]) == 1
    assert capsys.readouterr().err == (
        "noise: `kernels` changed between the trainings of seeds 0 and 1: measure again, on machines of one kind\n"
    )
    assert stand_in.records() == [OLD]
    monkeypatch.delenv("ELSEWHERE")
    assert trained(measure("--seeds", "3")) == [1, 2]
    assert stand_in.records()[1]["seeds"] == seeds_of(0, 1, 2)


@pytest.mark.sweeps
def test_a_measured_seed_is_trained_again_on_demand(stand_in: Project, measure: Measure) -> None:
    measure("--seeds", "3")
    before = stand_in.read("evaluation/seed_noise.json")
    assert trained(measure("--seeds", "3", "--anew")) == [0, 1, 2]
    assert stand_in.read("evaluation/seed_noise.json") == before
    assert trained(measure("--seeds", "2", "--anew")) == [0, 1]
    _, found = stand_in.records()
    assert (found["looks"], found["seeds"]) == ([2], seeds_of(0, 1))


def test_the_spread_says_that_the_seeds_come_from_another_machine_than_the_committed_results(
    ran: Project, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSEWHERE", "0 1 2")
    told = measure("--seeds", "2")
    assert trained(told) == [0, 1]
    where = "seeds from another machine than the results (`kernels`)"
    assert f"over 2 seeds, {where} -> evaluation/seed_noise.json\n" in told
    assert ran.records()[1]["environment"] == {"kernels": "avx512_core"}


@pytest.mark.sweeps
def test_a_change_of_a_parameter_makes_another_recipe_and_leaves_params_yaml(
    stand_in: Project, measure: Measure
) -> None:
    measure("--seeds", "2")
    before = stand_in.read("params.yaml")
    assert trained(measure("--seeds", "2", "-S", "train.epochs=9")) == [0, 1]
    assert [record["parameters"] for record in stand_in.records()[1:]] == [{"train.epochs": 5}, {"train.epochs": 9}]
    assert trained(measure("--seeds", "2", "-S", "train.seed=7")) == []  # the seed is not part of a recipe
    assert stand_in.read("params.yaml") == before


@pytest.mark.sweeps
def test_the_committed_results_are_a_run_of_their_recipe_and_of_no_other(ran: Project, measure: Measure) -> None:
    assert trained(measure("--seeds", "2")) == [0]
    assert ran.records()[1]["seeds"] == seeds_of(0, 1)
    ran.replace("params.yaml", "seed: 1", "seed: 7")
    ran.run("dvc repro -q")
    assert trained(measure("--seeds", "2")) == []
    found = ran.records()[1]
    assert (found["looks"], found["seeds"]) == ([2, 3], seeds_of(0, 1, 7))
    assert trained(measure("--seeds", "2", "-S", "train.epochs=9")) == [0, 1]


def edited(path: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.replace(path, old, new)


@pytest.mark.parametrize(
    "change",
    [
        edited("evaluation/predictions.csv", "test,5,1,1", "test,5,1,2"),
        edited("params.yaml", "seed: 1", "seed: 0"),
        edited("stages/evaluate.py", "json.dumps(", "json.dumps( "),
        lambda project: (project.folder / "dvc.lock").unlink(),
    ],
)
def test_committed_results_that_dvc_lock_does_not_match_are_no_run(
    ran: Project, measure: Measure, change: Callable[[Project], object]
) -> None:
    change(ran)
    assert trained(measure("--seeds", "2")) == [0, 1]


def test_a_lock_that_is_cut_off_is_refused_before_anything_is_trained(
    ran: Project, capsys: pytest.CaptureFixture[str], measure: Measure
) -> None:
    text = ran.read("dvc.lock")
    (ran.folder / "dvc.lock").write_text(text[: text.index("md5:") + 2])
    assert main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("noise: dvc.lock is not a whole lock file, ")
    assert printed.err.count("\n") == 1


@pytest.mark.sweeps
def test_another_evaluation_of_the_same_models_reads_every_seed_again(ran: Project, measure: Measure) -> None:
    measure("--seeds", "2")
    ran.replace("stages/evaluate.py", '{"validation": {seed}', '{"validation": {seed + 1}')
    ran.run("dvc repro -q")
    assert trained(measure("--seeds", "2")) == [0]
    assert [run["validation"]["misread"] for run in ran.records()[1]["seeds"]] == [[1], [2]]


@pytest.mark.sweeps
def test_committed_results_of_another_environment_do_not_replace_the_runs_of_this_one(
    stand_in: Project, measure: Measure
) -> None:
    measure("--seeds", "3")
    stand_in.forget()
    stand_in.run("dvc repro -q", ELSEWHERE="1")
    # Seed 0 shows that this is the machine of the file, from which seeds 1 and 2 are known.
    assert trained(measure("--seeds", "4")) == [0, 3]
    _, found = stand_in.records()
    assert (found["environment"], found["looks"]) == ({"kernels": "avx2"}, [3, 4])
    assert found["seeds"] == seeds_of(0, 1, 2, 3)


@pytest.mark.sweeps
def test_of_two_measurements_of_one_recipe_at_once_one_runs_and_the_other_names_it(
    stand_in: Project,
) -> None:
    first = stand_in.start()
    second = stand_in.attempt(stand_in.command)
    assert second.returncode == 1
    told = f"noise: process {first.pid} (noise) is still running in this folder with this recipe; "
    assert second.stderr == told + "wait until it ends, or end it\n"
    stand_in.gate.touch()
    printed = first.communicate(timeout=60)[0]
    assert first.returncode == 0, printed
    assert stand_in.records()[1]["seeds"] == seeds_of(0, 1, 2)


@pytest.mark.sweeps
def test_a_stage_ends_with_the_measurement_that_started_it_and_the_next_one_goes_on(
    stand_in: Project,
) -> None:
    first = stand_in.start()
    orphan = psutil.Process(stand_in.waiting())
    first.kill()
    first.communicate(timeout=20)
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running()
    stand_in.gate.touch()
    stand_in.run(stand_in.command)
    assert stand_in.records()[1]["seeds"] == seeds_of(0, 1, 2)


@pytest.mark.sweeps
def test_an_interruption_keeps_the_runs_that_ended_and_the_next_measurement_goes_on(stand_in: Project) -> None:
    stand_in.command += " --workers 1"  # so seed 0 has ended when seed 1 waits
    first = stand_in.start(WAIT="1")
    os.killpg(first.pid, signal.SIGINT)  # Ctrl-C reaches the command and its stage
    printed = first.communicate(timeout=20)[0]
    assert first.returncode == 130
    assert printed.endswith("noise: interrupted; the runs that ended are kept, and the same command goes on\n")
    assert stand_in.runs() == ["0"]
    assert stand_in.records() == [OLD]
    stand_in.gate.touch()
    assert trained(stand_in.run(stand_in.command)) == [1, 2]
    assert stand_in.records()[1]["seeds"] == seeds_of(0, 1, 2)


class Shared(Project):
    """The project with remotes, and a Dask cluster whose workers have folders of their own."""

    share, cluster = sweep.Project.share, sweep.Project.cluster


@pytest.mark.sweeps
def test_seeds_are_trained_on_a_cluster_and_then_known_here(ran: Project) -> None:
    shared = Shared(ran.folder)
    shared.share()  # type: ignore[misc]
    shared.gate.touch()
    command = "python ../driver.py --scheduler"
    with shared.cluster(workers=2) as address:  # type: ignore[misc]
        assert sorted(trained(shared.run(f"{command} {address} --seeds 3"))) == [0, 2]
        assert shared.records()[1]["seeds"] == seeds_of(0, 1, 2)
        # What noise itself has written need not be committed.
        assert trained(shared.run(f"{command} {address} --seeds 4")) == [3]
        assert (shared.records()[1]["looks"], shared.records()[1]["seeds"]) == ([3, 4], seeds_of(0, 1, 2, 3))
        shared.run("git checkout -q evaluation/seed_noise.json")
        assert trained(shared.run("python ../driver.py --seeds 4")) == []  # here, without the cluster
        shared.run(f"git clone -q -b main {shared.folder.parent}/git ../colleague")
        colleague = Shared(shared.folder.parent / "colleague")
        assert trained(colleague.run(f"{command} {address} --seeds 4")) == []
        assert colleague.records() == shared.records()
        assert len(colleague.runs()) == 3
        before = len(shared.run("git ls-remote origin 'refs/exps/*'").splitlines())
        assert sorted(trained(shared.run(f"{command} {address} --seeds 2 --anew"))) == [0, 1]
        assert len(shared.run("git ls-remote origin 'refs/exps/*'").splitlines()) == before + 2
        shared.replace("stages/train.py", "import json", "import json  # changed")
        done = shared.attempt(f"{command} {address} --seeds 2")
        assert (done.returncode, done.stdout.count(": training")) == (1, 2)
        assert done.stderr.startswith("noise: stages/train.py is not as committed, and a cluster runs commits: ")


@pytest.mark.sweeps
def test_an_experiment_that_was_removed_is_trained_again_unless_the_file_has_the_run(
    stand_in: Project, measure: Measure
) -> None:
    measure("--seeds", "2")
    stand_in.forget()
    assert trained(measure("--seeds", "3")) == [2]
    stand_in.run("git checkout -q evaluation/seed_noise.json")
    assert trained(measure("--seeds", "3")) == [0, 1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "Expecting value"),
        (noise({"dataset": "mnist"}), "recipe 1: expected the keys dataset, a name, and parameters"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line_before_anything_is_trained(
    stand_in: Project, measure: Measure, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    (stand_in.folder / "evaluation/seed_noise.json").write_text(text)
    assert main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"noise: evaluation/seed_noise.json of this folder: {reason}")
    assert printed.err.count("\n") == 1
    assert stand_in.read("evaluation/seed_noise.json") == text


@pytest.mark.parametrize(
    ("arguments", "source", "message"),
    [
        ([], None, "data/raw/dataset.json is missing: `dvc repro download` fetches the data set first"),
        ([], "mnist-5k", "data/raw holds mnist-5k, the recipe asks for mnist: `dvc repro download` first"),
        (["nowhere.yaml"], "mnist", "nowhere.yaml: no such file; it must be a params.yaml"),
        (["pyproject.toml"], "mnist", f"pyproject.toml: {SECTIONS}"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], source: str | None, message: str
) -> None:
    Path("pyproject.toml").write_text("[]")
    if source:
        Path("data/raw").mkdir(parents=True)
        Path("data/raw/dataset.json").write_text(json.dumps({"dataset": source, "requested": source}))
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"noise: {message}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.epoch=9", ""),
        ("train=9", ""),
        ("epochs=9", ""),
        ("train.epochs", ""),
        ("trian.epochs=9", ""),
        ("", ""),
        ("train.filters.0=9", ""),
        ("train.epochs=]", "while parsing"),
        ("train.epochs=2020-13-01", "month must be in 1..12"),
    ],
)
def test_a_change_that_params_yaml_does_not_have_or_that_is_no_value_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    before = Path("params.yaml").read_text()
    assert main(["-S", "train.shift=0", "-S", change]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"noise: -S {change}: ")
    assert (message or "expected SECTION.KEY=VALUE of a parameter in params.yaml") in printed
    assert printed.count("\n") == 1
    assert Path("params.yaml").read_text() == before


@pytest.mark.parametrize("value", ["2026-01-31", ".nan", ".inf"])
def test_a_change_to_a_value_that_a_recipe_cannot_hold_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["-S", f"train.epochs={value}"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("noise: params.yaml: expected texts, numbers, lists and true, false or null: ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"download: {section}\ntrain: {{}}", SECTIONS) for section in ("null", "{}", "mnist", "2026-01-31")),
        ("download: {dataset: mnist}", SECTIONS),
        ("download: {dataset: 2026-01-31}\ntrain: {}", "expected texts, numbers, lists and true, false or null: "),
        ("download: {dataset: mnist}\ntrain: {begun: 2026-01-31}", "expected texts, numbers, lists and true, false"),
        ("download: {dataset: mnist}\ntrain: {epochs: .nan}", "expected texts, numbers, lists and true, false"),
        ("train: ]", "not valid YAML: while parsing"),
    ],
)
def test_a_recipe_of_another_form_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    Path("recipe.yaml").write_text(text)
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/dataset.json").write_text(json.dumps({"dataset": "mnist", "requested": "mnist"}))
    assert main(["recipe.yaml"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"noise: recipe.yaml: {message}")
    assert printed.count("\n") == 1


def test_one_seed_has_no_deviation_and_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--seeds", "1"])
    assert stopped.value.code == 2
    assert "a standard deviation takes at least 2 seeds" in capsys.readouterr().err
