"""The folder that is written for reviewers: what it says, what it draws, what it refuses."""

import base64
import errno
import html.parser
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from classifier.data.catalogue import MNIST
from review import drawing, report
from review.comparison import compare_results
from review.report import main
from review.results import Predictions
from review.revision import read_results
from review.text import MOST_IMAGES, as_markdown
from tests.clone import Clone
from tests.conftest import REPOSITORY, describe
from tests.review.repository import IMAGES, Change, Repository, put, record

HISTORY = """\
epoch,accuracy,loss,validation_accuracy,validation_loss
1,0.900000,0.300000,0.920000,0.200000
2,0.950000,0.100000,0.960000,0.150000
"""
BASE = [set(range(10)) | {30 + seed} for seed in range(5)]  # images that the seeds misread
BETTER = [{0, 35}, {0, 36}, {0}, {0, 37}, {0}]
PICTURES = ["learning_curve_loss.png", "learning_curve_accuracy.png", "confusion_difference.png"]
CURVES = {
    "loss": [0.3, 0.1],
    "accuracy": [0.9, 0.95],
    "validation_loss": [0.2, 0.15],
    "validation_accuracy": [0.9, 0.9],
}


@pytest.fixture(scope="module")
def repository_of_module(repository_of_module: Repository) -> Repository:
    """On main there is a history and five seeds, and on the branch better a recipe that misreads fewer images."""
    repository_of_module.put(".gitignore", "/.dvc/tmp\n/report\n/data\n")
    repository_of_module.put("evaluation/history.csv", HISTORY)
    repository_of_module.measure(*BASE, test=BASE)
    repository_of_module.commit("history and seeds")
    measured = {"epochs": 2, "test": BASE, "others": [record(*BASE, test=BASE)]}
    repository_of_module.on("better", lambda: repository_of_module.measure(*BETTER, **measured))
    return repository_of_module


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Call a function of review.drawing and return its figure instead of the PNG."""
    monkeypatch.setattr(drawing, "_png", lambda figure: figure)
    return lambda draw, *sides: draw(*sides)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Draw no picture, which takes a second, where a test is of the text; return what would be drawn."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(report, "draw_learning_curve", lambda metric, *sides: asked.update({metric: sides}) or b"PNG")
    monkeypatch.setattr(report, "draw_difference", lambda *given: asked.update(difference=given) or b"PNG")
    return asked


class Page(html.parser.HTMLParser):
    """The tags, the pictures and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_report_has_the_verdict_first_all_that_compare_says_and_a_page_that_loads_nothing(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["main", "better"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("\nreport: report.html, report.md and 3 pictures -> report\n")
    assert max(map(len, printed.splitlines())) <= 80
    written = files(repository.folder / "report")
    markdown = written["report.md"].decode()
    starts = [
        *("**verdict: `better` is better than `main`: ", "- base: ", "**`dvc.lock` of head ", "| parameter |", "| met"),
        *("| the two committed models |", "| class ", "test images: ", "### Learning curves", "![loss by epoch]"),
        *("### What changed in the confusion matrix, validation", "Orange: ", "![Difference of", "### Images that the"),
    ]
    blocks = markdown.split("\n\n")
    places = [next(place for place, block in enumerate(blocks) if block.startswith(start)) for start in starts]
    assert places == sorted(places)
    comparison = compare_results(read_results("main"), read_results("better"))
    assert all(block in blocks for block in as_markdown(comparison).split("\n\n"))
    names = re.findall(r"\]\((.*?)\)", markdown)
    assert names == PICTURES
    assert sorted(written) == sorted([*names, "report.md", "report.html"])
    text = written["report.html"].decode()
    page = Page(text)
    assert [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in page.sources] == [
        written[name] for name in names
    ]
    assert all(written[name].startswith(b"\x89PNG\r\n") and b"Software" not in written[name] for name in names)
    assert not page.tags & {"script", "link", "iframe", "a"}
    assert "://" not in text
    assert "url(" not in text
    assert repository.run("git status --porcelain") == ""


def test_test_images_are_in_the_report_only_if_asked_for(repository: Repository, undrawn: dict[str, Any]) -> None:
    main(["main", "better"])
    hidden = repository.read("report/report.md") + repository.read("report/report.html")
    main(["main", "better", "--final"])
    assert "test.errors" not in hidden
    assert "| `test.errors` | 11 | 11 | 0 |" in repository.read("report/report.md")


def test_the_same_results_give_the_same_bytes_whatever_the_users_matplotlib_is_set_to(
    repository: Repository, tmp_path: Path
) -> None:
    main(["main", "better", "--output", str(tmp_path / "one")])
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):
        main(["main", "better", "--output", str(tmp_path / "two")])
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_pictures_are_of_the_split_that_decided_first_base_and_then_head(
    repository: Repository, undrawn: dict[str, Any]
) -> None:
    repository.branch("older", validation=None, test=set(range(10)))
    repository.put("evaluation/history.csv", "epoch,accuracy,loss\n1,0.900000,0.300000\n")
    repository.write(validation=None, test={3, 13, 29})  # of four images of each digit
    assert main(["older"]) == 0  # without a second name, head is the files of this folder
    base, head, names = undrawn["difference"]
    assert list(names) == list("0123456789")
    assert (base.misread().tolist(), head.misread().tolist()) == (list(range(10)), [3, 13, 29])
    assert [side["loss"] for side in undrawn["loss"]] == [[0.3, 0.1], [0.3]]
    assert "### What changed in the confusion matrix, test images" in repository.read("report/report.md")


@pytest.mark.parametrize("held", [{}, None, {"images": IMAGES + 1}, {"shift": 1}])
def test_the_images_that_the_seeds_read_most_differently_are_listed_and_drawn_if_the_folder_has_them(
    repository: Repository, undrawn: dict[str, Any], held: dict[str, int] | None
) -> None:
    describe(repository.folder, replace(MNIST, classes=("zero", "|@user", *map("class {}".format, range(2, 10)))))
    if held is not None:
        images, shift = held.get("images", IMAGES), held.get("shift", 0)
        (repository.folder / "data/processed").mkdir(parents=True)
        labels = np.eye(10, dtype=np.float32)[(np.arange(images) + shift) % 10]
        np.save(repository.folder / "data/processed/validation_labels.npy", labels)
        pixels = np.zeros((images, 28, 28, 1), np.float32)
        np.save(repository.folder / "data/processed/validation_images.npy", pixels)
    repository.measure(*BETTER, test=BETTER)
    assert main(["main"]) == 0
    table = [line for line in repository.read("report/report.md").splitlines() if line.endswith(" of 5 |")]
    assert len(table) == MOST_IMAGES
    assert table[0] == r"| 1 | `\|@user` | `class 2` | `\|@user` | 5 of 5 | 0 of 5 |"
    is_drawn = held == {}
    end = (
        "![The 10 images of this table](images_that_differ.png)" if is_drawn else "They are not drawn: `data/processed`"
    )
    assert repository.read("report/report.md").split("\n\n")[-1].startswith(end)
    assert (repository.folder / "report/images_that_differ.png").exists() == is_drawn


def test_loss_curves_that_do_not_compare_and_a_missing_history_are_said(
    repository: Repository, undrawn: dict[str, Any]
) -> None:
    repository.write(validation=BASE[0], train={"label_smoothing": 0.1})
    assert main(["main"]) == 0
    assert "\n\nDo not compare the training losses: " in repository.read("report/report.md")
    (repository.folder / "evaluation/history.csv").unlink()
    assert main(["main"]) == 0
    text = repository.read("report/report.md")
    assert "No learning curve of head: it holds no `evaluation/history.csv`." in text
    assert "(learning_curve_loss.png)" in text
    repository.commit("no history")
    assert main(["HEAD", "--output", "neither"]) == 0
    assert "learning_curve" not in repository.read("neither/report.md")
    assert "read most differently" not in repository.read("neither/report.md")  # the two read all images alike


@pytest.mark.parametrize(
    ("cmd", "said"),
    [
        ("echo 1", "`dvc.lock` of head matches: "),
        ("echo 2 | cat", "does not match:**\n\n- `train`: `changed command: echo 1 -> echo 2 | cat`"),
        (None, "**`dvc.lock` of head cannot be checked:** `there is no dvc.lock: 'dvc repro' writes it`"),
    ],
)
def test_the_report_tells_whether_the_lock_of_head_is_true(
    repository: Repository, undrawn: dict[str, Any], cmd: str | None, said: str
) -> None:
    if cmd is None:
        (repository.folder / "dvc.lock").unlink()
    else:
        repository.put("dvc.lock", "schema: '2.0'\nstages:\n  train:\n    cmd: echo 1\n")
        repository.put("dvc.yaml", f"stages:\n  train:\n    cmd: {cmd}\n")
    assert main(["main"]) == 0
    assert said in "\n\n".join(repository.read("report/report.md").split("\n\n")[2:4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("evaluation/history.csv", "epoch,loss\n1,0.5\n"), "evaluation/history.csv of this folder: "),
        (put("report", "a file"), "[Errno 17] File exists: 'report'"),
    ],
)
def test_what_cannot_be_compared_or_written_is_refused_in_one_line_and_nothing_is_written(
    repository: Repository, undrawn: dict[str, Any], refusal: Callable[..., str], change: Change, message: str
) -> None:
    change(repository)
    assert refusal("main").startswith(message)
    assert not (repository.folder / "report").is_dir()


def test_a_full_disk_leaves_the_report_of_before_and_nothing_else(
    repository: Repository, undrawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["main", "better"])
    before = files(repository.folder / "report")
    write_bytes = Path.write_bytes

    def until_the_page(path: Path, content: bytes) -> int:
        written = write_bytes(path, content[:10])
        if path.name.endswith("report.html"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    monkeypatch.setattr(Path, "write_bytes", until_the_page)
    assert main(["better", "main"]) == 2
    assert capsys.readouterr().err == "report: report could not be written: No space left on device\n"
    assert files(repository.folder / "report") == before


def test_curves_of_unlike_length_are_drawn_whole_in_two_colours(drawn: Callable[..., Figure]) -> None:
    shorter = {"loss": [0.3], "accuracy": [0.9], "validation_loss": [0.2]}
    figure = drawn(drawing.draw_learning_curve, "loss", CURVES, shorter)
    (axes,) = figure.axes
    assert [(to_hex(line.get_color()), line.get_linestyle(), list(line.get_ydata())) for line in axes.lines] == [
        ("#0072b2", "--", [0.3, 0.1]),
        ("#0072b2", "-", [0.2, 0.15]),
        ("#d55e00", "--", [0.3]),
        ("#d55e00", "-", [0.2]),
    ]
    assert all(line.get_marker() not in ("", "None") for line in axes.lines)  # a single epoch has no line
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["base, training", "base, validation", "head, training", "head, validation"]
    low, high = axes.get_xlim()
    assert all(tick == round(tick) for tick in axes.get_xticks() if low <= tick <= high)  # epochs are whole numbers
    figure = drawn(drawing.draw_learning_curve, "accuracy", CURVES, shorter)  # head has no validation accuracy
    assert len(figure.legends[0].get_texts()) == 3


def test_a_loss_of_zero_is_drawn_on_a_scale_that_has_zero(drawn: Callable[..., Figure]) -> None:
    scales = [
        drawn(drawing.draw_learning_curve, "loss", {"loss": [loss]}, {}).axes[0].get_yscale() for loss in (0.0, 0.1)
    ]
    assert scales == ["linear", "log"]


def test_the_difference_tells_errors_that_came_from_those_that_went_in_the_classes_with_most_errors(
    drawn: Callable[..., Figure],
) -> None:
    pairs = [(4, 9)] * 3 + [(7, 2)] * 8 + [(label, label + 1) for label in range(10, 40)] + [(0, 0)] * 59
    actual, predicted = np.array(pairs).T
    base = Predictions(np.arange(100), actual, np.where(np.arange(100) < 3, predicted, actual))
    head = Predictions(np.arange(100), actual, np.where(np.arange(100) > 1, predicted, actual))
    names = [f"class ${number}" for number in range(50)]
    (axes,) = drawn(drawing.draw_difference, base, head, names).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 30
    assert {"class $2", "class $4", "class $7", "class $9"} <= set(labels)
    printed = {
        tuple(labels[int(place)] for place in reversed(text.get_position())): text.get_text() for text in axes.texts
    }
    assert printed["class $4", "class $9"] == "-2"
    assert printed["class $7", "class $2"] == "+8"
    assert axes.images[0].get_clim() == (-8, 8)
    assert axes.get_title() == "head - base: 39 - 3 misread\n30 of 50 classes, those with the most errors"


def test_make_report_hands_on_the_revisions_as_they_are_and_says_what_to_name(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")  # prints its arguments, one a line
    (tmp_path / ".venv/bin/python").chmod(0o755)
    make = "unset MAKEFLAGS MAKELEVEL MFLAGS; make -s -o repository -o setup report"
    done = Clone(tmp_path).run(f"""{make} BASE=main~1 HEAD="x';\\`ls\\` y" OUTPUT='a b'""")
    assert done.splitlines() == ["-m", "review.report", "--output", "a b", "--", "main~1", "x';`ls` y"]
    without = Clone(tmp_path).attempt(make)
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith("make: name the revision to compare with: make report BASE=main\n")
