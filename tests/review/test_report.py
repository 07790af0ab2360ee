"""The folder that is written for reviewers: what it says, what it draws, what it refuses."""

import base64
import errno
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from classifier import pictures
from review import drawing, report
from review.comparison import compare_results
from review.results import Predictions, parse_history
from review.revision import read_results
from review.statistics import Readings, estimate
from review.text import MOST_IMAGES, as_markdown
from tests.classifier.page.test_document import own
from tests.conftest import REPOSITORY, describe
from tests.review.repository import IMAGES, Repository, record
from tests.runner import Runner

HISTORY = """\
epoch,accuracy,loss,validation_accuracy,validation_loss
1,0.900000,0.300000,0.920000,0.200000
2,0.950000,0.100000,0.960000,0.150000
"""
BASE = [set(range(10)) | {30 + seed} for seed in range(5)]  # images that the seeds misread
BETTER = [{0, 35}, {0, 36}, {0}, {0, 37}, {0}]
PICTURES = ["seeds.png", "learning_curve_loss.png", "learning_curve_accuracy.png", "confusion_difference.png"]


@pytest.fixture(scope="module")
def repository_of_module(repository_of_module) -> Repository:
    """On main there is a history and five seeds, and on the branch better a recipe that misreads fewer images."""
    repository = repository_of_module
    repository.put(".gitignore", "/.dvc/tmp\n/report\n/data\n")
    repository.put("evaluation/history.csv", HISTORY)
    repository.measure(*BASE, test=BASE)
    repository.commit("history and seeds")
    others = [record(*BASE, test=BASE)]
    repository.on("better", lambda: repository.measure(*BETTER, test=BASE, epochs=2, others=others))
    return repository


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of review.drawing return their figures."""
    for module in (drawing, pictures):
        monkeypatch.setattr(module, "png", lambda figure: figure)


@pytest.fixture
def undrawn(monkeypatch) -> dict[str, Any]:
    """Draw no picture, which takes a second, where a test is of the text; return what would be drawn."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(report, "draw_learning_curve", lambda metric, *sides: asked.update({metric: sides}) or b"PNG")
    monkeypatch.setattr(report, "draw_seeds", lambda *given: asked.update(seeds=given) or b"PNG")
    monkeypatch.setattr(report, "draw_difference", lambda *given: asked.update(difference=given) or b"PNG")
    return asked


def main(arguments: list[str]) -> int:
    """Run the command; the results have no pipeline, so verify, which test_verify.py is of, refuses them."""
    return report.main([*arguments, "--stale"])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_report_has_the_verdict_first_all_that_compare_says_and_a_page_that_loads_nothing(repository, capsys):
    assert main(["main", "better"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("\nreport: report.html, report.md and 4 pictures -> report\n")
    assert max(map(len, printed.splitlines())) <= 80
    written = files(repository.folder / "report")
    blocks = written["report.md"].decode().split("\n\n")
    first, why, *rest = as_markdown(compare_results(read_results("main"), read_results("better"))).split("\n\n")
    assert blocks[0].startswith("**the results of `main` do not match the files beside them: ")
    assert [blocks[1], *blocks[3 : 4 + len(rest)]] == [first, why, *rest]
    assert blocks[2].endswith("(seeds.png)")
    sections = [block for block in blocks if block.startswith("###")]
    assert [heading.split()[1] for heading in sections] == ["Learning", "What", "Images"]
    assert re.findall(r"\]\((.*?)\)", "\n".join(blocks)) == PICTURES
    assert sorted(written) == sorted([*PICTURES, "report.md", "report.html"])
    assert all(written[name].startswith(b"\x89PNG\r\n") and b"Software" not in written[name] for name in PICTURES)
    page = written["report.html"].decode()
    sources = re.findall(r'(?:src|href)="(.*?)"', page)
    embedded = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert embedded == [written[name] for name in PICTURES]
    assert not re.search(r"<(script|link|iframe|a)\b|://|url\(", page)
    assert repository.run("git status --porcelain") == ""
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):  # settings of the user
        main(["main", "better", "--output", "report/again"])
    assert files(repository.folder / "report/again") == written


def test_test_images_are_in_the_report_only_if_asked_for(repository, undrawn):
    for options, is_there in (([], False), (["--final"], True)):
        main(["main", "better", *options])
        assert ("| `test.errors` | 11 | 11 | 0 |" in repository.read("report/report.md")) == is_there
        assert ("test.errors" in repository.read("report/report.html")) == is_there


def test_the_pictures_are_of_the_split_that_decided_first_base_and_then_head(repository, undrawn):
    repository.branch("older", validation=None, test=set(range(10)))
    repository.put("evaluation/history.csv", "epoch,accuracy,loss\n1,0.900000,0.300000\n")
    repository.write(validation=None, test={3, 13, 29})  # of four images of each digit
    assert main(["older"]) == 0  # without a second name, head is the files of this folder
    base, head, names, about = undrawn["difference"]
    assert about == "test images, seed unknown"
    assert list(names) == list("0123456789")
    assert (base.misread().tolist(), head.misread().tolist()) == (list(range(10)), [3, 13, 29])
    assert [side["loss"] for side in undrawn["loss"]] == [[0.3, 0.1], [0.3]]
    assert "### What changed in the confusion matrix, test images" in repository.read("report/report.md")


@pytest.mark.parametrize(
    ("images", "shift", "channels"), [(IMAGES, 0, 1), (IMAGES, 0, 3), (0, 0, 1), (IMAGES + 1, 0, 1), (IMAGES, 1, 1)]
)
def test_the_images_that_the_seeds_read_most_differently_are_listed_and_drawn_if_the_folder_has_them(
    repository, undrawn, images, shift, channels
):
    classes = ("zero", "|@user", *map("class {}".format, range(2, 10)))
    data_set = own((28, 28, channels), classes)
    describe(repository.folder, replace(data_set, name="mnist", inverted=channels == 3))
    if images:
        labels = np.eye(10, dtype=np.float32)[(np.arange(images) + shift) % 10]
        (repository.folder / "data/processed").mkdir(parents=True)
        np.save(repository.folder / "data/processed/validation_labels.npy", labels)
        black = np.zeros((images, 28, 28, channels), np.float32)
        np.save(repository.folder / "data/processed/validation_images.npy", black)
    repository.measure(*BETTER, test=BETTER)
    assert main(["main"]) == 0
    text = repository.read("report/report.md")
    table = [line for line in text.splitlines() if line.endswith(" of 5 |")]
    assert table[0] == r"| 1 | `\|@user` | `class 2` | `\|@user` | 5 of 5 | 0 of 5 |"
    assert (len(table), table[-1]) == (MOST_IMAGES, r"| 30 | `zero` | `\|@user` | `zero` | 1 of 5 | 0 of 5 |")
    is_drawn = (images, shift) == (IMAGES, 0)
    assert (repository.folder / "report/images_that_differ.png").exists() == is_drawn
    assert ("(images_that_differ.png)" in text) == is_drawn == ("They are not drawn: `data/processed`" not in text)
    if channels == 3:  # as they were before they were inverted, and on a dark page no negative
        assert "table, in colour]" in text
        assert np.mean(Image.open(repository.folder / "report/images_that_differ.png").convert("L")) > 240


def test_loss_curves_that_do_not_compare_and_a_missing_history_are_said(repository, undrawn):
    repository.write(validation=BASE[0], train={"label_smoothing": 0.1})
    (repository.folder / "evaluation/history.csv").unlink()
    assert main(["main"]) == 0
    text = repository.read("report/report.md")
    for part in ("Do not compare the training losses: ", "No learning curve of head: ", "(learning_curve_loss.png)"):
        assert part in text
    repository.commit("no history")
    assert main(["HEAD"]) == 0
    assert not re.search("learning_curve|read most differently", repository.read("report/report.md"))  # both are alike


def test_a_folder_that_cannot_be_made_and_a_full_disk_are_refused_and_leave_what_was_there(
    repository, undrawn, monkeypatch, capsys
):
    assert main(["main", "--output", "params.yaml"]) == 2
    assert capsys.readouterr().err == "report: params.yaml/seeds.png could not be written: File exists\n"
    assert main(["main", "better"]) == 0
    before = files(repository.folder / "report")
    write_bytes = Path.write_bytes

    def until_the_page(path: Path, content: bytes) -> int:
        written = write_bytes(path, content[:10])
        if path.name.endswith("report.html"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    monkeypatch.setattr(Path, "write_bytes", until_the_page)
    assert main(["better", "main"]) == 2
    assert capsys.readouterr().err == "report: report/report.html could not be written: No space left on device\n"
    assert files(repository.folder / "report") == before


def test_a_dot_for_each_seed_the_means_and_the_interval_of_the_difference_are_drawn(figures):
    base, head = (Readings.of(seeds, IMAGES) for seeds in ([[0], [1, 2]], [[0, 1, 2], [1, 2], [3, 4, 5, 6]]))
    change, recipes = estimate(base, head), {"base": base, "epochs=2": head}
    seeds, difference = drawing.draw_seeds(recipes, "validation", change).axes
    dots = [sorted(line.get_xdata()) for line in seeds.lines]
    mean = [[accuracy] * 2 for accuracy in (base.accuracy, head.accuracy)]
    assert dots == [[0.95, 0.975], mean[0], [0.9, 0.925, 0.95], mean[1]]
    (band,) = seeds.patches  # of one standard deviation of base to each side
    assert [band.get_x(), band.get_width()] == pytest.approx([base.accuracy - base.deviation, 2 * base.deviation])
    assert [label.get_text() for label in seeds.get_yticklabels()] == ["base, 2", "epochs=2, 3"]
    assert seeds.get_title().startswith("validation accuracy")
    assert len(drawing.draw_seeds(recipes, "validation").axes) == 1
    assert tuple(difference.lines[0].get_xdata()) == change.interval()
    assert list(difference.lines[1].get_xdata()) == [change.difference]


def test_curves_of_unlike_length_are_drawn_whole_in_two_colours(figures):
    shorter = {"loss": [0.3], "accuracy": [0.9], "validation_loss": [0.2]}
    figure = drawing.draw_learning_curve("loss", parse_history(HISTORY), shorter)
    (axes,) = figure.axes
    assert [(to_hex(line.get_color()), line.get_linestyle(), list(line.get_ydata())) for line in axes.lines] == [
        *(("#0072b2", "--", [0.3, 0.1]), ("#0072b2", "-", [0.2, 0.15])),
        *(("#d55e00", "--", [0.3]), ("#d55e00", "-", [0.2])),
    ]
    assert all(line.get_marker() not in ("", "None") for line in axes.lines)  # a single epoch has no line
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["base, training", "base, validation", "head, training", "head, validation"]
    low, high = axes.get_xlim()
    assert all(tick == round(tick) for tick in axes.get_xticks() if low <= tick <= high)  # epochs are whole numbers
    figure = drawing.draw_learning_curve("accuracy", parse_history(HISTORY), shorter)
    assert len(figure.legends[0].get_texts()) == 3  # head has no validation accuracy
    for loss, scale in ((0.0, "linear"), (0.1, "log")):
        assert drawing.draw_learning_curve("loss", {"loss": [loss]}, {}).axes[0].get_yscale() == scale


def test_the_difference_tells_errors_that_came_from_those_that_went_in_the_classes_with_most_errors(figures):
    pairs = [(4, 9)] * 3 + [(7, 2)] * 8 + [(label, label + 1) for label in range(10, 40)] + [(0, 0)] * 59
    actual, predicted = np.array(pairs).T
    base = Predictions(np.arange(100), actual, np.where(np.arange(100) < 3, predicted, actual))
    head = Predictions(np.arange(100), actual, np.where(np.arange(100) > 1, predicted, actual))
    (axes,) = drawing.draw_difference(base, head, [f"class ${number}" for number in range(50)], "seed 0").axes
    labels = [label.get_text().removeprefix("class $") for label in axes.get_yticklabels()]
    assert len(labels) == 30
    assert {"2", "4", "7", "9"} <= set(labels)
    places = {text.get_text(): tuple(map(int, text.get_position())) for text in axes.texts}  # column, row
    assert places["-2"] == (labels.index("9"), labels.index("4"))
    assert places["+8"] == (labels.index("2"), labels.index("7"))
    assert axes.images[0].get_clim() == (-8, 8)
    assert axes.get_title() == "seed 0\nhead - base: 39 - 3 misread\nthe 30 of 50 classes with the most errors"


def test_make_report_hands_on_the_revisions_as_they_are_and_says_what_to_name(tmp_path):
    runner = Runner(tmp_path / "checkout")
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(REPOSITORY / name, runner.folder)
    runner.put_program(".venv/bin/python", "printf '%s\\n' \"$@\"")  # prints its arguments, one a line
    make = "unset MAKEFLAGS MAKELEVEL MFLAGS; make -s -o repository -o setup report"
    done = runner.run(f"""{make} BASE=main~1 HEAD="x';\\`ls\\` y" OUTPUT='a b'""")
    assert done.splitlines() == ["-m", "review.report", "--output", "a b", "--", "main~1", "x';`ls` y"]
    without = runner.attempt(make)
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith("make: name the revision to compare with: make report BASE=main\n")
