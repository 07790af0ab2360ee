"""The command on small repositories made here: what it prints, what it refuses, and how it exits."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import stdev
from typing import Any

import pytest

from classifier.data.catalogue import MNIST
from classifier.data.data_set import Array
from review.compare import main
from tests.conftest import describe
from tests.review.repository import IMAGES, TRAINING, Repository, keep, lock, measure, record, write

Compare = Callable[..., tuple[int, Any]]


def misread(count: int) -> list[set[int]]:
    """Five seeds that misread the images below `count`, and each one or two more."""
    return [set(range(count)) | more for more in ({30}, {31, 32}, {33}, {34, 35}, {36})]


BASE = misread(10)


def other(repository: Repository, name: str, seeds: Sequence[Any], **changes: Any) -> None:
    """Commit another recipe on a branch from main, with its seeds, and those of main as they are."""
    repository.on(name, lambda: repository.measure(*seeds, **{"others": [record(*BASE)], "epochs": 8} | changes))


@pytest.fixture(scope="module")
def repository_of_module(repository_of_module) -> Repository:
    """Five seeds are measured on main, and of other recipes on better, alike and worse; the rest is one run each."""
    repository = repository_of_module
    repository.measure(*BASE)
    describe(repository.folder)
    repository.commit("measured")
    for name, count in (("better", 1), ("alike", 11), ("worse", 20)):
        other(repository, name, misread(count))
    for name, count in (("good", 4), ("bad", 18), ("terrible", 40)):
        repository.branch(name, validation=set(range(count)), epochs=8)
    repository.branch("again", validation=set(range(40)), seed=1)
    return repository


@pytest.fixture
def compare(repository, capsys) -> Compare:
    """Run the command; return its exit status, and the document of `--json` or the text, a sentence a line.

    The results have no pipeline, so verify, which test_verify.py is of, refuses them.
    """

    def run(*arguments: str) -> tuple[int, Any]:
        status = main([*arguments, "--stale"])
        printed = capsys.readouterr()
        assert re.fullmatch("compare: warning: .*\n", printed.err)
        if "--json" in arguments:
            return status, json.loads(printed.out, parse_constant=pytest.fail)  # without NaN
        if "--markdown" not in arguments:
            assert max(map(len, re.sub("\033.*?m", "", printed.out).splitlines())) <= 80
        return status, re.sub(r"\n  (?! *95 %)", " ", printed.out)

    return run


def test_two_recipes_are_compared_in_full(repository, compare):
    losses = [0.10, 0.11, 0.12, 0.11, 0.10]
    repository.measure(*BASE, loss=losses, others=[record(*BASE, epochs=9), record(0.5, epochs=7, dataset="fashion")])
    repository.commit("losses")
    other(repository, "head", misread(1), others=[], looks=[3, 5], loss=[loss / 2 for loss in losses])
    status, text = compare("main", "head")
    sentences, tables = text.split("\n\nparameter ")
    assert status == 0
    facts = [
        r"verdict: `head` is better than `main`: 2,250 .* \(95 %: 939 to 3,561\), by validation, 5 seeds each\n",
        r"base: `main` \(\w{7}\): accuracy 0.7150 ± 0.0137 over 5 seeds",
        r"head: `head` \(\w{7}\): accuracy 0.9400 ± 0.0137 over 5 seeds",
        r"difference: \+0.2250 \(95 %: \+0.0939 to \+0.3561\), p = 0.0008",
        r"2 recipes were judged .* p < 0.025",
        r"this is look 2 at head \(3, then 5 seeds\).*`review.decide`.*",
        r"loss: -0.0540 \(95 %: -0.0643 to -0.0437\), .*p < 0.0001\)",
    ]
    assert re.fullmatch("\n".join(facts), sentences)
    expected = """\
    base  head
train.epochs     5     8

metric                base  head  difference
validation.accuracy  0.725  0.95      +0.225
validation.errors       11     2          -9

"""
    assert tables.startswith(expected)
    models = r"base +0\.7250\n.* 0\.5717 to 0\.8389\n.*head +0\.9500\n.* 0\.8350 to 0\.9862\n.*p = 0\.0039\n.*9 +\+1 -0"
    assert re.search(f"{models}\n\ntest images: not shown; `--final` ", tables, re.DOTALL)
    assert repository.run("git status --porcelain") == ""


def test_no_line_is_over_80_and_at_most_nine_say_why(repository, compare):
    long = "/".join(["x" * 200, "y" * 99])
    repository.measure(*BASE, train={"k" * 180: "v" * 500})
    repository.put("metrics.json", json.dumps({"m" * 190: 1e300, "n" * 190: {"o": -1e-300}}))
    repository.commit("long")
    others = [record(*BASE, epochs=9, train={"k": number}) for number in range(9)]
    other(repository, long, misread(12), others=others, looks=[1, 2, 3, 4, 5])
    for arguments in (["main", long], [long, "main"], [long, "--final"]):
        assert compare(*arguments)[1].startswith("verdict: ")  # the fixture counts the characters
        assert 3 <= len(compare(*arguments, "--json")[1]["reasons"]) <= 9


GATES = {  # and the verdicts that they stop
    "--fail-if worse": {"worse"},
    "--fail-unless better": {"worse", "undecided", "no worse"},
    "--fail-unless no-worse": {"worse", "undecided"},
}


@pytest.mark.parametrize(
    ("sides", "margin", "verdict", "pattern"),
    [
        ("main better", "0.01", "better", "2,250 fewer misread in 10,000 .*, 5 seeds each\n"),
        ("main worse", "0.01", "worse", "2,500 more misread in 10,000 .*, 5 seeds each\n"),
        ("main alike", "0.01", "undecided", r"-0.0250 .*no number of seeds gets below ±0\.\d{4} .* 40 images\n"),
        ("main alike", "0.2", "no worse", "by more than 0.2: -0.0250"),
        ("main worse", "0.9", "no worse", "by more than 0.9: -0.2500"),
        ("main good", "0.01", "undecided", "5 and 1 seeds, provisional\n.*: head has one seed.* p < 0.000001"),
        ("good main", "0.01", "undecided", "1 and 5 seeds, provisional\n.*: base has one seed.* p < 0.000001"),
        ("main bad", "0.4", "undecided", "provisional"),  # the margin is outside its limits of 95 %
        ("main terrible", "0.01", "worse", "provisional"),
        ("v1 good", "0.9", "undecided", r"alone 6: \+0.1500 \(95 %: .* to \+0.1500\).*, p = 0.0312\nthe recipes: unk"),
        ("main again", "0.01", "no worse", "both are runs of one recipe\n.*exact test, p < 0.0001\n\n"),
    ],
)
def test_the_verdict_and_the_gates_that_it_stops(compare, sides, margin, verdict, pattern):
    arguments = [*sides.split(), "--margin", margin]
    assert compare(*arguments, "--json")[1]["verdict"] == verdict
    assert re.search(pattern, compare(*arguments)[1], re.DOTALL)
    assert compare(*arguments)[0] == 0
    for gate, stopped in GATES.items():
        assert compare(*arguments, *gate.split())[0] == (verdict in stopped)


CHANGED = TRAINING | {"stages/train.py": "c" * 32}
FORGED = record(BASE[0], set(range(40)))
HERE = {"kernels": "avx2", "threads": 4}
KERNELS = "`kernels` `absent` -> `avx2`"
ONE_RECIPE = "verdict: this folder is no worse than `main`: both are runs of one recipe"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        # base's file judges base: according to head's, any difference disappears in the noise of base
        (measure(*misread(20), epochs=8, others=[FORGED]), "base: .* 0.7150 ± 0.0137 over 5 seeds"),
        (write(validation=BASE[0], environment=HERE, lock=lock("e" * 32)), "head: .* another machine .*threads.*"),
        (write(validation=BASE[0], seed=0, environment=HERE, lock=lock("e" * 32)), f"machines: .*: {KERNELS}, .*"),
        (
            lambda here: (
                here.measure(*BASE, environment=HERE, training={**CHANGED})
                or here.write(validation=BASE[0], seed=0, environment={"kernels": "avx512"}, lock=lock("e" * 32))
            ),
            "head: .* over 1 seed; .* another machine \\(`kernels` `avx2` -> `avx512`, .*",
        ),
        (keep(record({0}, *BASE[1:])), "head: .* 0.7250 over 1 seed; its measurement is stale: it says .*"),
        (keep(record(*BASE, epochs=3), record(*BASE, dataset="mnist-5k")), "head: .* 0.7250 over 1 seed"),
        (measure(*misread(12), train={"label_smoothing": 0.1}), "loss: not compared, .* label smoothing"),
        (measure(*misread(12), epochs=8), "loss: not compared, .* at least 2 seeds of each recipe, .*"),
        (write(seed=0, lock=lock(training=CHANGED), validation=BASE[0]), ONE_RECIPE),  # code that changes no model
        (write(seed=0, lock=lock("f" * 32, CHANGED)), "verdict: undecided.*"),  # code that changes the model
        (write(seed=0, lock=lock(training=CHANGED)), "verdict: undecided.*"),  # another file of predictions
        (write(seed=0, lock=lock(command="echo 3")), "verdict: undecided.*"),
        (write(seed=7, lock=lock(evaluation={"stages/evaluate.py": "c"})), "verdict: undecided.*"),
    ],
)
def test_what_counts_as_the_recipe_its_seeds_and_its_losses_is_said_with_the_reason(repository, compare, change, line):
    change(repository)
    assert [text for text in compare("main")[1].splitlines() if re.fullmatch(line, text)]


def test_the_more_recipes_were_judged_the_more_better_takes(repository, compare):
    repository.measure(*misread(3), epochs=8, others=[record(0.5, 0.6, epochs=100 + more) for more in range(39)])
    document = compare("main", "--json")[1]
    assert 0.05 / 40 < document["splits"]["validation"]["recipes"]["p"] < 0.05
    assert (document["recipes"], document["verdict"]) == (40, "undecided")
    assert "40 recipes were judged against base on these images (`--recipes`" in compare("main")[1]
    listed = compare("main", "--recipes")[1].splitlines()
    assert len(listed) == 41
    assert re.fullmatch(r"mnist-\w{12}  0.8900 ± 0.0137 over 5 seeds  train.epochs 8", listed[1])


def test_no_number_of_test_images_is_shown_before_the_final_look(repository, compare):
    repository.measure(*BASE, test=[set(range(count)) for count in (7, 8, 9, 10, 11)])  # accuracies 0.825, 0.8, ...
    repository.commit("test images too")
    repository.measure(*BASE, epochs=8, test=[set(range(count)) for count in (1, 2, 3, 4, 5)])  # 0.975, 0.95, ...
    for form in ([], ["--markdown"], ["--json"]):
        hidden, final = compare("main", *form)[1], compare("main", "--final", *form)[1]
        for number in ("0.825", "0.975", "test.errors", "test.accuracy"):
            assert number not in str(hidden)
            assert number in str(final)
    assert "test images: each look at them makes " in compare("main", "--final")[1]
    assert final["splits"]["test"]["head"] == {
        "seeds": 5,
        "accuracy": 0.925,
        "standard_deviation": pytest.approx(stdev([1, 2, 3, 4, 5]) / IMAGES),
    }
    assert (final["verdict"], final["decided_by"]) == ("undecided", "validation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--fail-unless no-worse", "--fail-unless no-worse takes --margin: "),
        ("--margin 2", "--margin: expected an accuracy between 0 and 1, such as 0.002, got 2"),
        ("--margin nan", "--margin: expected an accuracy between 0 and 1, such as 0.002, got nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        main(["main", *options.split()])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_markdown_has_the_verdict_first_and_tables_that_github_draws(repository, compare):
    repository.measure(*misread(1), epochs=8, train={"note": "a|b"})
    verdict, why, *tables, _ = compare("main", "--markdown")[1].split("\n\n")
    assert verdict.startswith("**verdict: this folder is better than `main`: ")
    by = "- by validation, 5 seeds each"
    assert [line.split(":")[0] for line in why.splitlines()] == [by, "- base", "- head", "- difference", "- loss"]
    header = "| parameter | base | head |\n| --- | ---: | ---: |\n"
    assert tables[0] == header + "| `train.epochs` | 5 | 8 |\n| `train.note` | absent | `'a\\|b'` |"
    rows = ("| `validation.errors` | 11 | 2 | -9 |", "| only head is right | 9 |", "| `9` | +1 -0 |")
    assert [row in table.splitlines() for row, table in zip(rows, tables[1:], strict=True)] == [True] * 3


def test_json_has_a_documented_structure(repository, compare):
    repository.write(validation={0, 20}, test=set(range(10)))
    repository.put("params.yaml", "train:\n  epochs: 5.0\n  filters: null\n  begun: 2026-01-31\n")
    document = compare("v1", "--final", "--margin", "0.002", "--json")[1]
    keys = ("verdict", "decided_by", "one_recipe", "recipes", "margin")
    assert [document[key] for key in keys] == ["undecided", "validation", False, 1, 0.002]
    sha = repository.run("git rev-parse v1^{commit}").strip()
    assert document["base"] == {"revision": "v1", "commit": sha, "dataset": "mnist", "train_images": 200}
    assert document["head"] == {"revision": None, "commit": None, "dataset": "mnist", "train_images": 200}
    assert document["parameters"]["train.epochs"] == {"base": 5, "head": 5.0}  # a change of the type alone
    assert document["parameters"]["train.filters"] == {"base": [32, 64], "head": None}
    assert document["metrics"]["test.accuracy"] == {"base": 0.75, "head": 0.75, "difference": 0.0}
    split = document["splits"]["test"]
    assert (split["recipes"], split["base"]) == (None, {"seeds": 1, "accuracy": 0.75, "standard_deviation": None})
    assert split["models"]["classes"]["9"] == {"images": 4, "only_base": 0, "only_head": 0}
    first, *_, last = document["images"]
    assert first == {"image": 1, "actual": 1, "base_reads": 2, "head_reads": 1, "base": 1, "head": 0}
    assert last == {"image": 20, "actual": 0, "base_reads": 0, "head_reads": 1, "base": 0, "head": 1}
    assert document["reasons"][0].startswith("base: v1 (")


def test_a_terminal_gets_colour_if_no_color_is_unset(compare, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for head, colour in (("alike", 33), ("better", 32), ("worse", 31)):
        assert re.match(f"\033\\[{colour}mverdict: .*\033\\[0m\n\n", compare("main", head)[1])
        assert "\033" not in compare("main", head, "--markdown")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert compare("main", "worse")[1].startswith("verdict: ")


def test_classes_have_names_and_two_counts(repository, compare):
    repository.write(validation={*range(9), 19, 29}, test=set(range(10)))
    describe(repository.folder, replace(MNIST, classes=tuple(f"class {label}" for label in range(10))))
    assert "\nclass 9                                +1 -2  +0 -0\n" in compare("v1", "--final")[1]


OTHER = replace(MNIST, arrays={**MNIST.arrays, "x_train": Array((60_000, 28, 28), "other")})


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (write(dataset="mnist-5k"), "`main` is of the data set mnist and this folder of mnist-5k.*download.dataset.*"),
        (write(validation=None), "only `main` has .* validation images, .* preprocess.validation_images.*"),
        (write(images=IMAGES + 2), "`main` and this folder .* different validation images.*section preprocess.*"),
        (write(shift=1), "`main` and this folder .* different validation images.*section preprocess.*"),
        (lambda here: describe(here.folder, OTHER), "`main` and .* two versions of .* mnist.*: x_train differ"),
    ],
)
def test_what_does_not_compare_is_refused_in_one_line(repository, run, change, pattern):
    change(repository)
    status, lines, error = run("main")
    assert (status, lines) == (2, [])
    assert re.fullmatch(f"compare: {pattern}\n", error)
