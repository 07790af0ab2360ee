"""The command on small repositories made here: what it prints, what it refuses, and how it exits."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review.compare import main
from tests.conftest import REPOSITORY
from tests.review.repository import (
    IMAGES,
    OLD,
    TRAINING,
    Change,
    Repository,
    lock,
    model,
    noise,
    put,
    record,
    remove,
    write,
)

Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Compare:
    """Run the command; return its exit status and what it prints on stdout."""

    def run(*arguments: str) -> tuple[int, str]:
        status = main(list(arguments))
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return run


def test_two_branches_are_compared_in_full(repository: Repository, compare: Compare) -> None:
    repository.branch("better", validation={0}, test={0, 1, 39}, epochs=8)
    status, text = compare("main", "better")
    commits = [repository.run(f"git rev-parse --short=7 {name}").strip() for name in ("main", "better")]
    assert status == 0
    assert (
        text
        == f"""\
base: `main` ({commits[0]}), trained on 200 images of `mnist`
head: `better` ({commits[1]}), trained on 200 images of `mnist`
seeds: the noise of a seed was not measured, so the verdict takes only the choice of images into account

parameter     base  head
train.epochs     5     8

metric               base   head  difference
test.accuracy        0.75  0.925      +0.175
test.errors            10      3          -7
validation.accuracy  0.75  0.975      +0.225
validation.errors      10      1          -9

same images, paired                                      validation                       test
images                                                           40                         40
accuracy of base (95 % interval)          0.7500 (0.5981 to 0.8581)  0.7500 (0.5981 to 0.8581)
accuracy of head (95 % interval)          0.9750 (0.8712 to 0.9956)  0.9250 (0.8014 to 0.9742)
difference                                                  +0.2250                    +0.1750
smallest difference that can be detected                     0.1750                     0.1750
images that only base gets right                                  0                          1
images that only head gets right                                  9                          8
McNemar's exact test                                     p = 0.0039                 p = 0.0391

digit (+ only head is right, - only base is)  validation   test
1                                                  +1 -0  +0 -0
2                                                  +1 -0  +1 -0
3                                                  +1 -0  +1 -0
4                                                  +1 -0  +1 -0
5                                                  +1 -0  +1 -0
6                                                  +1 -0  +1 -0
7                                                  +1 -0  +1 -0
8                                                  +1 -0  +1 -0
9                                                  +1 -0  +1 -1

validation: better: head alone gets 9 images right and base alone 0; a split this uneven is rare between equally good \
models (p = 0.0039, below 0.05); differences in accuracy below 0.1750 cannot be detected
test: better: head alone gets 8 images right and base alone 1; a split this uneven is rare between equally good \
models (p = 0.0391, below 0.05); differences in accuracy below 0.1750 cannot be detected
This compares two trained models. Another seed changes the accuracy too; by how much was not measured here: \
`make noise` measures it

verdict: `better` is better than `main`, by validation
"""
    )


def keep(repository: Repository, *records: Any) -> None:
    """Commit what was measured, beside the lock of the first seed's model."""
    repository.put("evaluation/seed_noise.json", noise(*records))
    repository.put("dvc.lock", lock())
    repository.commit("noise")


WIDE = [0.7, 0.8, 0.9, 0.6, 0.75]  # of seeds of one recipe; two such runs differ by up to 0.4390
NARROW = [0.75, 0.76, 0.74, 0.75, 0.75]


def test_a_difference_inside_one_seeds_noise_is_none(repository: Repository, compare: Compare) -> None:
    keep(repository, record(*WIDE))
    repository.branch("better", validation={0}, test={0, 1, 39})
    _, text = compare("main", "better")
    assert "seeds: the noise of their one recipe was measured\n" in text
    assert "validation: cannot be told apart: head alone gets 9 images right" in text
    assert (
        "; two runs of one recipe differ by up to 0.4390 through the seed alone, and the difference of +0.2250 is "
        "within that (p = 0.2278)" in text
    )
    assert "accuracy over seeds of one recipe, mean ± deviation (n)" in text
    assert "largest difference between two of its runs" in text
    assert "accuracy of head over seeds" not in text
    assert "0.7500 ± 0.1118 (5)" in text
    assert "verdict: `better` and `main` cannot be told apart, by validation" in text
    assert "`make noise`" not in text


def test_a_difference_outside_one_seeds_noise_is_one(repository: Repository, compare: Compare) -> None:
    keep(repository, record(*NARROW))
    repository.branch("better", validation={0})
    status, text = compare("main", "better", "--fail-if", "not-better")
    assert status == 0
    assert "is beyond that (p" in text
    assert "verdict: `better` is better than `main`, by validation" in text


def test_the_noise_of_one_recipe_stands_in_for_another_and_is_called_stale(
    repository: Repository, compare: Compare
) -> None:
    keep(repository, record(*WIDE))
    repository.branch("longer", validation={0}, epochs=8)
    _, text = compare("main", "longer")
    assert (
        "seeds: the noise measured for base is used for head too, for which it is stale (it was measured at "
        "`train.epochs` 5); `make noise` there measures its own\n" in text
    )
    assert "verdict: `longer` and `main` cannot be told apart" in text


def test_where_both_recipes_were_measured_their_means_decide(repository: Repository, compare: Compare) -> None:
    for name, means, verdict in (
        ("longer", [0.95, 0.97, 0.96, 0.96, 0.95], "`longer` is better than `main`"),
        ("luckier", WIDE, "`luckier` and `main` cannot be told apart"),
    ):
        keep(repository, record(*NARROW), record(*means, epochs=8))
        repository.branch(name, validation={0}, epochs=8)
        _, text = compare("main", name)
        assert "seeds: the noise of both was measured\n" in text
        assert "; over 5 and 5 seeds the means differ by" in text
        assert f"0.7500 ± 0.0071 (5){'unknown':>27}\n" in text  # of base, validation and test
        assert f"verdict: {verdict}, by validation" in text


def test_noise_that_belongs_to_neither_recipe_is_not_used(repository: Repository, compare: Compare) -> None:
    for kept, why in (
        (record(*WIDE, epochs=3), "it was measured at `train.epochs` 3"),
        (record(*WIDE, dataset="mnist-5k"), "it was measured on `mnist-5k`"),
        (OLD, "it was measured in an older form"),
        (
            record(*WIDE, training=TRAINING | {"stages/train.py": "c" * 32}),
            "it was measured with other files: `stages/train.py`",
        ),
    ):
        keep(repository, kept)
        repository.branch("better", validation={0})
        _, text = compare("main", "better")
        assert f"seeds: the noise of a seed is stale: {why}, so the verdict takes only the choice of images" in text
        assert "verdict: `better` is better than `main`" in text
        assert "`make noise` measures it" in text


def test_the_seeds_are_in_json(repository: Repository, compare: Compare) -> None:
    keep(repository, record(*NARROW))
    _, text = compare("main", "--json")
    splits = json.loads(text)["splits"]
    assert splits["validation"]["seeds"]["base"]["n"] == 5
    assert splits["validation"]["seeds"]["of"] == "runs"
    assert splits["test"]["seeds"] is None


FORGED = [0.0, 1.0]  # a deviation of 0.7, in which any difference disappears


def test_what_a_branch_writes_changes_nothing_of_what_base_measured(repository: Repository, compare: Compare) -> None:
    keep(repository, record(*NARROW))
    repository.branch("worse", validation=set(range(20)))
    repository.run("git checkout -q worse")
    keep(repository, record(*FORGED))
    status, text = compare("main", "worse", "--fail-if", "worse")
    assert status == 1
    assert "seeds: the noise of their one recipe was measured\n" in text
    assert "0.7500 ± 0.0071 (5)" in text


def test_a_recipe_that_base_has_not_measured_is_judged_by_what_head_measured(
    repository: Repository, compare: Compare
) -> None:
    keep(repository, record(*NARROW))
    repository.run("git checkout -q -b longer")
    repository.write(validation={0}, epochs=8)
    keep(repository, record(*FORGED), record(*WIDE, epochs=8))
    _, text = compare("main", "longer")
    assert "seeds: the noise of both was measured\n" in text
    assert "0.7500 ± 0.0071 (5)" in text
    assert "0.7500 ± 0.1118 (5)" in text
    _, text = compare("longer", "main")
    assert "0.5000 ± 0.7071 (2)" in text  # of main's recipe, by the file of `longer`, which is base now


def test_what_head_alone_measured_of_a_recipe_of_both_stands_in_for_base(
    repository: Repository, compare: Compare
) -> None:
    keep(repository)
    repository.run("git checkout -q -b measured")
    keep(repository, record(*WIDE))
    _, text = compare("main", "measured")
    assert (
        "seeds: the noise measured for head is used for base too, whose own file has none; `make noise` there measures "
        "its own\n" in text
    )


def test_code_that_gives_another_model_is_another_recipe_and_a_comment_is_not(
    repository: Repository, compare: Compare
) -> None:
    changed = TRAINING | {"stages/train.py": "c" * 32}
    repository.write(validation=set(range(10)), seed=0)
    keep(repository, record(*NARROW))
    repository.run("git checkout -q -b comment")
    repository.put("dvc.lock", lock(model(0), changed))
    repository.commit("A comment in the code")
    _, text = compare("main", "comment")
    assert "seeds: the noise of their one recipe was measured\n" in text
    repository.write(validation={0}, seed=0)
    repository.put("dvc.lock", lock("f" * 32, changed))
    repository.commit("A change of the code")
    _, text = compare("main", "comment")
    assert (
        "seeds: the noise measured for base is used for head too, for which it is stale (it was measured with other "
        "files: `stages/train.py`); `make noise` there measures its own\n" in text
    )


def test_noise_of_another_machine_is_used_and_said_to_be_of_one(repository: Repository, compare: Compare) -> None:
    repository.write(seed=0, validation=set(range(10)), environment={"kernels": "avx512_core", "threads": 2})
    keep(repository, record(*NARROW, environment={"kernels": "avx512_core", "threads": 2}))
    repository.branch("here", validation={0}, seed=0, environment={"kernels": "avx2", "threads": 4})
    repository.run("git checkout -q here")
    repository.put("dvc.lock", lock("e" * 32))  # other bytes of the same files
    repository.commit("Results of another machine")
    _, text = compare("main", "here")
    assert (
        "seeds: the noise of their one recipe was measured; that of head was measured on another machine or with other "
        "libraries (`kernels`, `threads`)\n" in text
    )
    assert "is beyond that (p" in text


def test_no_verdict_rests_on_a_deviation_of_zero(repository: Repository, compare: Compare) -> None:
    equal, told = (
        [0.75, 0.75],
        "; all seeds of a recipe reach the same accuracy, so the difference between two seeds cannot",
    )
    keep(repository, record(*equal), record(0.9, 0.9, epochs=8), record(*WIDE, epochs=9))
    for name, epochs in (("one", 5), ("both", 8), ("either", 9)):
        repository.branch(name, validation={0}, epochs=epochs)
        _, text = compare("main", name)
        assert told in text
        assert "Another seed changes the accuracy too; by how much was not measured here" in text
        assert "0.7500 ± 0.0000 (2)" in text
        assert re.search(r"\nt-test on seeds +unknown +unknown\n", text)
        assert f"verdict: `{name}` is better than `main`" in text  # by the images alone
        _, text = compare("main", name, "--json")
        seeds = json.loads(text)["splits"]["validation"]["seeds"]
        assert (seeds["p"], seeds["limit"]) == (None, None)


def test_a_lost_digit_is_told_from_a_won_one(repository: Repository, compare: Compare) -> None:
    repository.branch("mixed", validation={*range(9), 19, 29}, test=set(range(10)))
    _, text = compare("main", "mixed")
    assert "\n9                                                  +1 -2  +0 -0\n" in text


def test_without_a_second_revision_the_files_of_this_folder_are_compared(
    repository: Repository, compare: Compare
) -> None:
    repository.write(validation=set(range(20)), test=set(range(10)))
    _, text = compare("HEAD")
    assert "\nhead: this folder, trained on 200 images of `mnist`\n" in text
    assert "parameters: none differs" in text
    assert text.endswith("\nverdict: this folder is worse than `HEAD`, by validation\n")


def test_the_same_results_cannot_be_told_apart(repository: Repository, compare: Compare) -> None:
    status, text = compare("main", "v1", "--fail-if", "worse")
    assert status == 0
    assert "validation: cannot be told apart: base and head get the same images right\n" in text
    assert "digit" not in text
    assert text.endswith("\nverdict: `v1` and `main` cannot be told apart, by validation\n")


def test_so_few_images_that_no_difference_could_have_shown_are_told(repository: Repository, compare: Compare) -> None:
    repository.branch("hardly", validation=set(range(5)))
    _, text = compare("main", "hardly")
    assert (
        "validation: cannot be told apart: head alone gets 5 images right and base alone 0; a split this uneven is "
        "common between equally good models (p = 0.0625, not below 0.05); so few images cannot show any difference\n"
        in text
    )


@pytest.mark.parametrize("name", ["seed-1", "refs/tags/v1", "v1", "HEAD", "main~0", "sha", "short"])
def test_a_revision_is_named_as_git_and_dvc_name_it(repository: Repository, compare: Compare, name: str) -> None:
    sha = repository.run("git rev-parse HEAD").strip()
    if name == "seed-1":  # as `dvc exp run --name seed-1` leaves it: a commit under the one it started from
        repository.branch("elsewhere", epochs=6)
        repository.run(f"git update-ref refs/exps/{sha[:2]}/{sha[2:]}/seed-1 elsewhere")
        sha = repository.run("git rev-parse elsewhere").strip()
        repository.run("git branch -q -D elsewhere")
    _, text = compare({"sha": sha, "short": sha[:7]}.get(name, name), "--json")
    assert json.loads(text)["base"]["commit"] == sha


def test_an_experiment_name_that_two_commits_have_is_refused(
    repository: Repository, refusal: Callable[..., str]
) -> None:
    repository.branch("one", epochs=6)
    repository.branch("two", epochs=7)
    for branch in ("one", "two"):
        sha = repository.run(f"git rev-parse {branch}").strip()
        repository.run(f"git update-ref refs/exps/{sha[:2]}/{sha[2:]}/twice {sha}")
    assert refusal("twice") == "ambiguous Git revision 'twice'"


def test_test_images_do_not_decide_where_one_side_alone_has_validation_images(
    repository: Repository, refusal: Callable[..., str]
) -> None:
    repository.branch("older", validation=None, test=set())
    expected = (
        "only `main` has predictions of validation images, and test images are not for choosing among recipes: "
        "hold out as many in both by preprocess.validation_images, and `dvc repro`"
    )
    assert refusal("older", "main") == refusal("main", "older") == expected


def test_test_images_decide_where_no_side_has_validation_images(repository: Repository, compare: Compare) -> None:
    repository.branch("older", validation=None, test=set())
    repository.branch("newer", validation=None, test=set(range(10)))
    _, text = compare("older", "newer")
    assert text.endswith("verdict: `newer` is worse than `older`, by test\n")


def test_a_split_that_one_side_lacks_is_left_out(repository: Repository, compare: Compare) -> None:
    repository.branch("untested", test=None)
    _, text = compare("untested", "main", "--json")
    found = json.loads(text)
    assert (list(found["splits"]), found["decided_by"], found["verdict"]) == (["validation"], "validation", "worse")
    assert found["metrics"]["test.errors"] == {"head": 10}
    _, text = compare("untested", "main")
    assert "\ntest: only head has predictions of it, so it is not compared\n" in text
    assert text.endswith("verdict: `main` is worse than `untested`, by validation\n")
    assert "\ntest.errors          absent    10\n" in text


def test_validation_decides_even_against_test(repository: Repository, compare: Compare) -> None:
    repository.branch("tuned", validation=set(), test=set(range(20)))
    status, text = compare("main", "tuned", "--fail-if", "not-better", "--json")
    found = json.loads(text)
    assert {name: split["verdict"] for name, split in found["splits"].items()} == {
        "validation": "better",
        "test": "worse",
    }
    assert (status, found["verdict"]) == (0, "better")


@pytest.mark.parametrize(
    ("wrong", "verdict", "worse", "not_better"),
    [
        (range(0), "better", 0, 0),
        (range(1, 11), "cannot be told apart", 0, 1),
        (range(20), "worse", 1, 1),
    ],
)
def test_fail_if_turns_the_verdict_into_an_exit_status(
    repository: Repository, compare: Compare, wrong: range, verdict: str, worse: int, not_better: int
) -> None:
    repository.branch("head", validation=set(wrong))
    status, text = compare("main", "head", "--json")
    assert (status, json.loads(text)["verdict"]) == (0, verdict)
    assert compare("main", "head", "--fail-if", "worse")[0] == worse
    assert compare("main", "head", "--fail-if", "not-better")[0] == not_better


def test_markdown_has_the_verdict_first_and_tables_that_github_draws(repository: Repository, compare: Compare) -> None:
    repository.branch("better", validation=set())
    repository.run("git checkout -q better")
    repository.put("params.yaml", "train:\n  epochs: 5\n  filters: [32, 64]\n  note: a|b\n")
    _, text = compare("main", "--markdown")
    blocks = text.split("\n\n")
    assert blocks[0] == "**verdict: this folder is better than `main`, by validation**"
    assert blocks[2] == "| parameter | base | head |\n| --- | ---: | ---: |\n| `train.note` | absent | `'a\\|b'` |"
    assert "| `validation.errors` | 10 | 0 | -10 |" in blocks[3].splitlines()
    for table in blocks[2:6]:
        header, ruler, *rows = table.splitlines()
        columns = header.count(" | ")
        assert ruler == "| --- |" + " ---: |" * columns
        assert all(row.replace("\\|", "").count(" | ") == columns for row in rows)
    assert blocks[6].startswith("- validation: better: head alone gets 10 images right and base alone 0")


def test_json_has_a_documented_structure_without_nan(repository: Repository, compare: Compare) -> None:
    repository.put("params.yaml", "train:\n  epochs: .nan\n  filters: null\n  begun: 2026-01-31\n")
    _, text = compare("main", "--json")
    found = json.loads(text, parse_constant=pytest.fail)
    assert list(found) == ["base", "head", "parameters", "metrics", "splits", "decided_by", "verdict"]
    sha = repository.run("git rev-parse HEAD").strip()
    assert found["base"] == {"revision": "main", "commit": sha, "dataset": "mnist", "train_images": 200}
    assert found["head"] == {"revision": None, "commit": None, "dataset": "mnist", "train_images": 200}
    assert found["parameters"] == {
        "train.begun": {"head": "datetime.date(2026, 1, 31)"},
        "train.epochs": {"base": 5, "head": "nan"},
        "train.filters": {"base": [32, 64], "head": None},
    }
    assert found["metrics"]["test.accuracy"] == {"base": 0.75, "head": 0.75, "difference": 0.0}
    split = found["splits"]["test"]
    assert list(split) == [
        *("images", "base", "head", "difference", "only_base", "only_head"),
        *("p", "smallest_difference", "digits", "seeds", "verdict"),
    ]
    assert list(split["base"]) == ["right", "accuracy", "low", "high"]
    assert (split["p"], split["smallest_difference"]) == (1, None)
    assert split["digits"]["9"] == {"images": 4, "only_base": 0, "only_head": 0}


@pytest.mark.parametrize(("written", "shown"), [('"5"', "'5'"), ("5.0", "5.0")])
def test_a_parameter_that_changed_its_type_alone_has_changed(
    repository: Repository, compare: Compare, written: str, shown: str
) -> None:
    repository.put("params.yaml", f"train:\n  epochs: {written}\n  filters: [32, 64]\n")
    _, text = compare("main")
    assert f"\ntrain.epochs     5   {shown}\n" in text


def test_a_difference_of_metrics_is_free_of_the_errors_of_floating_point(
    repository: Repository, compare: Compare
) -> None:
    repository.write(validation=set(range(10)), test={0, 1, 2})
    _, text = compare("main", "--json")
    assert 0.925 - 0.75 != 0.175  # it is 0.17500000000000004
    assert json.loads(text)["metrics"]["test.accuracy"]["difference"] == 0.175


def test_what_has_neither_parameters_nor_metrics_is_compared_all_the_same(
    repository: Repository, compare: Compare
) -> None:
    for path in ("params.yaml", "metrics.json"):
        (repository.folder / path).unlink()
    _, text = compare("main")
    assert "\ntrain.epochs          5  absent\n" in text
    assert "\ntest.errors            10  absent" in text


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "options", "start"),
    [
        (True, "", [], "\033[32mverdict: "),
        (True, "1", [], "verdict: "),
        (False, "", [], "verdict: "),
        (True, "", ["--markdown"], "- "),
        (True, "", ["--json"], "}"),
    ],
)
def test_only_a_terminal_gets_colour_and_only_if_no_color_is_unset(
    repository: Repository,
    compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    no_color: str,
    options: list[str],
    start: str,
) -> None:
    repository.write(validation=set())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    _, text = compare("main", *options)
    assert text.splitlines()[-1].startswith(start)
    assert text.count("\033") == (2 if start.startswith("\033") else 0)


REFUSED = [
    (remove("evaluation/predictions.csv"), "HEAD holds no evaluation/predictions.csv: REMEDY"),
    (remove("models/provenance.json"), "HEAD holds no models/provenance.json: REMEDY"),
    (
        put("evaluation/predictions.csv", "image,actual,predicted,confidence\n0,7,7,1\n"),
        "evaluation/predictions.csv of HEAD: column split is missing; "
        "expected are split,image,actual,predicted,confidence",
    ),
    (put("metrics.json", "{"), "metrics.json of HEAD: Expecting property name"),
    (put("metrics.json", '{"loss": 1.5e308}'), "metrics.json of HEAD: loss must be a number, got 1.5e+308"),
    (put("metrics.json", "[" * 100_000), "metrics.json of HEAD: maximum recursion depth"),
    (put("params.yaml", "train: ]"), "params.yaml of HEAD: "),
    (put("params.yaml", "train: &again\n  more: *again\n"), "params.yaml of HEAD: expected at most 10,000 values"),
    (put("models/provenance.json", "{}"), "models/provenance.json of HEAD: expected the keys dataset, a name, and"),
    (
        write(dataset="mnist-5k"),
        "`main` is of the data set mnist and HEAD of mnist-5k, whose accuracies do not compare: "
        "set download.dataset alike and `dvc repro`",
    ),
    (
        write(images=IMAGES + 2),
        "`main` and HEAD have different validation images, whose accuracies do not compare: "
        "0 are only in the first and 2 only in the second",
    ),
    (
        write(shift=1),
        "`main` and HEAD have different validation images, whose accuracies do not compare: "
        "image 0 is a 0 in the first and a 1 in the second",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
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


def test_two_sides_without_a_split_in_common_are_refused(repository: Repository, refusal: Callable[..., str]) -> None:
    repository.branch("one", validation=None)
    repository.write(test=None)
    assert refusal("one") == "no split in common: `one` has test, this folder has validation"


def test_a_commit_from_before_dvc_holds_no_predictions(repository: Repository, refusal: Callable[..., str]) -> None:
    repository.run("git checkout -q --orphan before && git rm -rf -q .")
    repository.put("notes.txt", "")
    repository.commit("before")
    repository.run("git checkout -q main")
    expected = "`before` holds no evaluation/predictions.csv: `dvc repro` there and commit it"
    assert refusal("before") == expected


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("no-such-branch", "unknown Git revision 'no-such-branch'"),
        ("HEAD~9", "unknown Git revision 'HEAD~9'"),
        ("", "unknown Git revision ''"),
        ("main:models", "`main:models` is not a commit"),
        ("main:params.yaml", "`main:params.yaml` is not a commit"),
    ],
)
def test_what_is_no_revision_is_refused_on_either_side(
    repository: Repository, refusal: Callable[..., str], revision: str, message: str
) -> None:
    assert refusal(revision) == message
    assert refusal("main", revision) == message


def test_a_folder_without_git_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"{tmp_path} is not a git repository: run `git init`, `git add --all` and `git commit` in it first"
    assert refusal("main") == refusal("main", "main") == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_another_user_is_refused_with_gits_own_remedy(
    repository: Repository, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(repository.folder.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for path in (repository.folder, *repository.folder.rglob("*")):
        os.chown(path, 4321, 4321)
    expected = f"{repository.folder} belongs to another user: `git config --global --add safe.directory "
    assert refusal("main").startswith(expected)
    assert refusal("main", "main").startswith(f"{expected}{repository.folder}`")


def test_a_tag_named_like_a_commit_does_not_stand_for_it(repository: Repository, refusal: Callable[..., str]) -> None:
    repository.branch("other", validation=set())
    sha, other = (repository.run(f"git rev-parse {name}").strip() for name in ("main", "other"))
    repository.run(f"git update-ref refs/tags/{sha} {other}")
    expected = f"{sha} is not a commit, or a branch or tag of another has that name"
    assert refusal(sha) == refusal("main", sha) == expected


def test_a_commit_named_in_full_is_printed_by_its_first_ten_digits(repository: Repository, compare: Compare) -> None:
    sha = repository.run("git rev-parse main").strip()
    _, text = compare(sha, "main")
    assert text.startswith(f"base: `{sha[:10]}` ({sha[:7]}), trained on ")
    assert sha not in text


def test_the_command_needs_neither_data_nor_cache_and_leaves_git_as_it_was(repository: Repository) -> None:
    repository.branch("worse", validation=set(range(20)))
    command = [sys.executable, "-m", "review.compare", "main", "worse", "--fail-if", "worse"]
    environment = repository.environment | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=repository.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("verdict: `worse` is worse than `main`, by validation\n")
    assert repository.run("git status --porcelain") == ""
