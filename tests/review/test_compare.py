"""The command on small repositories made here: what it prints, what it refuses, and how it exits."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from classifier.data.catalogue import MNIST
from classifier.data.data_set import Array
from review.compare import main
from review.revision import read_results
from review.text import MOST_IMAGES
from tests.conftest import REPOSITORY, describe
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
    better = {"epochs": 8, "looks": [3, 5], "loss": [each / 2 for each in losses]}
    measured.on("better", lambda: measured.measure(*misread(1), **better))
    assert main(["main", "better"]) == 0
    commits = [measured.run(f"git rev-parse --short=7 {name}").strip() for name in ("main", "better")]
    assert (
        capsys.readouterr().out
        == f"""\
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
1                                      +1 -0
2                                      +1 -0
3                                      +1 -0
4                                      +1 -0
5                                      +1 -0
6                                      +1 -0
7                                      +1 -0
8                                      +1 -0
9                                      +1 -0

test images: not shown; `--final` shows them, once, when the choice is made
"""
    )


def test_no_line_is_longer_than_80_characters_and_no_more_than_eight_say_why(
    repository: Repository, compare: Compare
) -> None:
    long = "/".join(["x" * 200, "y" * 99])
    train = {"k" * 180: "v" * 500}
    environment = {"e" * 180 + str(number): 1 for number in range(9)}
    repository.measure(*BASE, train=train, environment=environment)
    document = json.loads(repository.read("metrics.json"))
    repository.put("metrics.json", json.dumps(document | {"m" * 190: 1e300, "n" * 190: {"o": -1e-300}}))
    repository.commit("long")
    others = [record(*BASE, epochs=9, train={"k": number}) for number in range(9)]
    several = {"looks": [1, 2, 3, 4, 5], "others": others, "epochs": 8}
    repository.on(long, lambda: repository.measure(*misread(12), **several))
    repository.branch("once", epochs=7, environment=environment)
    for arguments in (["main", long], [long, "main"], ["main", "once"], ["once", long], [long, "--final"]):
        assert compare(*arguments)[1].startswith("verdict: ")  # the fixture counts the characters
        _, text = compare(*arguments, "--json")
        assert 3 <= len(json.loads(text)["reasons"]) <= 8


def test_of_many_looks_the_first_and_the_last_are_said(measured: Repository, compare: Compare) -> None:
    several = [{image} for image in range(12)]
    other(measured, "peeks", several, looks=list(range(1, 13)))
    assert "\nthis is look 12 at head (1, then 2, then ..., then 11, then 12 seeds): " in compare("main", "peeks")[1]


@pytest.mark.parametrize(
    ("head", "margin", "verdict", "line", "worse", "better", "no_worse"),
    [
        (1, None, "better", "`head` is better than `main`: 2,250 fewer misread in 10,000 (95 %: ", 0, 0, None),
        (1, "0.01", "better", "`head` is better than `main`: 2,250 fewer misread in 10,000 (95 %: ", 0, 0, 0),
        (20, None, "worse", "`head` is worse than `main`: 2,500 more misread in 10,000 (95 %: ", 1, 1, None),
        (20, "0.01", "worse", "`head` is worse than `main`: 2,500 more misread in 10,000 (95 %: ", 1, 1, 1),
        (11, None, "undecided", "undecided between `head` and `main`: -0.0250 (95 %: -0.0", 0, 1, None),
        (11, "0.01", "undecided", "undecided between `head` and `main`: -0.0250 (95 %: -0.0", 0, 1, 1),
        (11, "0.2", "no worse", "`head` is no worse than `main` by more than 0.2: -0.0250 (95 %: -0.0", 0, 1, 0),
        (20, "0.9", "no worse", "`head` is no worse than `main` by more than 0.9: -0.2500 (95 %: -0.", 0, 1, 0),
    ],
)
def test_the_verdict_on_two_recipes_and_the_exit_status_of_each_gate(
    measured: Repository,
    compare: Compare,
    head: int,
    margin: str | None,
    verdict: str,
    line: str,
    worse: int,
    better: int,
    no_worse: int | None,
) -> None:
    other(measured, "head", misread(head))
    options = [] if margin is None else ["--margin", margin]
    status, text = compare("main", "head", *options)
    assert status == 0
    assert text.startswith(f"verdict: {line}")
    assert text.splitlines()[0].endswith(", by validation, 5 seeds each")
    assert json.loads(compare("main", "head", "--json", *options)[1])["verdict"] == verdict
    assert compare("main", "head", "--fail-if", "worse", *options)[0] == worse
    assert compare("main", "head", "--fail-unless", "better", *options)[0] == better
    if no_worse is not None:
        assert compare("main", "head", "--fail-unless", "no-worse", *options)[0] == no_worse


def test_what_is_undecided_says_what_would_settle_it(repository: Repository, compare: Compare) -> None:
    one, two, half = set(range(10)), set(range(14)), set(range(1, 12))
    for base, head, line in (
        ([one, two], [half, half | {0, 12}], "5 seeds each would narrow it to about ±0."),
        ([one] * 5, [half] * 5, "10 seeds each would hardly narrow it; "),
        ([one] * 41, [half] * 5, "82 seeds each would hardly narrow it; "),
    ):
        repository.measure(*base)
        repository.commit("base")
        other(repository, "head", head, others=[record(*base)])
        _, text = compare("main", "head")
        assert text.startswith("verdict: undecided between `head` and `main`: ")
        assert f"\n{line}" in text
        assert re.search(r"; no number of seeds gets below ±0\.\d{4} with these 40 images\n", text)


def test_one_run_of_a_recipe_is_provisional_and_moves_no_gate(measured: Repository, compare: Compare) -> None:
    measured.branch("bad", validation=set(range(18)), epochs=8)
    for base, head, single, counts in (
        ("main", "once", "head", "5 and 1"),
        ("once", "main", "base", "1 and 5"),
        ("main", "bad", "head", "5 and 1"),
    ):
        _, text = compare(base, head)
        assert text.startswith(f"verdict: undecided between `{head}` and `{base}`: ")
        assert text.splitlines()[0].endswith(f", by validation, {counts} seeds, provisional")
        measured_side = {"head": "base", "base": "head"}[single]
        assert (
            f"\nprovisional: {single} has one seed, and its noise is taken to be that of {measured_side}: better or "
            f"worse takes p < 0.000001; `make noise` on the side of {single} measures its own\n" in text
        )
        assert compare(base, head, "--fail-if", "worse")[0] == 0
        assert compare(base, head, "--fail-unless", "better")[0] == 1
        _, text = compare(base, head, "--json")
        found = json.loads(text)["splits"]["validation"]["recipes"]
        assert 0.0005 < found["p"] < 0.05
        assert found["provisional"] is True


def test_the_level_of_many_recipes_is_that_of_a_provisional_verdict(repository: Repository, compare: Compare) -> None:
    repository.measure(*BASE, others=[record(*BASE, epochs=9)])
    repository.commit("two recipes")
    repository.branch("once", validation=set(range(4)), epochs=8)
    assert (
        "\n2 recipes were judged against base on these images: better takes p < 5e-07\n" in compare("main", "once")[1]
    )


def test_one_run_far_from_all_seeds_of_the_other_recipe_decides(measured: Repository, compare: Compare) -> None:
    measured.branch("terrible", validation=set(range(40)), epochs=8)
    status, text = compare("main", "terrible", "--fail-if", "worse")
    assert status == 1
    assert text.startswith("verdict: `terrible` is worse than `main`: 7,150 more misread in 10,000 (95 %: ")
    assert text.splitlines()[0].endswith(", by validation, 5 and 1 seeds, provisional")


def test_one_run_is_no_worse_only_at_the_level_of_a_provisional_verdict(measured: Repository, compare: Compare) -> None:
    measured.branch("same", validation={*range(10), 30}, epochs=8)
    _, text = compare("main", "same", "--json")
    found = json.loads(text)["splits"]["validation"]["recipes"]
    margin = str(-found["low"] * 1.1)
    assert compare("main", "same", "--margin", margin, "--fail-unless", "no-worse")[0] == 1
    assert compare("main", "same", "--margin", "0.9", "--fail-unless", "no-worse")[0] == 0


def test_one_run_of_each_recipe_is_two_models_and_says_nothing_of_the_recipes(
    repository: Repository, compare: Compare
) -> None:
    for name, wrong in (("one", set(range(1))), ("all", set(range(40)))):
        repository.branch(name, validation=wrong, epochs=8)
        status, text = compare("main", name, "--fail-if", "worse")
        assert status == 0
        assert text.startswith(
            f"verdict: undecided: `{name}` and `main` are two models, one run of each recipe\n\nbase: `main` ("
        )
        assert (
            "\nthe recipes: unknown; another seed changes the accuracy too, and `make noise` measures by how much\n"
            in text
        )
        assert not re.search("\n(difference|loss|provisional): ", text)
        assert compare("main", name, "--fail-unless", "better")[0] == 1
        assert compare("main", name, "--margin", "0.9", "--fail-unless", "no-worse")[0] == 1
        _, text = compare("main", name, "--json")
        assert json.loads(text)["splits"]["validation"]["recipes"] is None
    _, text = compare("main", "one")
    assert (
        "\nthese two models: base alone reads 0 right, head alone 9: +0.2250 (95 %: +0.0737 to +0.2250); McNemar's "
        "exact test, p = 0.0039\n" in text
    )


@pytest.mark.parametrize("is_measured", [False, True])
def test_two_seeds_of_one_recipe_are_never_better_or_worse(
    repository: Repository, compare: Compare, is_measured: bool
) -> None:
    seeds = [set(), set(range(40))]
    repository.measure(*seeds)
    if not is_measured:
        repository.keep()
    repository.commit("seed 0")

    def another() -> None:
        repository.write(validation=seeds[1], seed=1)
        repository.put("dvc.lock", lock(model(1)))

    repository.on("seed-1", another)
    for base, head in (("main", "seed-1"), ("seed-1", "main")):
        status, text = compare(base, head, "--fail-if", "worse")
        assert status == 0
        assert text.startswith(f"verdict: `{head}` is no worse than `{base}`: both are runs of one recipe\n")
        assert compare(base, head, "--fail-unless", "better")[0] == 1
        assert compare(base, head, "--margin", "0.001", "--fail-unless", "no-worse")[0] == 0
        assert "these two models: base alone reads " in text
        assert "the recipes: unknown" not in text


def test_a_comment_in_the_code_makes_no_other_recipe_and_another_model_does(
    measured: Repository, compare: Compare
) -> None:
    changed = TRAINING | {"stages/train.py": "c" * 32}
    measured.on("comment", lambda: measured.put("dvc.lock", lock(model(0), changed)))
    _, text = compare("main", "comment")
    assert text.startswith("verdict: `comment` is no worse than `main`: both are runs of one recipe\n")

    def code() -> None:
        measured.write(validation=set(range(4)), seed=0)
        measured.put("dvc.lock", lock("f" * 32, changed))

    measured.on("code", code)
    _, text = compare("main", "code")
    assert text.startswith("verdict: undecided between `code` and `main`: ")
    assert "over 1 seed; its measurement is stale: it was measured with other files: `stages/train.py`\n" in text


def _worse(repository: Repository, **changes: Any) -> None:
    """Results of main's parameters with another model of seed 0, which misreads 20 images, and this dvc.lock."""
    repository.write(validation=misread(20)[0], seed=0)
    repository.put("dvc.lock", lock(**{"md5": "f" * 32} | changes))


def test_models_of_base_in_heads_record_make_no_run_of_bases_recipe(measured: Repository, compare: Compare) -> None:
    changed = TRAINING | {"stages/train.py": "c" * 32}
    elsewhere = {"kernels": "avx2"}
    for name, own, environment in (("seed-0", ["f" * 32], {}), ("elsewhere", [], elsewhere)):

        def change(own: list[str] = own, environment: dict[str, Any] = environment) -> None:
            copied = record(*misread(20), training=changed, environment=environment)
            for run, md5 in zip(copied["seeds"], own, strict=False):
                run["model"] = md5
            _worse(measured, training=changed)
            measured.put("evaluation/seed_noise.json", noise(copied))

        measured.on(name, change)
        status, text = compare("main", name, "--fail-if", "worse")
        assert text.startswith(f"verdict: `{name}` is worse than `main`: ")
        assert status == 1


def test_the_model_of_base_with_other_predictions_is_no_run_of_bases_recipe(
    measured: Repository, compare: Compare
) -> None:
    measured.on("forged", lambda: _worse(measured, md5=model(0), training={"stages/train.py": "c" * 32}))
    assert compare("main", "forged")[1].startswith("verdict: undecided between `forged` and `main`: ")
    measured.on("evaluation", lambda: _worse(measured, md5=model(0), evaluation={"stages/evaluate.py": "c" * 32}))
    assert compare("main", "evaluation")[1].startswith("verdict: undecided between `evaluation` and `main`: ")


@pytest.mark.parametrize("changes", [{"command": "echo 3"}, {"evaluation": {"stages/evaluate.py": "c" * 32}}])
def test_another_command_or_evaluation_makes_another_recipe_whatever_the_seed(
    measured: Repository, compare: Compare, changes: dict[str, Any]
) -> None:
    def change() -> None:
        _worse(measured, **changes)
        measured.write(validation=misread(20)[0], seed=7)

    measured.on("other", change)
    _, text = compare("main", "other")
    assert text.startswith("verdict: undecided between `other` and `main`: ")
    why = "its measurement is stale: `dvc.lock` of head has other commands or another evaluation"
    assert re.search(rf"\nhead: `other` \(\w+\): accuracy 0\.4750 over 1 seed; {why}\n", text)


def test_heads_record_replaces_bases_of_the_same_recipe_only_with_the_same_readings(
    repository: Repository, compare: Compare
) -> None:
    known = record(*misread(8)[:3], epochs=8)
    repository.measure(*BASE, others=[known])
    repository.commit("base measured both")

    def change() -> None:
        repository.write(validation=misread(8)[0], epochs=8, seed=0)
        repository.keep(record(misread(8)[0], *misread(1)[1:], epochs=8))

    repository.on("cooked", change)
    found = json.loads(compare("main", "cooked", "--json")[1])["splits"]["validation"]["head"]
    assert (found["seeds"], found["accuracy"]) == (3, 1 - mean(map(len, misread(8)[:3])) / IMAGES)


@pytest.mark.parametrize(
    "seeds",
    [
        [{0}, {1}, {0, 1}],  # the formula for tau^2 is below 0
        [{0}, {0}],  # no noise
        [set(), set()],
        [{0}, {1}],
        [set(range(40)), set()],
        [set(range(40))] * 3,
    ],
)
def test_a_recipe_against_itself_is_no_worse_and_has_no_nan(
    repository: Repository, compare: Compare, seeds: list[set[int]]
) -> None:
    repository.measure(*seeds)
    repository.commit("measured")
    repository.run("git branch again")
    assert compare("main", "again")[1].startswith(
        "verdict: `again` is no worse than `main`: both are runs of one recipe\n"
    )
    found = json.loads(compare("main", "again", "--json")[1])["splits"]["validation"]["recipes"]
    assert (found["difference"], found["p"]) == (0, 1)
    other(repository, "twin", seeds, others=[record(*seeds)])
    _, text = compare("main", "twin", "--json")
    assert json.loads(text)["verdict"] == "undecided"
    assert "nan" not in compare("main", "twin")[1]


def test_where_nobody_misreads_an_image_nothing_is_decided(repository: Repository, compare: Compare) -> None:
    repository.measure(set(), set(), test=[set(), set()])
    repository.commit("measured")
    other(repository, "head", [set(), set()], others=[record(set(), set())], test=[set(), set()])
    status, text = compare("main", "head", "--fail-if", "worse", "--final")
    assert status == 0
    assert text.startswith("verdict: undecided between `head` and `main`: +0.0000 (95 %: -0.0490 to +0.0490), ")
    assert "class (" not in text
    assert json.loads(compare("main", "head", "--json")[1])["images"] == []


def test_what_a_branch_writes_changes_nothing_of_what_base_measured(measured: Repository, compare: Compare) -> None:
    forged = [BASE[0], set(range(40))]  # a noise in which any difference disappears
    other(measured, "worse", misread(20), others=[record(*forged)])
    status, text = compare("main", "worse", "--fail-if", "worse")
    assert status == 1
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7150 ± 0\.0137 over 5 seeds\n", text)


def test_a_recipe_that_only_head_measured_gives_base_one_run(repository: Repository, compare: Compare) -> None:
    repository.write(validation=BASE[0], seed=0)
    repository.keep()
    repository.commit("not measured")
    other(repository, "head", misread(1))
    _, text = compare("main", "head")
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7250 over 1 seed\n", text)
    assert "\nprovisional: base has one seed, " in text


def test_of_heads_recipe_bases_record_counts_unless_heads_own_has_all_its_runs_and_more(
    repository: Repository, compare: Compare
) -> None:
    longer = {"epochs": 8}
    known = record(*misread(8)[:3], **longer)
    repository.measure(*BASE, others=[known])
    repository.commit("base measured both")
    more = record(*misread(8), **longer)
    lacking = record(*misread(8), **longer)
    lacking["seeds"][2]["model"] = "e" * 32
    fewer = record(misread(8)[0], {39}, **longer)
    for name, own, seeds in (("more", more, 5), ("lacking", lacking, 3), ("fewer", fewer, 3)):

        def change(own: dict[str, Any] = own) -> None:
            repository.write(validation=misread(8)[0], epochs=8, seed=0)
            repository.keep(own)

        repository.on(name, change)
        found = json.loads(compare("main", name, "--json")[1])
        assert found["splits"]["validation"]["head"]["seeds"] == seeds, name


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (OLD, "it was measured in an older form"),
        (
            record(*BASE, training=TRAINING | {"stages/train.py": "c" * 32}) | {"seeds": record(*BASE)["seeds"][1:]}
            | {"looks": [4]},
            "it was measured with other files: `stages/train.py`",
        ),
        (record({0}, *BASE[1:]), "it says that other validation images are misread than predictions.csv says of the "
         "same model"),
        (record(*BASE, images=50), "it says 50 validation images, of which predictions.csv has 40"),
        (record(*BASE, images=10**9), "it says 1,000,000,000 validation images, of which predictions.csv has 40"),
        (
            record(*BASE) | {"seeds": [record(*BASE)["seeds"][0] | {"model": "e" * 32}], "looks": [1]},
            "its seed 0 gave another model from the same files",
        ),
    ],
)  # fmt: skip
def test_a_record_that_does_not_hold_is_not_used_and_says_why(
    measured: Repository, compare: Compare, kept: dict[str, Any], why: str
) -> None:
    measured.keep(kept)
    measured.commit("kept")
    _, text = compare("main", "once")
    assert re.search(rf"\nbase: `main` \(\w+\): accuracy 0\.7250 over 1 seed; its measurement is stale: {why}\n", text)
    assert text.startswith("verdict: undecided: `once` and `main` are two models, one run of each recipe\n")


def test_a_record_of_another_recipe_or_data_set_is_no_measurement(measured: Repository, compare: Compare) -> None:
    measured.keep(record(*BASE, epochs=3), record(*BASE, dataset="mnist-5k"))
    measured.commit("kept")
    _, text = compare("main", "once")
    assert re.search(r"\nbase: `main` \(\w+\): accuracy 0\.7250 over 1 seed\n", text)


def test_a_record_without_the_split_that_decides_leaves_the_committed_run(
    measured: Repository, compare: Compare
) -> None:
    measured.keep(record(set(), set(), split="test"))
    measured.commit("kept")
    _, text = compare("main", "once")
    assert text.startswith("verdict: undecided: `once` and `main` are two models")
    other(measured, "measured", misread(1))
    assert "\nloss: not compared, because " in compare("main", "measured")[1]


def test_seeds_of_another_machine_count_and_are_said_to_be_so(measured: Repository, compare: Compare) -> None:
    there, here = {"kernels": "avx512_core", "threads": 2}, {"kernels": "avx2", "threads": 4}
    measured.measure(*BASE, environment=there)
    measured.write(validation=BASE[0], seed=0, environment=here)
    measured.put("dvc.lock", lock("e" * 32))  # other bytes of the same files
    measured.commit("Results of another machine")
    _, text = compare("main", "once")
    assert "± 0.0137 over 5 seeds; seeds from another machine (`kernels`, `threads`)\n" in text


def test_the_committed_run_of_a_seed_that_was_not_measured_is_one_seed_more(
    measured: Repository, compare: Compare
) -> None:
    measured.write(validation={0}, seed=7)
    measured.commit("seed 7")
    _, text = compare("main", "once")
    errors = [*map(len, BASE), 1]
    spread = f"{1 - mean(errors) / IMAGES:.4f} ± {stdev(errors) / IMAGES:.4f}"
    assert re.search(rf"\nbase: `main` \(\w+\): accuracy {spread} over 6 seeds\n", text)


def test_the_more_recipes_were_judged_the_more_better_takes_and_worse_takes_the_same(
    measured: Repository, compare: Compare
) -> None:
    for better, worse, count in ((3, 17, 1), (3, 17, 40)):
        others = [record(*BASE), *(record(0.5, 0.6, epochs=100 + number) for number in range(count - 1))]
        others += [record(0.5, 0.6, epochs=200, dataset="fashion")]  # other images
        others += [record(0.5, 0.6, parameters={"train.epochs": 200, "preprocess.seed": 1})]
        for name, head in (("better", better), ("worse", worse)):
            other(measured, name, misread(head), others=others)
            _, text = compare("main", name, "--json")
            found = json.loads(text)
            p = found["splits"]["validation"]["recipes"]["p"]
            assert 0.05 / 40 < p < 0.05
            assert found["recipes"] == count
            assert found["verdict"] == ("undecided" if (name, count) == ("better", 40) else name)
            said = f"\n{count} recipes were judged against base on these images: better takes p < "
            assert (said in compare("main", name)[1]) == (count > 1)


def test_a_second_look_at_head_is_said(measured: Repository, compare: Compare) -> None:
    other(measured, "head", misread(12), looks=[2, 3, 5])
    assert (
        "\nthis is look 3 at head (2, then 3, then 5 seeds): each look adds risk; `review.decide` plans them\n"
        in compare("main", "head")[1]
    )
    other(measured, "head", misread(12), looks=[5])
    assert "look" not in compare("main", "head")[1].replace("each look at them", "")


def test_no_number_of_test_images_is_shown_before_the_final_look(measured: Repository, compare: Compare) -> None:
    wrong = [set(range(each)) for each in (7, 8, 9, 10, 11)]  # accuracies 0.825, 0.8, ...
    measured.measure(*BASE, test=wrong)
    measured.commit("test images too")
    better = [set(range(each)) for each in (1, 2, 3, 4, 5)]  # 0.975, 0.95, ...
    other(measured, "head", misread(10), test=better, others=[record(*BASE, test=wrong)])
    for form in ([], ["--markdown"], ["--json"]):
        _, hidden = compare("main", "head", *form)
        _, shown = compare("main", "head", "--final", *form)
        for number in ("0.825", "0.975", "test.errors", "test.accuracy"):
            assert number not in hidden
            assert number in shown
        if form != ["--json"]:
            assert "test images: not shown; " in hidden
            assert "test images: each look at them makes their accuracy a worse estimate of the " in shown
    found = json.loads(compare("main", "head", "--json")[1])
    assert list(found["splits"]) == ["validation"]
    assert "test" not in json.dumps(found)
    final = json.loads(compare("main", "head", "--json", "--final")[1])
    assert final["splits"]["test"]["head"] == {
        "seeds": 5,
        "accuracy": 0.925,
        "standard_deviation": pytest.approx(stdev([1, 2, 3, 4, 5]) / IMAGES),
    }
    assert (final["verdict"], final["decided_by"]) == ("undecided", "validation")


LOSSES = [0.10, 0.11, 0.12, 0.11, 0.10]


def test_losses_are_compared_only_between_recipes_with_the_same_label_smoothing(
    measured: Repository, compare: Compare
) -> None:
    measured.measure(*BASE, loss=LOSSES)
    measured.commit("losses")
    lower = {"loss": [each - 0.05 for each in LOSSES], "others": [record(*BASE, loss=LOSSES)]}
    other(measured, "head", misread(12), **lower)
    assert (
        "\nloss: -0.0500 (95 %: -0.0622 to -0.0378), over seeds alone (Welch's t-test, p < 0.0001)\n"
        in compare("main", "head")[1]
    )
    other(measured, "smooth", misread(12), train={"label_smoothing": 0.1}, **lower)
    assert "\nloss: not compared, because the recipes have different label smoothing\n" in compare("main", "smooth")[1]
    other(measured, "equal", misread(12), **lower | {"loss": 0.1})
    for name in ("equal", "once"):
        assert (
            "\nloss: not compared, because that takes at least 2 seeds of each recipe, with different losses\n"
            in compare("main", name)[1]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-unless", "no-worse"], "--fail-unless no-worse takes --margin: how much less accuracy does not matt"),
        (["--margin", "2"], "argument --margin: expected an accuracy between 0 and 1, such as 0.002, got 2"),
        (["--margin", "0"], "argument --margin: expected an accuracy between 0 and 1, such as 0.002, got 0"),
        (["--margin", "nan"], "argument --margin: expected an accuracy between 0 and 1, such as 0.002, got nan"),
        (["--margin", "much"], "argument --margin: expected an accuracy between 0 and 1, such as 0.002, got much"),
        (["--fail-if", "better"], "argument --fail-if: invalid choice: 'better'"),
        (["--fail-if", "worse", "--fail-unless", "better"], "not allowed with argument --fail-if"),
        (["--json", "--markdown"], "not allowed with argument --json"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    repository: Repository, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["main", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def seeds(**changes: Any) -> dict[str, Any]:
    """A record whose second seed is changed."""
    first, second = record({0}, {1})["seeds"]
    return record({0}, {1}) | {"seeds": [first, second | changes]}


BAD = [
    (noise(record({0}, {1}, images=10**9 + 1)), "recipe 1: expected numbers of images, got 1000000001"),
    (noise(record({0}, {40})), "recipe 1: expected misread images from 0 to 39, ascending, got [40]"),
    (noise(record({0}, {-1})), "recipe 1: expected misread images from 0 to 39, ascending, got [-1]"),
    (
        noise(seeds(validation={"loss": 0.1, "misread": [2, 1]})),
        "recipe 1: expected misread images from 0 to 39, ascending, got [2, 1]",
    ),
    (
        noise(seeds(validation={"loss": 0.1, "misread": [1, 1]})),
        "recipe 1: expected misread images from 0 to 39, ascending, got [1, 1]",
    ),
    (noise(seeds(validation={"loss": float("nan"), "misread": []})), "recipe 1: expected a loss of at least 0 of each"),
    (noise(seeds(validation={"loss": 1e300, "misread": []})), "recipe 1: expected a loss "),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[-30:] for _, message in BAD])
def test_a_file_of_bad_records_is_refused_in_one_line(
    repository: Repository, refusal: Callable[..., str], text: str, message: str
) -> None:
    repository.put("evaluation/seed_noise.json", text)
    assert refusal("main").startswith(f"evaluation/seed_noise.json of this folder: {message}")
    repository.run("git checkout -q -b bad")
    repository.commit("bad")
    assert message in refusal("main", "bad")


def test_a_class_that_is_read_worse_is_told_from_one_that_is_read_better(
    repository: Repository, compare: Compare
) -> None:
    repository.branch("mixed", validation={*range(9), 19, 29}, test=set(range(10)))
    assert "\n9                                      +1 -2\n" in compare("main", "mixed")[1]
    assert "\n9                                      +1 -2  +0 -0\n" in compare("main", "mixed", "--final")[1]


def test_without_a_second_revision_the_files_of_this_folder_are_compared(
    repository: Repository, compare: Compare
) -> None:
    repository.write(validation=set(range(20)), test=set(range(10)))
    _, text = compare("HEAD")
    assert text.startswith("verdict: undecided: this folder and `HEAD` are two models, one run of each recipe\n")
    assert "\nhead: this folder: accuracy 0.5000 over 1 seed\n" in text
    assert "parameter " not in text


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
    assert refusal("twice") == "2 experiments have the name `twice`: name the commit of one"


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
    repository.measure(*BASE, split="test")
    repository.write(validation=None, test=BASE[0], seed=0)
    repository.commit("older")

    def newer() -> None:
        repository.measure(*misread(20), split="test", epochs=8)
        repository.write(validation=None, test=misread(20)[0], seed=0, epochs=8)

    repository.on("newer", newer)
    _, text = compare("main", "newer")
    assert text.startswith("verdict: `newer` is worse than `main`: ")
    assert text.splitlines()[0].endswith(", by test, 5 seeds each")
    assert "\ntest.errors" in text
    assert "--final" not in text


def test_a_split_that_one_side_lacks_is_left_out(repository: Repository, compare: Compare) -> None:
    repository.branch("untested", test=None)
    _, text = compare("untested", "main", "--json", "--final")
    found = json.loads(text)
    assert (list(found["splits"]), found["decided_by"]) == (["validation"], "validation")
    assert found["metrics"]["test.errors"] == {"head": 10}
    assert "\ntest.errors          absent    10\n" in compare("untested", "main", "--final")[1]


def test_validation_decides_even_against_test(measured: Repository, compare: Compare) -> None:
    measured.measure(*BASE, test=BASE)
    measured.commit("test images too")
    other(measured, "tuned", misread(1), test=misread(20), others=[record(*BASE, test=BASE)])
    status, text = compare("main", "tuned", "--fail-unless", "better", "--json", "--final")
    found = json.loads(text)
    assert {name: round(split["recipes"]["difference"], 4) for name, split in found["splits"].items()} == {
        "validation": 0.225,
        "test": -0.25,
    }
    assert (status, found["verdict"]) == (0, "better")


def test_markdown_has_the_verdict_first_and_tables_that_github_draws(measured: Repository, compare: Compare) -> None:
    measured.measure(*misread(1), epochs=8, train={"note": "a|b"})
    _, text = compare("main", "--markdown")
    verdict, why, *tables, note = text.split("\n\n")
    assert verdict.startswith("**verdict: this folder is better than `main`: 2,250 fewer misread in 10,000 (95 %: ")
    assert verdict.endswith(", by validation, 5 seeds each**")
    assert [line.split(":")[0] for line in why.splitlines()] == ["- base", "- head", "- difference", "- loss"]
    assert tables[0] == (
        "| parameter | base | head |\n| --- | ---: | ---: |\n| `train.epochs` | 5 | 8 |\n"
        "| `train.note` | absent | `'a\\|b'` |"
    )
    assert "| `validation.errors` | 11 | 2 | -9 |" in tables[1].splitlines()
    assert "| only head is right | 9 |" in tables[2].splitlines()
    assert "| 9 | +1 -0 |" in tables[3].splitlines()
    for table in tables:
        header, ruler, *rows = table.splitlines()
        columns = header.count(" | ")
        assert ruler == "| --- |" + " ---: |" * columns
        assert all(row.replace("\\|", "").count(" | ") == columns for row in rows)
    assert note == "test images: not shown; `--final` shows them, once, when the choice is made\n"


def test_json_has_a_documented_structure_without_nan(repository: Repository, compare: Compare) -> None:
    repository.put("params.yaml", "train:\n  epochs: .nan\n  filters: null\n  begun: 2026-01-31\n")
    _, text = compare("main", "--json", "--final", "--margin", "0.002")
    found = json.loads(text, parse_constant=pytest.fail)
    assert list(found) == [
        *("verdict", "decided_by", "one_recipe", "recipes", "margin", "base", "head"),
        *("parameters", "metrics", "splits", "images", "reasons"),
    ]
    assert [found[key] for key in list(found)[:5]] == ["undecided", "validation", False, 1, 0.002]
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
    assert split["recipes"] is None
    assert split["base"] == {"seeds": 1, "accuracy": 0.75, "standard_deviation": None}
    assert list(split["models"]) == [
        *("images", "base", "head", "difference", "low", "high", "only_base", "only_head", "p", "classes"),
    ]
    assert list(split["models"]["base"]) == ["right", "accuracy", "low", "high"]
    assert split["models"]["p"] == 1
    assert split["models"]["classes"]["9"] == {"images": 4, "only_base": 0, "only_head": 0}


def test_json_has_the_estimate_and_the_images_that_the_seeds_read_most_differently(
    measured: Repository, compare: Compare
) -> None:
    other(measured, "head", [{0, 20}, {0, 20}, {1, 20}, {0, 20}], epochs=8)
    found = json.loads(compare("main", "head", "--json")[1])
    assert list(found["splits"]["validation"]["recipes"]) == [
        *("difference", "error", "freedom", "provisional", "floor", "per_seed", "low", "high", "p"),
    ]
    images = found["images"]
    assert images[0] == {"image": 2, "actual": 2, "base": 5, "head": 0}
    assert {"image": 20, "actual": 0, "base": 0, "head": 4} in images
    assert {"image": 0, "actual": 0, "base": 5, "head": 3} not in images  # the others differ more
    assert {"image": 1, "actual": 1, "base": 5, "head": 1} in images
    gaps = [abs(each["base"] / 5 - each["head"] / 4) for each in images]
    assert gaps == sorted(gaps, reverse=True)
    assert len(images) == MOST_IMAGES


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
    _, text = compare("main", "--json", "--final")
    assert 0.925 - 0.75 != 0.175  # it is 0.17500000000000004
    assert json.loads(text)["metrics"]["test.accuracy"]["difference"] == 0.175


def test_what_has_neither_parameters_nor_metrics_is_compared_all_the_same(
    repository: Repository, compare: Compare
) -> None:
    for path in ("params.yaml", "metrics.json"):
        (repository.folder / path).unlink()
    _, text = compare("main", "--final")
    assert "\ntrain.epochs          5  absent\n" in text
    assert "\ntest.errors            10  absent" in text


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "options", "start"),
    [
        (True, "", [], "\033[33mverdict: undecided "),
        (True, "", ["--margin", "0.9"], "\033[32mverdict: "),
        (True, "1", [], "verdict: "),
        (False, "", [], "verdict: "),
        (True, "", ["--markdown"], "**verdict: "),
        (True, "", ["--json"], "{"),
    ],
)
def test_only_a_terminal_gets_colour_and_only_if_no_color_is_unset(
    measured: Repository,
    compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    no_color: str,
    options: list[str],
    start: str,
) -> None:
    measured.measure(*misread(11), epochs=8)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    _, text = compare("main", *options)
    assert text.startswith(start)
    assert text.count("\033") == (2 if start.startswith("\033") else 0)
    assert text.split("\n\n")[0].endswith("\033[0m") == start.startswith("\033")


@pytest.mark.parametrize(("count", "colour"), [(1, 32), (20, 31)])
def test_better_is_green_and_worse_is_red(
    measured: Repository, compare: Compare, monkeypatch: pytest.MonkeyPatch, count: int, colour: int
) -> None:
    measured.measure(*misread(count), epochs=8)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert compare("main")[1].startswith(f"\033[{colour}mverdict: ")


REFUSED = [
    (remove("evaluation/predictions.csv"), "HEAD holds no evaluation/predictions.csv: REMEDY"),
    (remove("models/provenance.json"), "HEAD holds no models/provenance.json: REMEDY"),
    (
        put("evaluation/predictions.csv", "image,actual,predicted,confidence\n0,7,7,1\n"),
        "evaluation/predictions.csv of HEAD: 'split' is missing",
    ),
    (put("metrics.json", "{"), "metrics.json of HEAD: Expecting property name"),
    (put("metrics.json", '{"loss": NaN}'), "metrics.json of HEAD: loss must be a number, got nan"),
    (put("params.yaml", "train: ]"), "params.yaml of HEAD: "),
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
        ("main:models", "unknown Git revision 'main:models'"),
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


def test_a_commit_named_in_full_is_printed_by_its_first_ten_digits(repository: Repository, compare: Compare) -> None:
    sha = repository.run("git rev-parse main").strip()
    _, text = compare(sha, "main")
    assert f"\nbase: `{sha[:10]}` ({sha[:7]}): accuracy " in text
    assert sha not in text


def test_the_command_needs_neither_data_nor_cache_and_leaves_git_as_it_was(measured: Repository) -> None:
    other(measured, "worse", misread(20))
    command = [sys.executable, "-m", "review.compare", "main", "worse", "--fail-if", "worse"]
    environment = measured.environment | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=measured.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("verdict: `worse` is worse than `main`: ")
    assert measured.run("git status --porcelain") == ""


def test_two_versions_of_own_data_under_one_name_are_refused(
    repository: Repository, refusal: Callable[..., str]
) -> None:
    describe(repository.folder)
    repository.commit("described")
    changed = {**MNIST.arrays, "y_train": Array((60_000,), "other"), "x_train": Array((60_000, 28, 28), "other")}
    describe(repository.folder, replace(MNIST, arrays=changed))
    assert refusal("HEAD") == (
        "`HEAD` and this folder have two versions of the data set mnist, whose accuracies do not compare: "
        "x_train and y_train differ"
    )


def test_a_description_that_is_missing_or_of_another_data_set_leaves_the_classes_to_their_numbers(
    repository: Repository,
) -> None:
    assert read_results("main").classes == tuple(map(str, range(10)))
    described = replace(MNIST, classes=tuple("abcdefghijkl"))
    describe(repository.folder, described)
    assert read_results(None).classes == described.classes
    describe(repository.folder, replace(described, name="mnist-5k"))
    assert read_results(None).classes == tuple(map(str, range(10)))
    describe(repository.folder, replace(described, classes=("a", "b")))
    assert read_results(None).classes == tuple(map(str, range(10)))


def test_classes_beyond_nine_are_compared(repository: Repository, compare: Compare) -> None:
    def predictions(read_as: int) -> str:
        """600 images of 300 classes in each split, all read right but validation image 299."""
        rows = ["split,image,actual,predicted,confidence"]
        for split in ("validation", "test"):
            rows += [f"{split},{image},{image % 300},{image % 300},0.5" for image in range(600)]
        return "\n".join(rows).replace("validation,299,299,299", f"validation,299,299,{read_as}") + "\n"

    repository.put("evaluation/predictions.csv", predictions(299))
    repository.commit("many classes")
    repository.put("evaluation/predictions.csv", predictions(12))
    assert re.search(r"(?m)^299 +\+0 -1$", compare("HEAD")[1])
