"""Seeds are trained until it is decided: which looks take place, what is trained, what is printed."""

import json
import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from review import decide
from review import training as runs
from review.decide import main
from review.results import Record
from review.seeds import parse_record
from review.statistics import PLAN
from tests.review.repository import Repository, noise, record
from tests.review.stand_in import PIPELINE, trained
from tests.review.workers import InProcess

FLIPS = [{30}, {31, 32}, {33}, {34, 35}, {36}, {37}, {38, 30}, {31}, {32, 34}, {39}]  # images that one seed misreads


def misread(count: int) -> list[set[int]]:
    """Ten seeds of a recipe, all of which misread the images below `count`."""
    return [set(range(count)) | flips for flips in FLIPS]


class Trainings:
    """What review.training would do: the seeds of each revision, and which were asked for."""

    def __init__(self) -> None:
        self.seeds: dict[str | None, Sequence[Any]] = {}
        self.asked: list[tuple[str | None, int]] = []
        self.failure: BaseException | None = None
        self.dataset = "mnist"
        self.place: dict[str, Any] = {}

    def load_recipe(self, _: Any, revision: str | None) -> SimpleNamespace:
        return SimpleNamespace(revision=revision, dataset=self.dataset)

    def measure(self, recipe: SimpleNamespace, seeds: range, **place: Any) -> Record:
        if self.failure:
            raise self.failure
        self.asked.append((recipe.revision, len(seeds)))
        self.place = place
        epochs = 5 if recipe.revision == "main" else 8
        return parse_record(record(*self.seeds[recipe.revision][: len(seeds)], epochs=epochs), "the record")


@pytest.fixture
def trainings(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """On main and on the branch head is one run of a recipe each, of seed 0; nothing is measured."""
    found = Trainings()
    for name in ("load_recipe", "measure"):
        monkeypatch.setattr(decide, name, getattr(found, name))
    repository.write(seed=0)
    repository.commit("seed 0")
    repository.branch("head", epochs=8, seed=0)
    return found


Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; return its exit status and what it prints on stdout, a sentence each."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        status = main(list(arguments))
        printed = capsys.readouterr()
        assert printed.err == ""
        assert max(map(len, printed.out.splitlines())) <= 80
        return status, printed.out.replace("\n  ", " ").splitlines()

    return run


@pytest.mark.parametrize(
    ("head", "looks", "verdict", "status"),
    [
        (1, [3], "better", 0),
        (20, [3], "worse", 1),
        (4, [3, 5], "better", 0),
        (16, [3, 5], "worse", 1),
        (11, [3, 5, 10], "undecided", 0),
        (10, [3, 5, 10], "undecided", 0),
    ],
)
def test_looks_go_on_until_one_decides_and_no_further(
    trainings: Trainings, run: Run, head: int, looks: list[int], verdict: str, status: int
) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(head)}
    found, lines = run("main", "head")
    assert found == status
    assert trainings.asked == [(name, seeds) for seeds in looks for name in ("main", "head")]
    *told, last = lines
    assert last.startswith(
        f"verdict: {'undecided between' if verdict == 'undecided' else f'`head` is {verdict} than'} "
    )
    assert last.endswith(f", by validation, {looks[-1]} seeds each")
    levels = [alpha for _, alpha in PLAN]
    for number, (seeds, alpha) in enumerate(zip(looks, levels, strict=False), start=1):
        announced, seen = told[2 * number - 2 : 2 * number]
        assert announced.startswith(f"decide: look {number} of 3: {seeds} seeds each")
        decided = verdict if seeds == looks[-1] else "undecided"
        assert seen.startswith(f"decide: look {number} of 3: ")
        assert re.search(rf"[-+]0\.\d{{4}} \(95 %: .* to .*\), p = [01]\.\d{{4}}; {decided} at p < {alpha:g}$", seen)
    assert len(told) == 2 * len(looks)


def test_the_levels_of_the_plan_decide_and_not_one_of_five_percent(trainings: Trainings, run: Run) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(14)}
    status, lines = run("main", "head")
    p_values = [float(found[1]) for line in lines if (found := re.search(r"p = ([\d.]+); undecided", line))]
    assert len(p_values) == 3
    assert all(alpha < p for p, (_, alpha) in zip(p_values, PLAN, strict=True))
    assert min(p_values) < 0.05
    assert status == 0


def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    repository: Repository, trainings: Trainings, refusal: Callable[..., str]
) -> None:
    repository.branch("other", dataset="mnist-5k")
    assert refusal("main", "other").startswith("`main` is of the data set mnist and `other` of mnist-5k, whose acc")
    assert refusal("main", "no-such-branch") == "unknown Git revision 'no-such-branch'"
    assert trainings.asked == []


def test_results_of_another_data_set_than_that_in_data_raw_are_refused_before_anything_is_trained(
    trainings: Trainings, refusal: Callable[..., str]
) -> None:
    trainings.dataset = "digits"
    assert refusal("main", "head") == "data/raw holds digits, the results are of mnist: `dvc repro download` first"
    assert trainings.asked == []


def test_runs_that_do_not_match_the_committed_results_give_no_verdict(
    repository: Repository, trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(1)}
    other = {"data/processed/train_images.npy": "e" * 32}

    def retrained() -> None:
        repository.write(epochs=8, seed=0)
        repository.keep(md5="f" * 32, training=other)

    repository.on("head", retrained)
    assert main(["main", "head"]) == 2
    printed = capsys.readouterr()
    assert "verdict" not in printed.out
    why = "it was measured with other files: data/processed/train_images.npy, stages/train.py"
    assert printed.err == f"decide: the runs do not match the results of `head`: {why}\n"


def test_two_runs_of_one_recipe_take_no_training(repository: Repository, trainings: Trainings, run: Run) -> None:
    repository.measure({0}, {1})
    repository.commit("measured")
    repository.run("git branch -f head main")
    assert run("main", "head") == (0, ["verdict: `head` is no worse than `main`: both are runs of one recipe"])
    assert trainings.asked == []


def test_each_look_tells_the_trainings_that_are_missing(trainings: Trainings, run: Run) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(11)}
    announced = [line for line in run("main", "head")[1] if "seeds each" in line and line.startswith("decide")]
    assert announced == [
        "decide: look 1 of 3: 3 seeds each, 6 to train",
        "decide: look 2 of 3: 5 seeds each, 4 to train",
        "decide: look 3 of 3: 10 seeds each, 10 to train",
    ]


def test_looks_that_were_taken_before_are_not_repeated(repository: Repository, trainings: Trainings, run: Run) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(11)}
    repository.measure(*misread(10)[:5])
    repository.commit("five seeds")
    repository.on("head", lambda: repository.measure(*misread(11)[:4], epochs=8))
    _, lines = run("main", "head")
    assert lines[0] == "decide: look 2 of 3: 5 seeds each, 1 to train"
    assert trainings.asked == [("main", 5), ("head", 5), ("main", 10), ("head", 10)]


def test_recipes_with_more_seeds_than_the_plan_has_are_looked_at_once(
    repository: Repository, trainings: Trainings, run: Run
) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(11)}
    repository.measure(*misread(10), {1}, {2})
    repository.commit("twelve seeds")
    repository.on("head", lambda: repository.measure(*misread(11), {1}, {2}, epochs=8))
    _, lines = run("main", "head")
    assert lines[0] == "decide: look 3 of 3: 10 seeds each, 0 to train"
    assert trainings.asked == [("main", 10), ("head", 10)]


def test_an_interruption_says_how_to_go_on(trainings: Trainings, capsys: pytest.CaptureFixture[str]) -> None:
    trainings.failure = KeyboardInterrupt()
    assert main(["main", "head"]) == 130
    printed = capsys.readouterr()
    assert printed.out == "decide: look 1 of 3: 3 seeds each, 6 to train\n"
    assert printed.err == "decide: interrupted; the runs that ended are kept, and the same command goes on\n"


def test_a_training_that_fails_is_one_line_and_no_verdict(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.failure = OSError("train: params.yaml: train.epochs must be a whole number")
    assert main(["main", "head"]) == 2
    printed = capsys.readouterr()
    assert "verdict" not in printed.out
    assert printed.err == "decide: train: params.yaml: train.epochs must be a whole number\n"


def test_trainings_take_place_on_the_workers_that_the_options_name(trainings: Trainings, run: Run) -> None:
    trainings.seeds = {"main": misread(10), "head": misread(1)}
    run("main", "head")
    assert trainings.place == {"scheduler": None, "workers": 2}
    run("main", "head", "--scheduler", "tcp://host:8786", "--workers", "3")
    assert trainings.place == {"scheduler": "tcp://host:8786", "workers": 3}


def test_the_seeds_of_this_folder_are_to_be_committed(
    repository: Repository, trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.seeds = {"main": misread(10), None: misread(1)}
    repository.write(epochs=8, seed=0)
    assert main(["main"]) == 0
    printed = capsys.readouterr()
    assert "verdict: this folder is better than `main`: " in printed.out
    expected = "decide: commit evaluation/seed_noise.json, which has the seeds of this folder\n"
    assert printed.err == expected


# Stages without TensorFlow: a model is its epochs and its seed, and misreads fewer images after more epochs.
STAGES = {
    "stages/preprocess.py": """\
from pathlib import Path

Path("data/processed").mkdir(parents=True, exist_ok=True)
Path("data/processed/train_images.npy").write_bytes(Path("data/raw/mnist.npz").read_bytes())
""",
    "stages/train.py": """\
import json, re
from pathlib import Path

text = Path("params.yaml").read_text()
Path("models").mkdir(exist_ok=True)
Path("models/model.keras").write_text(" ".join(re.search(f"{key}: ([0-9]+)", text)[1] for key in ("epochs", "seed")))
Path("models/provenance.json").write_text(json.dumps({"dataset": "mnist", "images": {"train": 200}}))
""",
    "stages/evaluate.py": """\
import json
from pathlib import Path

epochs, seed = map(int, Path("models/model.keras").read_text().split())
wrong = {*range(10 if epochs == 5 else 1), 30 + seed}
Path("evaluation").mkdir(exist_ok=True)
rows = [f"validation,{image},{image % 10},{(image + (image in wrong)) % 10},0.5" for image in range(40)]
Path("evaluation/predictions.csv").write_text("\\n".join(["split,image,actual,predicted,confidence", *rows, ""]))
Path("metrics.json").write_text(json.dumps({"validation": {"loss": 1 / (epochs + seed)}}))
""",
    "stages/__init__.py": "",
    "classifier/__init__.py": "",
    "dvc.yaml": PIPELINE,
    "data/raw/mnist.npz": "images",
    "data/raw/dataset.json": json.dumps({"dataset": "mnist", "requested": "mnist"}),
    ".gitignore": "/.dvc/tmp\n/.dvc/cache\n/.dvc/.gitignore\n__pycache__\n",
}


def test_a_branch_and_this_folder_are_trained_with_three_seeds_each_and_once_only(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "Engine", InProcess)
    for path, text in STAGES.items():
        repository.put(path, text)
    for epochs, wrong in ((5, {*range(10), 30}), (8, {0, 30})):
        repository.write(validation=wrong, test=None)
        repository.put("metrics.json", json.dumps({"validation": {"loss": 1 / epochs}}))
        repository.put("params.yaml", f"download:\n  dataset: mnist\ntrain:\n  epochs: {epochs}\n  seed: 0\n")
        if epochs == 5:
            repository.commit("stages")
    assert main(["main"]) == 0
    printed = capsys.readouterr().out
    assert trained(printed) == [0, 1, 2, 0, 1, 2]
    assert "noise: `main`: training seeds 0, 1, 2\n" in printed
    lines = printed.replace("\n  ", " ").splitlines()
    assert lines[0] == "decide: look 1 of 3: 3 seeds each, 6 to train"
    assert lines[-1].startswith("verdict: this folder is better than `main`: 2,250 fewer misread in 10,000 (95 %: ")
    (kept,) = json.loads(repository.read("evaluation/seed_noise.json"))["recipes"]
    assert kept["parameters"] == {"train.epochs": 8}
    assert [run["validation"]["misread"] for run in kept["seeds"]] == [[0, 30], [0, 31], [0, 32]]
    changed = [line for line in repository.run("git status --porcelain").splitlines() if ".dvc/" not in line]
    own = ["evaluation/predictions.csv", "metrics.json", "params.yaml"]  # written above
    assert changed == [*(f" M {path}" for path in own), "?? evaluation/seed_noise.json"]
    assert main(["main"]) == 0  # the same command again
    again = capsys.readouterr().out
    assert trained(again) == []
    assert again.replace("\n  ", " ").splitlines()[-2:] == lines[-2:]
    repository.put("evaluation/seed_noise.json", noise())
    assert main(["main"]) == 0  # the runs are kept apart from the file
    assert json.loads(repository.read("evaluation/seed_noise.json"))["recipes"] == [kept]
