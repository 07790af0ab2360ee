"""The documents are true: their links, commands, paths and licence, and the figures of README and the model card."""

import csv
import hashlib
import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from classifier.parameters import parse_yaml
from review.escaping import spread
from review.results import Results, name_recipe, parse_parameters
from review.revision import read_results
from tests.conftest import REPOSITORY

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in REPOSITORY.glob("docs/*.md"))]

# SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def missing(document: Path) -> list[str]:
    """The relative links and pictures whose file or heading does not exist.

    `../../actions/workflows/NAME.yml`, in a document at the top, is GitHub's page about .github/workflows/NAME.yml.
    """
    blocks = MarkdownIt().enable("table").parse(document.read_text())
    tokens = [token for block in blocks for token in block.children or []]
    dead = []
    for link in (str(token.attrGet("href") or token.attrGet("src") or "https://") for token in tokens):
        path, _, anchor = link.partition("#")
        path = re.sub(r"^\.\./\.\./actions(/workflows/[^/]+\.yml)(/badge\.svg)?$", r".github\1", path)
        target = document.parent / path if path else document
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            dead.append(link)
    return dead


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_target_of_every_relative_link_exists(name):
    assert missing(REPOSITORY / name) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_module_and_path_in_a_document_exists(name):
    text = (REPOSITORY / name).read_text()
    targets = set(re.findall(r"(?m)^([a-z]+):", (REPOSITORY / "Makefile").read_text()))
    assert set(re.findall(r"(?:`|^|=\S+ )make ([a-z]+)", text, re.MULTILINE)) <= targets
    modules = set(re.findall(r"python -m ([a-z_.]+)", text))
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    folders = "bench|classifier|docs|predict|recipes|review|stages|sweep|tests|trials"
    paths = re.findall(rf"(?<![\w:/.])(?:{folders})/[a-z_0-9./*-]*[a-z0-9/*]", re.sub(r"`8fe9958`,? \S+", "", text))
    assert [path for path in paths if not list(REPOSITORY.glob(path.rstrip("/")))] == []


def test_the_glossary_explains_each_word_in_a_line_and_readme_links_to_it_where_it_first_uses_one():
    entries = [line for line in (REPOSITORY / "docs/glossary.md").read_text().splitlines()[1:] if line]
    words = {word for line in entries for word in re.findall(r"\*\*(.+?)\*\*", line)}
    assert {"base", "head", "mirror", "noise", "provisional", "repro", "seed", "stage", "stand-in", "verdict"} <= words
    assert [line for line in entries if not re.match(r"\*\*.+\*\*: \S", line) or len(line) > 120] == []
    prose = re.sub(r"(?ms)^```.*?^```", "", (REPOSITORY / "README.md").read_text())
    used = [re.search(rf"(?i)(?<![\w/.-]){word}s?(?![\w/-]|\.\w)(.*)", prose) for word in words]
    assert [first[0] for first in used if first and not re.match(r"[^][]*\]\(docs/glossary\.md\)", first[1])] == []


def test_the_licence_is_the_unmodified_text_that_pyproject_names():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == APACHE_2


def committed(path: str) -> str:
    """The text of a file in HEAD; in the folder, a run on another machine may have changed it."""
    return subprocess.check_output(["git", "show", f"HEAD:{path}"], cwd=REPOSITORY, text=True)


@pytest.fixture
def results(monkeypatch) -> Results:
    """The results in HEAD, if they are of the data set that the documents are about."""
    monkeypatch.chdir(REPOSITORY)
    results = read_results("HEAD")
    if results.dataset != "mnist":
        pytest.skip(f"the results in HEAD are of {results.dataset}, and the documents are about MNIST")
    return results


def over_seeds(results: Results) -> dict[str, str]:
    """Accuracy over seeds by split, such as 0.9940 ± 0.0005 over 10 seeds; empty if the recipe was not measured."""
    records = [record for record in results.noise if len(record.runs) > 1 and record.recipe == results.recipe]
    readings = {split: record.readings(split) for record in records for split in ("validation", "test")}
    return {split: spread(each) for split, each in readings.items() if each}


def test_the_model_card_has_the_figures_of_the_committed_results(results):
    card, metrics, environment = committed("docs/model-card.md"), results.metrics, results.environment
    rows = csv.DictReader(committed("evaluation/per_class.csv").splitlines())
    misread = {split: len(predictions.misread()) for split, predictions in results.predictions.items()}
    figures = [
        f"`{results.model}`",
        f"| accuracy of the committed model | {metrics['validation.accuracy']:.4f} | {metrics['test.accuracy']:.4f} |",
        f"| misread images | {misread['validation']} | {misread['test']} |",
        f"| cross-entropy (nats) | {metrics['validation.loss']:.4f} | {metrics['test.loss']:.4f} |",
        f"{min(float(row['recall']) for row in rows):.4f}",
        f"`{environment['precision']}`",
        f"`{environment['kernels']}`",
        f"TensorFlow {environment['versions.tensorflow']}",
        *(f"{accuracy.partition(' over')[0]} |" for accuracy in over_seeds(results).values()),
    ]
    assert [figure for figure in figures if figure not in card] == []


def test_readme_has_the_accuracies_of_the_committed_recipe_and_model(results):
    readme = " ".join(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", committed("README.md")).split())
    for split, accuracy in over_seeds(results).items():
        mean, seeds = accuracy.split(" over ")
        assert f"{split} accuracy {mean}" in readme.replace("Test", "test")
        assert f": mean and standard deviation over {seeds}" in readme
    assert f"test accuracy {results.metrics['test.accuracy']:.4f}." in readme


def test_the_accuracy_of_each_recipe_in_readme_is_that_of_its_record(results):
    readme, checked = committed("README.md"), 0
    for path, accuracy in re.findall(r"(?m)^\| `(\S+\.yaml)` \|.*\| (0\.\d{4} ± 0\.\d{4} over \d+ seeds) \|", readme):
        parameters = parse_parameters(parse_yaml(committed(path).encode()))
        name = name_recipe(parameters["download.dataset"], parameters)
        for record in results.noise:
            if record.recipe == name and (readings := record.readings("test")):
                assert spread(readings) == accuracy, path
                checked += 1
    assert checked >= 5
