"""The documents are true: their links, commands and licence, and the figures of README and the model card."""

import csv
import hashlib
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from review.escaping import spread
from review.results import parse_parameters, recipe_of
from review.revision import Results, read_results
from review.seeds import differing_keys, parse_record, same_recipe
from tests.conftest import REPOSITORY

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
]
CARD = "docs/model-card.md"

# SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def links(markdown: str) -> Iterator[str]:
    """Yield the target of each link and each picture."""
    for block in MarkdownIt().enable("table").parse(markdown):
        for token in block.children or []:
            if target := token.attrGet("href") or token.attrGet("src"):
                yield str(target)


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", markdown)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def missing(document: Path) -> list[str]:
    """The relative links to a file or a heading that does not exist.

    `../../actions/workflows/NAME.yml`, in a document at the top, is GitHub's page about .github/workflows/NAME.yml.
    """
    found = []
    for link in links(document.read_text()):
        path, _, anchor = link.partition("#")
        path = re.sub(r"^\.\./\.\./actions(/workflows/[^/]+\.yml)(/badge\.svg)?$", r".github\1", path)
        target = document.parent / path if path else document
        if "://" not in link and (
            not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8")))
        ):
            found.append(link)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_target_of_every_relative_link_exists(name: str) -> None:
    assert missing(REPOSITORY / name) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    text = "# A heading\n[a](#a-heading) [b](#none) [c](gone.md) ![d](gone.png)\n\n| |\n| - |\n| [e](gone.csv) |\n"
    (tmp_path / "page.md").write_text(text)
    assert missing(tmp_path / "page.md") == ["#none", "gone.md", "gone.png", "gone.csv"]


def test_a_badge_of_a_workflow_needs_the_file_of_that_workflow(tmp_path: Path) -> None:
    badge = [f"../../actions/workflows/{name}" for name in ("test.yml/badge.svg", "test.yml")]
    (tmp_path / "page.md").write_text("[![test]({})]({})\n".format(*badge))
    workflow = tmp_path / ".github/workflows/test.yml"
    workflow.parent.mkdir(parents=True)
    workflow.touch()
    assert missing(tmp_path / "page.md") == []
    workflow.rename(workflow.with_name("tests.yml"))
    assert missing(tmp_path / "page.md") == badge[::-1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_and_module_in_a_document_exists(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    targets = set(re.findall(r"(?m)^([a-z]+):", (REPOSITORY / "Makefile").read_text()))
    assert set(re.findall(r"(?:`|^|=\S+ )make ([a-z]+)", text, re.MULTILINE)) <= targets
    modules = set(re.findall(r"python -m ([a-z_.]+)", text))
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_readme_is_short_enough_to_read() -> None:
    assert len((REPOSITORY / "README.md").read_text().split()) <= 1_800


def test_the_licence_is_the_unmodified_text_that_pyproject_names() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == APACHE_2


def committed(path: str) -> str:
    """The text of a file in HEAD; in the folder, a run on another machine or data set may have changed it."""
    return subprocess.run(
        ["git", "show", f"HEAD:{path}"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Results:
    """The results in HEAD, if they are of the data set that the documents are about."""
    monkeypatch.chdir(REPOSITORY)
    found = read_results("HEAD")
    if found.dataset != "mnist":
        pytest.skip(f"the results in HEAD are of {found.dataset}, and the documents are about MNIST")
    return found


def over_seeds(results: Results) -> dict[str, str]:
    """Accuracy over seeds by split, in the form of the documents; empty if the committed recipe was not measured."""
    measured = [record for record in results.noise if len(record.runs) > 1 and same_recipe(record, results)]
    readings = {split: record.readings(split) for record in measured for split in ("validation", "test")}
    return {split: spread(found) for split, found in readings.items() if found}


def statements(results: Results, digits: str) -> list[str]:
    """What the model card must say; `digits` is the text of evaluation/per_class.csv."""
    metrics, parameters, environment = results.metrics, results.parameters, results.environment
    validation, test = (results.predictions[split] for split in ("validation", "test"))
    misread = [(split.actual != split.predicted).sum() for split in (validation, test)]
    worst = min(csv.DictReader(digits.splitlines()), key=lambda row: float(row["recall"]))
    expected = [
        f"the MD5 `{results.model}`",
        f"MNIST (`{results.dataset}`)",
        f"{results.train_images:,} of the training images train the model and {len(validation.actual):,} validate",
        f"| validation ({len(validation.actual):,} images) | test ({len(test.actual):,} images) |",
        f"{parameters['train.epochs']} epochs, batches of {parameters['train.batch_size']},",
        f"a {parameters['train.schedule']} schedule",
        f"a largest learning rate of {parameters['train.learning_rate']},",
        f"label smoothing of {parameters['train.label_smoothing']},",
        f"random shifts of up to {parameters['train.shift']} pixel.",
        f"seed {parameters['train.seed']} in `{environment['precision']}`,",
        f"on {environment['threads']} threads and {environment['gpus']} GPUs, with kernels `{environment['kernels']}`,",
        f"TensorFlow {environment['versions.tensorflow']}, Keras {environment['versions.keras']} "
        f"and NumPy {environment['versions.numpy']}",
        f"| accuracy of the committed model | {metrics['validation.accuracy']:.4f} | {metrics['test.accuracy']:.4f} |",
        f"| misread images | {misread[0]} | {misread[1]} |",
        f"| cross-entropy (nats) | {metrics['validation.loss']:.4f} | {metrics['test.loss']:.4f} |",
        f"the digit {worst['class']}: {float(worst['recall']):.4f}",
    ]
    if spreads := over_seeds(results):
        validation_spread, test_spread = (spreads[split].split(" over ") for split in ("validation", "test"))
        expected.append(
            f"accuracy over {test_spread[1]}, mean ± standard deviation | {validation_spread[0]} | {test_spread[0]} |"
        )
    return expected


def test_the_model_card_has_the_figures_of_the_committed_results(results: Results) -> None:
    card = " ".join(committed(CARD).split())
    assert [each for each in statements(results, committed("evaluation/per_class.csv")) if each not in card] == []


def test_readme_has_the_accuracies_of_the_committed_recipe_and_model(results: Results) -> None:
    readme = " ".join(committed("README.md").split())
    for split, measured in over_seeds(results).items():
        accuracy, seeds = measured.split(" over ")
        assert f"{split} accuracy {accuracy}" in readme.replace("Test", "test")
        assert f": mean and standard deviation over {seeds}" in readme
    assert f"test accuracy {results.metrics['test.accuracy']:.4f}." in readme


def test_the_accuracy_of_each_recipe_in_readme_is_that_of_its_record(results: Results) -> None:
    readme = committed("README.md")
    rows = re.findall(
        r"(?m)^\| `(params\.yaml|recipes/\S+\.yaml)` \|.*\| (0\.\d{4} ± 0\.\d{4} over \d+ seeds)\b", readme
    )
    assert len(rows) > 1
    found = [unlike_record(results, path, measured) for path, measured in rows]
    assert [each for each in found if each] == []


def unlike_record(results: Results, path: str, accuracy: str) -> str | None:
    """The accuracy in the record of a recipe file, if there is a record and it has another than this."""
    parameters = parse_parameters(committed(path))
    for record in results.noise:
        if record.dataset == parameters["download.dataset"] and not differing_keys(
            record.parameters, recipe_of(parameters)
        ):
            readings = record.readings("test")
            if readings and spread(readings) != accuracy:
                return f"{path}: {spread(readings)}"
    return None


def test_a_new_measurement_changes_the_figures_that_the_documents_must_have(results: Results) -> None:
    def run(seed: int, validation: int, test: int) -> dict[str, Any]:
        misread = {"validation": validation, "test": test}
        read = {split: {"loss": 0.1, "misread": list(range(count))} for split, count in misread.items()}
        return {"seed": seed, "model": "0" * 32, **read}

    record = parse_record(
        {
            "dataset": results.dataset,
            "parameters": recipe_of(results.parameters),
            "environment": {},
            "training": {"train.py": "0" * 32},
            "images": {"validation": 10, "test": 100},
            "looks": [2],
            "seeds": [run(0, 5, 75), run(1, 3, 65)],
        },
        "record",
    )
    changed = replace(results, noise=[record])
    assert over_seeds(changed) == {"validation": "0.6000 ± 0.1414 over 2 seeds", "test": "0.3000 ± 0.0707 over 2 seeds"}
    rows = statements(changed, committed("evaluation/per_class.csv"))
    assert "accuracy over 2 seeds, mean ± standard deviation | 0.6000 ± 0.1414 | 0.3000 ± 0.0707 |" in rows
    assert unlike_record(changed, "params.yaml", "0.3000 ± 0.0707 over 2 seeds") is None
    assert unlike_record(changed, "params.yaml", "0.3000 ± 0.0707 over 5 seeds") == (
        "params.yaml: 0.3000 ± 0.0707 over 2 seeds"
    )
