"""The command on small repositories made here: what it prints, what it refuses, and how it exits."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from classifier.data.catalogue import MNIST
from classifier.data.data_set import Array
from review.compare import main
from review.text import MOST_IMAGES
from tests.conftest import REPOSITORY, describe
from tests.review.repository import IMAGES, TRAINING, Change, Repository, lock, model, put, record, remove, write

Compare = Callable[..., tuple[int, str]]

FLIPS = [{30}, {31, 32}, {33}, {34, 35}, {36}]  # images that one seed alone misreads


def misread(count: int) -> list[set[int]]:
    """Five seeds of a recipe, all of which misread the images below `count`."""
    return [set(range(count)) | flips for flips in FLIPS]


BASE = misread(10)


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Compare:
    """Run the command; return its exit status and what it prints on stdout, each sentence on one line."""

    def run(*arguments: str) -> tuple[int, str]:
        status = main(list(arguments))
        printed = capsys.readouterr()
        assert printed.err == ""
        if "--json" in arguments:
            json.loads(printed.out, parse_constant=pytest.fail)
        elif "--markdown" not in arguments:
            assert max(map(len, re.sub("\033.*?m", "", printed.out).splitlines())) <= 80
        return status, re.sub(r"\n  (?! *95 %)", " ", printed.out)

    return run


@pytest.fixture
def measured(repository: Repository) -> Repository:
    """On main five seeds are measured; the branch `once` is one run of another recipe, which misreads four images."""
    repository.measure(*BASE)
    repository.commit("measured")
    repository.branch("once", validation=set(range(4)), epochs=8)
    return repository


def other(repository: Repository, name: str, seeds: Sequence[Any], **changes: Any) -> None:
    """Commit another recipe on a branch from main, with its seeds, and those of main as they are."""
    repository.on(name, lambda: repository.measure(*seeds, **{"others": [record(*BASE)], "epochs": 8} | changes))


def test_two_recipes_are_compared_in_full(measured: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    losses = [0.10, 0.11, 0.12, 0.11, 0.10]
    measured.measure(*BASE, loss=losses, others=[record(*BASE, epochs=9)])
    measured.commit("losses")
    better = {"epochs": 8, "looks": [3, 5], "loss": [loss / 2 for loss in losses]}
    measured.on("better", lambda: measured.measure(*misread(1), **better))
    assert main(["main", "better"]) == 0
    commits = [measured.run(f"git rev-parse --short=7 {name}").strip() for name in ("main", "better")]
    expected = f"""\
verdict: `better` is better than `main`: 2,250 fewer misread in 10,000 (95 %:
  939 to 3,561), by validation, 5 seeds each

base: `main` ({commits[0]}): accuracy 0.7150 ± 0.0137 over 5 seeds
head: `better` ({commits[1]}): accuracy 0.9400 ± 0.0137 over 5 seeds
difference: +0.2250 (95 %: +0.0939 to +0.3561), p = 0.0008
2 recipes were judged against base on these images: better takes p < 0.025
this is look 2 at head (3, then 5 seeds): each look adds risk; `review.decide`
  plans them
loss: -0.0540 (95 %: -0.0643 to -0.0437), over seeds alone (Welch's t-test, p <
  0.0001)

parameter     base  head
train.epochs     5     8

metric                base  head  difference
validation.accuracy  0.725  0.95      +0.225
validation.errors       11     2          -9

the two committed models        validation
images                                  40
accuracy of base                    0.7250
  95 % interval           0.5717 to 0.8389
accuracy of head                    0.9500
  95 % interval           0.8350 to 0.9862
only base is right                       0
only head is right                       9
McNemar's exact test            p = 0.0039

class (+ only head, - only base)  validation
"""
    classes = "".join(f"{label}                                      +1 -0\n" for label in range(1, 10))
    note = "\ntest images: not shown; `--final` shows them, once, when the choice is made\n"
    assert capsys.readouterr().out == expected + classes + note


def test_no_line_is_longer_than_80_characters_and_no_more_than_eight_say_why(
    repository: Repository, compare: Compare
) -> None:
    long = "/".join(["x" * 200, "y" * 99])
    repository.measure(*BASE, train={"k" * 180: "v" * 500})
    document = json.loads(repository.read("metrics.json"))
    repository.put("metrics.json", json.dumps(document | {"m" * 190: 1e300, "n" * 190: {"o": -1e-300}}))
    repository.commit("long")
    others = [record(*BASE, epochs=9, train={"k": number}) for number in range(9)]
    repository.on(long, lambda: repository.measure(*misread(12), looks=[1, 2, 3, 4, 5], others=others, epochs=8))
    for arguments in (["main", long], [long, "main"], [long, "--final"]):
        assert compare(*arguments)[1].startswith("verdict: ")  # the fixture counts the characters
        assert 3 <= len(json.loads(compare(*arguments, "--json")[1])["reasons"]) <= 8


@pytest.mark.parametrize(
    ("head", "margin", "verdict", "line", "stops"),
    [
        (1, "0.01", "better", "`head` is better than `main`: 2,250 fewer misread in 10,000 (95 %: ", ()),
        (20, "0.01", "worse", "`head` is worse than `main`: 2,500 more misread in 10,000 (95 %: ", (0, 1, 2)),
        (11, "0.01", "undecided", "undecided between `head` and `main`: -0.0250 (95 %: -0.0", (1, 2)),
        (11, "0.2", "no worse", "`head` is no worse than `main` by more than 0.2: -0.0250 (95 %: -0.0", (1,)),
        (20, "0.9", "no worse", "`head` is no worse than `main` by more than 0.9: -0.2500 (95 %: -0.", (1,)),
    ],
)
def test_the_verdict_on_two_recipes_and_the_gates_that_it_stops(
    measured: Repository, compare: Compare, head: int, margin: str, verdict: str, line: str, stops: tuple[int, ...]
) -> None:
    other(measured, "head", misread(head))
    status, text = compare("main", "head", "--margin", margin)
    assert status == 0
    assert text.startswith(f"verdict: {line}")
    assert text.splitlines()[0].endswith(", by validation, 5 seeds each")
    assert json.loads(compare("main", "head", "--json", "--margin", margin)[1])["verdict"] == verdict
    assert bool(
        re.search(r" seeds each would .*; no number of seeds gets below ±0\.\d{4} with these 40 images\n", text)
    ) == (verdict == "undecided")
    gates = (["--fail-if", "worse"], ["--fail-unless", "better"], ["--fail-unless", "no-worse"])
    statuses = [compare("main", "head", "--margin", margin, *gate)[0] for gate in gates]
    assert tuple(number for number, status in enumerate(statuses) if status == 1) == stops


def test_one_run_of_a_recipe_is_provisional_and_decides_only_what_is_far_apart(
    measured: Repository, compare: Compare
) -> None:
    measured.branch("bad", validation=set(range(18)), epochs=8)
    measured.branch("terrible", validation=set(range(40)), epochs=8)
    for base, head, single, verdict in (
        ("main", "once", "head", "undecided"),
        ("once", "main", "base", "undecided"),
        ("main", "bad", "head", "undecided"),
        ("main", "terrible", "head", "worse"),
    ):
        _, text = compare(base, head)
        counts = {"head": "5 and 1", "base": "1 and 5"}[single]
        assert text.splitlines()[0].endswith(f", by validation, {counts} seeds, provisional")
        assert f"\nprovisional: {single} has one seed, " in text
        assert f": better or worse takes p < 0.000001; `make noise` on the side of {single} measures its own\n" in text
        document = json.loads(compare(base, head, "--json")[1])
        assert document["splits"]["validation"]["recipes"]["provisional"] is True
        assert (document["verdict"], compare(base, head, "--fail-if", "worse")[0]) == (verdict, verdict == "worse")
    assert compare("main", "bad", "--margin", "0.4", "--fail-unless", "no-worse")[0] == 1  # within its limits of 95 %


def test_one_run_of_each_recipe_is_two_models_and_says_nothing_of_the_recipes(
    repository: Repository, compare: Compare
) -> None:
    repository.branch("one", validation={0}, epochs=8)
    status, text = compare("main", "one", "--margin", "0.9", "--fail-unless", "no-worse")
    assert status == 1
    assert text.startswith("verdict: undecided: `one` and `main` are two models, one run of each recipe\n\nbase: ")
    assert "\nthe recipes: unknown; another seed changes the accuracy too, and `make noise` measures by h" in text
    assert not re.search("\n(difference|loss|provisional): ", text)
    counts = "base alone reads 0 right, head alone 9: +0.2250 (95 %: +0.0737 to +0.2250)"
    assert f"\nthese two models: {counts}; McNemar's exact test, p = 0.0039\n" in text


CHANGED = TRAINING | {"stages/train.py": "c" * 32}


@pytest.mark.parametrize(
    ("lock_of_head", "results", "one_recipe"),
    [
        (lock(model(1)), {"validation": set(range(40)), "seed": 1}, True),  # another seed
        (lock(model(0), CHANGED), {"validation": BASE[0], "seed": 0}, True),  # code that changes no model
        (lock("f" * 32, CHANGED), {"validation": set(range(4)), "seed": 0}, False),  # code that changes the model
        (lock(model(0), CHANGED), {"validation": set(range(20)), "seed": 0}, False),  # another file of predictions
        (lock(model(0), command="echo 3"), {"validation": set(range(20)), "seed": 0}, False),
        (lock(model(0), evaluation={"stages/evaluate.py": "c" * 32}), {"validation": {1}, "seed": 7}, False),
    ],
)
def test_two_runs_of_one_recipe_are_never_better_or_worse(
    measured: Repository, compare: Compare, lock_of_head: str, results: dict[str, Any], one_recipe: bool
) -> None:
    def change() -> None:
        measured.write(**results)
        measured.put("dvc.lock", lock_of_head)

    measured.on("head", change)
    _, text = compare("main", "head")
    if one_recipe:
        assert text.startswith("verdict: `head` is no worse than `main`: both are runs of one recipe\n")
        assert "these two models: base alone reads " in text
        assert "the recipes: unknown" not in text
        assert compare("main", "head", "--fail-unless", "better")[0] == 1
        assert compare("main", "head", "--margin", "0.001", "--fail-unless", "no-worse")[0] == 0
    else:
        assert text.startswith("verdict: undecided")


def test_what_a_branch_writes_changes_nothing_of_what_base_measured(measured: Repository, compare: Compare) -> None:
    forged = [BASE[0], set(range(40))]  # a noise in which any difference disappears
    other(measured, "worse", misread(20), others=[record(*forged)])
    status, text = compare("main", "worse", "--fail-if", "worse")
    assert status == 1
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7150 ± 0\.0137 over 5 seeds\n", text)


def test_a_measurement_that_does_not_hold_is_not_used_and_says_why(measured: Repository, compare: Compare) -> None:
    measured.keep(record({0}, *BASE[1:]))
    measured.commit("kept")
    _, text = compare("main", "once")
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7250 over 1 seed; its measurement is stale: it says ", text)
    assert text.startswith("verdict: undecided: `once` and `main` are two models, one run of each recipe\n")
    measured.keep(record(*BASE, epochs=3), record(*BASE, dataset="mnist-5k"))
    measured.commit("of another recipe, and of other data")
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7250 over 1 seed\n", compare("main", "once")[1])


def test_seeds_of_another_machine_count_and_are_said_to_be_so(measured: Repository, compare: Compare) -> None:
    measured.measure(*BASE, environment={"kernels": "avx512_core", "threads": 2})
    measured.write(validation=BASE[0], seed=0, environment={"kernels": "avx2", "threads": 4})
    measured.put("dvc.lock", lock("e" * 32))  # other bytes of the same files
    measured.commit("Results of another machine")
    assert "± 0.0137 over 5 seeds; seeds from another machine (`kernels`, `threads`)\n" in compare("main", "once")[1]


@pytest.mark.parametrize(("count", "better"), [(1, "better"), (40, "undecided")])
def test_the_more_recipes_were_judged_the_more_better_takes_and_worse_takes_the_same(
    measured: Repository, compare: Compare, count: int, better: str
) -> None:
    others = [record(*BASE), *(record(0.5, 0.6, epochs=100 + number) for number in range(count - 1))]
    others += [record(0.5, 0.6, epochs=200, dataset="fashion")]  # other images
    for head, verdict in ((3, better), (17, "worse")):
        other(measured, "head", misread(head), others=others)
        document = json.loads(compare("main", "head", "--json")[1])
        assert 0.05 / 40 < document["splits"]["validation"]["recipes"]["p"] < 0.05
        assert (document["recipes"], document["verdict"]) == (count, verdict)


def test_no_number_of_test_images_is_shown_before_the_final_look(measured: Repository, compare: Compare) -> None:
    wrong = [set(range(count)) for count in (7, 8, 9, 10, 11)]  # accuracies 0.825, 0.8, ...
    measured.measure(*BASE, test=wrong)
    measured.commit("test images too")
    better = [set(range(count)) for count in (1, 2, 3, 4, 5)]  # 0.975, 0.95, ...
    other(measured, "head", misread(10), test=better, others=[record(*BASE, test=wrong)])
    for form in ([], ["--markdown"], ["--json"]):
        _, hidden = compare("main", "head", *form)
        _, final = compare("main", "head", "--final", *form)
        for number in ("0.825", "0.975", "test.errors", "test.accuracy"):
            assert number not in hidden
            assert number in final
        assert ("test images: not shown; " in hidden) == ("test images: each look at them makes " in final)
    document = json.loads(final)
    assert document["splits"]["test"]["head"] == {
        "seeds": 5,
        "accuracy": 0.925,
        "standard_deviation": pytest.approx(stdev([1, 2, 3, 4, 5]) / IMAGES),
    }
    assert (document["verdict"], document["decided_by"]) == ("undecided", "validation")


def test_test_images_decide_only_where_no_side_has_validation_images(
    repository: Repository, compare: Compare, refusal: Callable[..., str]
) -> None:
    repository.branch("validated")
    repository.write(validation=None, test=set(range(10)))
    repository.commit("older")
    repository.branch("newer", validation=None, test=set(range(20)), epochs=8)
    _, text = compare("main", "newer")
    assert "\ntest.errors" in text
    assert "--final" not in text
    assert json.loads(compare("main", "newer", "--json")[1])["decided_by"] == "test"
    expected = "only `validated` has predictions of validation images, and test images are not for choosing among "
    assert refusal("validated", "main").startswith(expected)
    assert refusal("main", "validated").endswith(" by preprocess.validation_images, and `dvc repro`")


def test_losses_that_do_not_compare_are_said(measured: Repository, compare: Compare) -> None:
    other(measured, "smooth", misread(12), train={"label_smoothing": 0.1})
    other(measured, "equal", misread(12))
    for name, why in (
        ("smooth", "the recipes have different label smoothing\n"),
        ("equal", "that takes at least 2 seed"),
    ):
        assert f"\nloss: not compared, because {why}" in compare("main", name)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-unless", "no-worse"], "--fail-unless no-worse takes --margin: how much less accuracy does not matt"),
        (["--margin", "2"], "--margin: expected an accuracy between 0 and 1, such as 0.002, got 2"),
        (["--margin", "nan"], "--margin: expected an accuracy between 0 and 1, such as 0.002, got nan"),
        (["--fail-if", "worse", "--fail-unless", "better"], "not allowed with argument --fail-if"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["main", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_markdown_has_the_verdict_first_and_tables_that_github_draws(measured: Repository, compare: Compare) -> None:
    measured.measure(*misread(1), epochs=8, train={"note": "a|b"})
    verdict, why, *tables, _ = compare("main", "--markdown")[1].split("\n\n")
    assert verdict.startswith("**verdict: this folder is better than `main`: 2,250 fewer misread in 10,000 (95 %: ")
    assert [line.split(":")[0] for line in why.splitlines()] == ["- base", "- head", "- difference", "- loss"]
    header = "| parameter | base | head |\n| --- | ---: | ---: |\n"
    assert tables[0] == header + "| `train.epochs` | 5 | 8 |\n| `train.note` | absent | `'a\\|b'` |"
    rows = ("| `validation.errors` | 11 | 2 | -9 |", "| only head is right | 9 |", "| `9` | +1 -0 |")
    assert [row in table.splitlines() for row, table in zip(rows, tables[1:], strict=True)] == [True] * 3


def test_json_has_a_documented_structure_without_nan(repository: Repository, compare: Compare) -> None:
    repository.put("params.yaml", "train:\n  epochs: 5.0\n  filters: null\n  begun: 2026-01-31\n")
    document = json.loads(compare("main", "--json", "--final", "--margin", "0.002")[1])
    assert list(document.items())[:5] == [
        *(("verdict", "undecided"), ("decided_by", "validation"), ("one_recipe", False), ("recipes", 1)),
        ("margin", 0.002),
    ]
    sha = repository.run("git rev-parse HEAD").strip()
    assert document["base"] == {"revision": "main", "commit": sha, "dataset": "mnist", "train_images": 200}
    assert document["head"] == {"revision": None, "commit": None, "dataset": "mnist", "train_images": 200}
    assert document["parameters"]["train.epochs"] == {"base": 5, "head": 5.0}  # a change of the type alone
    assert document["parameters"]["train.filters"] == {"base": [32, 64], "head": None}
    assert document["metrics"]["test.accuracy"] == {"base": 0.75, "head": 0.75, "difference": 0.0}
    split = document["splits"]["test"]
    assert (split["recipes"], split["base"]) == (None, {"seeds": 1, "accuracy": 0.75, "standard_deviation": None})
    assert split["models"]["classes"]["9"] == {"images": 4, "only_base": 0, "only_head": 0}
    assert document["reasons"][0].startswith("base: main (")


def test_json_has_the_images_that_the_seeds_read_most_differently(measured: Repository, compare: Compare) -> None:
    other(measured, "head", [{0, 20}, {0, 20}, {1, 20}, {0, 20}])
    images = json.loads(compare("main", "head", "--json")[1])["images"]
    assert images[0] == {"image": 2, "actual": 2, "base_reads": 3, "head_reads": 2, "base": 5, "head": 0}
    assert {"image": 20, "actual": 0, "base_reads": 0, "head_reads": 1, "base": 0, "head": 4} in images
    gaps = [abs(image["base"] / 5 - image["head"] / 4) for image in images]
    assert gaps == sorted(gaps, reverse=True)
    assert len(images) == MOST_IMAGES


def test_only_a_terminal_gets_colour_and_only_if_no_color_is_unset(
    measured: Repository, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, is_terminal, no_color, start in (
        (11, True, "", "\033[33mverdict: undecided "),
        (1, True, "", "\033[32mverdict: "),
        (20, True, "", "\033[31mverdict: "),
        (20, True, "1", "verdict: "),
        (20, False, "", "verdict: "),
    ):
        measured.measure(*misread(count), epochs=8)
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        monkeypatch.setenv("NO_COLOR", no_color)
        _, text = compare("main")
        assert text.startswith(start)
        assert text.split("\n\n")[0].endswith("\033[0m") == start.startswith("\033")
        assert "\033" not in compare("main", "--markdown")[1]


def test_classes_have_their_names_or_numbers_and_what_each_side_alone_reads_right(
    repository: Repository, compare: Compare
) -> None:
    repository.branch("mixed", validation={*range(9), 19, 29}, test=set(range(10)))
    assert "\n9                                      +1 -2  +0 -0\n" in compare("main", "mixed", "--final")[1]
    describe(repository.folder, replace(MNIST, classes=tuple(f"class {label}" for label in range(10))))
    assert "\nclass 9                                +2 -1\n" in compare("mixed")[1]


def versions(repository: Repository) -> None:
    """Base and head have two versions of own data under one name."""
    describe(repository.folder)
    repository.run("git checkout -q main")
    repository.commit("described")
    describe(repository.folder, replace(MNIST, arrays={**MNIST.arrays, "x_train": Array((60_000, 28, 28), "other")}))


UNLIKE = ", whose accuracies do not compare: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("evaluation/predictions.csv"), "HEAD holds no evaluation/predictions.csv: REMEDY"),
        (put("metrics.json", "{"), "metrics.json of HEAD: Expecting property name"),
        (put("params.yaml", "train: ]"), "params.yaml of HEAD: "),
        (write(dataset="mnist-5k"), f"`main` is of the data set mnist and HEAD of mnist-5k{UNLIKE}set download.datas"),
        (
            write(images=IMAGES + 2),
            f"`main` and HEAD have different validation images{UNLIKE}set the section",
        ),
        (write(shift=1), f"`main` and HEAD have different validation images{UNLIKE}set the section"),
        (versions, f"`main` and HEAD have two versions of the data set mnist{UNLIKE}x_train differ"),
    ],
)
def test_what_does_not_compare_is_refused_in_one_line_in_this_folder_and_in_a_commit(
    repository: Repository, refusal: Callable[..., str], change: Change, message: str
) -> None:
    change(repository)
    here = message.replace("HEAD", "this folder").replace("REMEDY", "`dvc repro` writes it")
    assert refusal("main").startswith(here)
    repository.run("git checkout -q -b topic")
    repository.commit("topic")
    there = message.replace("HEAD", "`topic`").replace("REMEDY", "`dvc repro` there and commit it")
    assert refusal("main", "topic").startswith(there)


@pytest.mark.parametrize("revision", ["no-such-branch", "HEAD~9", "", "main:models", "main:params.yaml"])
def test_what_is_no_revision_is_refused_by_its_name_on_either_side(
    repository: Repository, refusal: Callable[..., str], revision: str
) -> None:
    assert revision in refusal(revision)
    assert refusal(revision) == refusal("main", revision)


def test_the_command_needs_neither_data_nor_cache_and_leaves_git_as_it_was(
    measured: Repository, tmp_path: Path
) -> None:
    other(measured, "worse", misread(20))
    command = [sys.executable, "-m", "review.compare", "main", "worse", "--fail-if", "worse"]
    environment = measured.environment | {"PYTHONPATH": str(REPOSITORY)}
    for folder, status in ((measured.folder, 1), (tmp_path, 2)):  # there is no repository in the second
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr.count("\n")) == (status, status - 1)
    assert f"{tmp_path} is not a git repository: run `git init`" in done.stderr
    assert measured.run("git status --porcelain") == ""
