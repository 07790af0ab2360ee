"""The folder that is written for reviewers: what it says, what it draws, what it refuses."""

import base64
import errno
import hashlib
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
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
from review import drawing as pictures
from review import report
from review.comparison import compare_results
from review.page import as_page
from review.report import main
from review.revision import read_results
from review.text import MOST_DISAGREEMENTS, MOST_IMAGES, as_markdown
from tests.conftest import REPOSITORY, describe
from tests.review.repository import IMAGES, Change, Repository, put, record, write

HISTORY = """\
epoch,accuracy,loss,validation_accuracy,validation_loss
1,0.900000,0.300000,0.920000,0.200000
2,0.950000,0.100000,0.960000,0.150000
"""
OLDER = "epoch,accuracy,loss\n1,0.900000,0.300000\n"
BASE = [set(range(10)) | {30 + seed} for seed in range(5)]  # images that the seeds misread
BETTER = [{0, 35}, {0, 36}, {0}, {0, 37}, {0}]
PICTURES = [
    *("learning_curve_loss.png", "learning_curve_accuracy.png"),
    *("confusion_base.png", "confusion_head.png", "confusion_difference.png"),
]
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
    monkeypatch.setattr(pictures, "_png", lambda figure: figure)
    return lambda draw, *sides: draw(*sides)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no picture, which takes a second, where a test is of the text."""
    for name in ("draw_learning_curve", "draw_confusion_matrix", "draw_difference"):
        monkeypatch.setattr(report, name, lambda *_, **__: b"PNG")


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


def test_a_report_holds_the_verdict_first_and_all_that_compare_says(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["main", "better"]) == 0
    verdict = (
        "verdict: `better` is better than `main`: 2,350 fewer misread in 10,000 (95 %: 1,027 to 3,673), by validat"
    )
    printed = capsys.readouterr().out
    assert " ".join(printed.split()).startswith(verdict)
    assert printed.endswith("\nreport: report.html, report.md and 5 pictures -> report\n")
    assert max(map(len, printed.splitlines())) <= 80
    markdown = repository.read("report/report.md")
    assert markdown.startswith(f"**{verdict}")
    assert "| `train.epochs` | 5 | 2 |" in markdown
    assert all(
        block in markdown
        for block in as_markdown(compare_results(read_results("main"), read_results("better"))).split("\n\n")
    )
    assert repository.run("git status --porcelain") == ""


@pytest.mark.usefixtures("undrawn")
def test_a_report_goes_from_the_verdict_to_the_reasons_the_lock_tables_curves_matrices_and_images(
    repository: Repository,
) -> None:
    main(["main", "better"])
    markdown = repository.read("report/report.md")
    starts = [
        *("**verdict: ", "- base: ", "**`dvc.lock` of head ", "| parameter |", "| metric |"),
        *(
            "| the two committed models |",
            "| class ",
            "test images: ",
            "### Learning curves",
            "![loss by epoch]",
        ),
        *("### Confusion matrices, validation images", "![Confusion matrix of base, validation images]"),
        *("![Difference of the confusion", "### Images that the seeds read most differently", "| validation image |"),
    ]
    blocks = markdown.split("\n\n")
    places = [next(place for place, block in enumerate(blocks) if block.startswith(start)) for start in starts]
    assert places == sorted(places)


@pytest.mark.usefixtures("undrawn")
def test_test_images_are_in_the_report_only_if_asked_for(repository: Repository) -> None:
    main(["main", "better"])
    hidden = repository.read("report/report.md") + repository.read("report/report.html")
    main(["main", "better", "--final"])
    assert "test.errors" not in hidden
    assert "| `test.errors` | 11 | 11 | 0 |" in repository.read("report/report.md")


def test_every_picture_of_the_report_is_a_small_png_beside_it_and_within_the_page(
    repository: Repository, tmp_path: Path
) -> None:
    main(["main", "better", "--output", str(tmp_path / "there")])
    written = files(tmp_path / "there")
    names = re.findall(r"\]\((.*?)\)", written["report.md"].decode())
    assert names == PICTURES
    assert sorted(names) == sorted(name for name in written if name.endswith(".png"))
    page = Page(written["report.html"].decode())
    embedded = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in page.sources]
    assert embedded == [written[name] for name in names]
    assert all(picture.startswith(b"\x89PNG\r\n") and len(picture) < 100_000 for picture in embedded)
    assert not any(b"Software" in picture for picture in embedded)  # it would name Matplotlib's version


def test_the_page_runs_no_script_and_loads_nothing(repository: Repository) -> None:
    main(["main", "better"])
    page = repository.read("report/report.html")
    assert not Page(page).tags & {"script", "link", "iframe", "a"}
    assert "://" not in page
    assert "url(" not in page


def test_pictures_side_by_side_on_a_wide_page_stack_on_a_narrow_one(repository: Repository) -> None:
    main(["main", "better"])
    page = repository.read("report/report.html")
    assert len(re.findall(r"<p><img [^>]*>\s?<img [^>]*></p>", page)) == 2
    assert '<meta name="viewport" content="width=device-width">' in page
    style = page.split("<style>")[1].split("</style>")[0]
    (images,) = re.findall(r"\bimg[^{]*{(.*?)}", style)  # no wider than the page, and not kept from shrinking
    assert "max-width: 100%;" in images
    assert not re.search(r"\b(height|min-width|float):|flex|nowrap", images)
    width, content = int(re.findall(r"max-width: (\d+)rem", page)[0]) * 16, 2 * 16
    for name in PICTURES:
        pixels = struct.unpack(">I", (repository.folder / "report" / name).read_bytes()[16:20])[0]
        assert 2 * pixels < width - content  # two of them side by side


def test_links_and_pictures_of_elsewhere_stay_text_in_the_page() -> None:
    written = "[a](http://a.test) <http://b.test> ![c](http://c.test/c.png) ![d](d.png)"
    page = Page(as_page("title", written, {"d.png": b"PNG"}))
    assert page.sources == ["data:image/png;base64,UE5H"]
    assert "a" not in page.tags
    assert "[a](http://a.test) <http://b.test>" in page.text


def test_names_and_values_with_markup_stay_text(repository: Repository) -> None:
    name, value = "x`<script>alert(1)</script>|`", "<img src=x>|a[b](c:d)"
    repository.write(validation=set(), dataset="![x](http://example.org/x.png)<b>")
    repository.put("params.yaml", f"train:\n  note: '{value}'\n")
    repository.commit("markup")
    repository.run(f"git branch -q '{name}' && git reset -q --hard HEAD~1")
    repository.write(dataset="![x](http://example.org/x.png)<b>", validation=set(range(10)))
    assert main([name]) == 0
    page = Page(repository.read("report/report.html"))
    assert not page.tags & {"script", "a", "b"}
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "<script>alert(1)</script>" in page.text
    assert value in page.text


def test_the_same_results_give_the_same_bytes_whatever_the_users_matplotlib_is_set_to(
    repository: Repository, tmp_path: Path
) -> None:
    main(["main", "better", "--output", str(tmp_path / "one")])
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):
        main(["main", "better", "--output", str(tmp_path / "two")])
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.usefixtures("undrawn")
def test_without_head_the_report_is_of_the_files_in_this_folder(repository: Repository) -> None:
    repository.measure(*BASE, test=BASE)
    assert main(["better"]) == 0
    assert repository.read("report/report.md").startswith("**verdict: this folder is worse than `better`")


@pytest.mark.usefixtures("undrawn")
def test_the_matrices_are_of_the_split_that_decided_with_the_actual_digit_in_rows(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, np.ndarray] = {}
    monkeypatch.setattr(report, "draw_confusion_matrix", lambda side, counts, *_: drawn.update({side: counts}) or b"")
    repository.branch("older", validation=None, test=set(range(10)))
    repository.write(validation=None, test={3, 13, 29})  # of four images of each digit
    assert main(["older"]) == 0
    base, head = (np.argwhere(drawn[side]).tolist() for side in ("base", "head"))
    assert base == sorted([digit, read] for digit in range(10) for read in (digit, (digit + 1) % 10))
    assert head == sorted([*([digit, digit] for digit in range(10)), [3, 4], [9, 0]])
    assert drawn["head"][3].tolist() == [0, 0, 0, 2, 2, 0, 0, 0, 0, 0]
    assert "### Confusion matrices, test images" in repository.read("report/report.md")


def test_every_picture_is_drawn_of_base_and_then_of_head(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves: dict[str, tuple[Any, Any]] = {}
    matrices: dict[str, Any] = {}
    monkeypatch.setattr(report, "draw_learning_curve", lambda metric, *both: curves.update({metric: both}) or b"")
    monkeypatch.setattr(report, "draw_confusion_matrix", lambda side, of, *_: matrices.update({side: of}) or b"")
    monkeypatch.setattr(
        report, "draw_difference", lambda base, head, **_: matrices.update(before=base, after=head) or b""
    )
    repository.put("evaluation/history.csv", OLDER)
    repository.write(validation=set())
    assert main(["main"]) == 0
    for metric, found in (("loss", [0.3, 0.1]), ("accuracy", [0.9, 0.95])):
        base, head = curves[metric]
        assert (base[metric], head[metric]) == (found, found[:1])
    read_right = {name: counts.trace() for name, counts in matrices.items()}
    assert read_right == {"base": 29, "head": 40, "before": 29, "after": 40}


@pytest.mark.usefixtures("undrawn")
def test_errors_of_both_sides_are_shaded_by_one_scale(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    scales: list[int] = []
    monkeypatch.setattr(report, "draw_confusion_matrix", lambda *given: scales.append(given[2]) or b"")
    for base, head, most in ((set(), {3, 13, 23}, 3), ({3, 13, 23}, set(), 3), (set(), set(), 1)):
        repository.branch("base", validation=base)
        repository.write(validation=head)
        assert main(["base"]) == 0
        assert scales == [most, most]
        scales.clear()


@pytest.fixture
def processed(repository: Repository) -> Callable[..., None]:
    """Write data/processed with these validation images, which predictions.csv has as well."""

    def save(images: int = IMAGES, shift: int = 0) -> None:
        describe(repository.folder)
        folder = repository.folder / "data/processed"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "validation_images.npy", np.zeros((images, 28, 28, 1), np.float32))
        labels = np.eye(10, dtype=np.float32)[(np.arange(images) + shift) % 10]
        np.save(folder / "validation_labels.npy", labels)

    return save


@pytest.mark.usefixtures("undrawn")
def test_the_images_that_the_seeds_read_most_differently_are_listed_and_drawn(
    repository: Repository, processed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processed()
    assert main(["main", "better"]) == 0
    markdown = repository.read("report/report.md")
    assert (
        "\n\n### Images that the seeds read most differently\n\n"
        "| validation image | actual | seeds of base that misread it | of head |\n" in markdown
    )
    table = [line for line in markdown.splitlines() if line.endswith(" of 5 |")]
    assert len(table) == MOST_IMAGES
    assert table[0] == "| 1 | 1 | 5 of 5 | 0 of 5 |"
    assert f"\n\n![The {MOST_IMAGES} images of this table](images_that_differ.png)\n" in markdown
    assert (repository.folder / "report/images_that_differ.png").read_bytes().startswith(b"\x89PNG\r\n")
    drawn: list[Any] = []

    def draw(images: np.ndarray, captions: list[str], title: str, path: Path) -> None:
        drawn.append([images, captions])
        path.write_bytes(b"")

    monkeypatch.setattr(report.drawing, "draw_images", draw)
    main(["main", "better"])
    (images, captions), (others, classes) = drawn
    assert images.shape == (MOST_IMAGES, 28, 28, 1)
    assert captions[0] == "1: 1\n5 of 5, 0 of 5"
    assert others.shape == (11, 28, 28, 1)
    assert classes[0] == "1: 1\n2 | 1"


@pytest.mark.usefixtures("undrawn")
def test_the_images_on_which_the_committed_models_disagree_are_listed_with_the_classes_of_both(
    repository: Repository, processed: Callable[..., None]
) -> None:
    processed()
    main(["main", "better"])
    markdown = repository.read("report/report.md")
    listed = markdown.split("### Images on which the two committed models disagree\n\n")[1]
    assert listed.splitlines()[:6] == [
        *("11 of 40 validation images.", "", "| validation image | actual | base | head |"),
        *("| --- | --- | --- | --- |", "| 1 | 1 | 2 | 1 |", "| 2 | 2 | 3 | 2 |"),
    ]
    assert "| 35 | 5 | 5 | 6 |" in listed  # base is right
    assert listed.endswith("\n\n![The images of this table](images_of_disagreement.png)\n")
    assert (repository.folder / "report/images_of_disagreement.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.usefixtures("undrawn")
def test_of_many_disagreements_the_first_are_listed_and_all_are_counted(repository: Repository) -> None:
    repository.write(validation=set(range(10, IMAGES)))  # main misreads the first ten, and 30
    main(["main"])
    listed = repository.read("report/report.md").split("models disagree\n\n")[1]
    assert listed.startswith(f"39 of 40 validation images. These are the first {MOST_DISAGREEMENTS}.\n")
    assert len(re.findall(r"(?m)^\| \d+ ", listed)) == MOST_DISAGREEMENTS == 30


@pytest.mark.usefixtures("undrawn")
def test_the_pages_that_are_on_this_machine_are_copied_beside_the_report_and_linked(repository: Repository) -> None:
    pages = {name: f"<title>{name}</title>" for name in ("base", "head")}
    md5s = {name: hashlib.md5(text.encode()).hexdigest() for name, text in pages.items()}
    for name in pages:
        outs = {"stages": {"export": {"cmd": "x", "outs": [{"path": "page/index.html", "md5": md5s[name]}]}}}
        repository.on(name, lambda outs=outs: repository.put("dvc.lock", json.dumps({"schema": "2.0", **outs})))
    main(["base", "head"])
    assert "<a " not in repository.read("report/report.html")  # neither page is here
    repository.put(f".dvc/cache/files/md5/{md5s['base'][:2]}/{md5s['base'][2:]}", pages["base"])
    repository.put("page/index.html", pages["head"])
    main(["base", "head"])
    html = repository.read("report/report.html")
    assert 'draw on: <a href="page_base.html">base</a>, <a href="page_head.html">head</a>' in html
    assert [repository.read(f"report/page_{name}.html") for name in pages] == list(pages.values())
    assert "page_base" not in repository.read("report/report.md")  # where it is shown, the page is not beside it


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_a_large_network_is_linked(
    repository: Repository,
) -> None:
    repository.put("page/index.html", " " * 2_400_000)  # the page of recipes/accurate.yaml has 2.3 MB
    main(["main"])
    assert '<a href="page_head.html">' in repository.read("report/report.html")


@pytest.mark.usefixtures("undrawn")
def test_a_page_of_other_bytes_than_the_lock_names_is_not_linked(repository: Repository) -> None:
    outs = {"stages": {"export": {"cmd": "x", "outs": [{"path": "page/index.html", "md5": "a" * 32}]}}}
    repository.on("head", lambda: repository.put("dvc.lock", json.dumps({"schema": "2.0", **outs})))
    repository.put(f".dvc/cache/files/md5/aa/{'a' * 30}", "<title>changed</title>")
    repository.put("page/index.html", "<title>another</title>")
    main(["main", "head"])
    assert "<a " not in repository.read("report/report.html")
    main(["main"])  # but of this folder it is the file in the folder
    assert '<a href="page_head.html">' in repository.read("report/report.html")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("held", [None, {"images": IMAGES + 1}, {"shift": 1}, {"images": 0}])
def test_images_that_the_folder_does_not_hold_are_listed_and_not_drawn(
    repository: Repository, processed: Callable[..., None], held: dict[str, int] | None
) -> None:
    if held is not None:
        processed(**held)
    assert main(["main", "better"]) == 0
    markdown = repository.read("report/report.md")
    assert "| 1 | 1 | 5 of 5 | 0 of 5 |" in markdown
    assert markdown.endswith("\n\nThey are not drawn: `data/processed` of this data set is not in the folder.\n")
    assert sorted(files(repository.folder / "report")) == sorted([*PICTURES, "report.md", "report.html"])


@pytest.mark.usefixtures("undrawn")
def test_recipes_that_read_all_images_alike_list_none(repository: Repository) -> None:
    assert main(["main", "main"]) == 0
    assert "read most differently" not in repository.read("report/report.md")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_curves_of_unlike_label_smoothing_are_said_not_to_compare(
    repository: Repository, smoothing: float
) -> None:
    repository.branch("smooth", validation=BASE[0], train={"label_smoothing": 0.1})
    repository.write(validation=BASE[0], train={"label_smoothing": smoothing})
    assert main(["smooth"]) == 0
    note = ") \n\nDo not compare the training losses: the two recipes have different label smoothing.\n\n### Confusion"
    assert (note.replace(" ", "", 1) in repository.read("report/report.md")) == (smoothing == 0)


@pytest.mark.usefixtures("undrawn")
def test_a_side_without_history_is_told_and_the_other_is_drawn(repository: Repository) -> None:
    (repository.folder / "evaluation/history.csv").unlink()
    assert main(["main"]) == 0
    text = repository.read("report/report.md")
    assert "No learning curve of head: it holds no `evaluation/history.csv`." in text
    assert "(learning_curve_loss.png)" in text
    repository.commit("no history")
    assert main(["HEAD", "--output", "neither"]) == 0
    assert not set(PICTURES[:2]) & set(files(repository.folder / "neither"))
    assert "Learning curves" not in repository.read("neither/report.md")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("cmd", "said"),
    [
        ("echo 1", "\n`dvc.lock` of head matches: "),
        ("echo 2 | cat", "\n- `train`: `changed command: echo 1 -> echo 2 | cat`\n"),
        (None, "\n**`dvc.lock` of head cannot be checked:** `there is no dvc.lock: 'dvc repro' writes it`"),
    ],
)
def test_the_report_tells_whether_the_lock_of_head_is_true(repository: Repository, cmd: str | None, said: str) -> None:
    if cmd is None:
        (repository.folder / "dvc.lock").unlink()
    else:
        repository.put("dvc.lock", "schema: '2.0'\nstages:\n  train:\n    cmd: echo 1\n")
        repository.put("dvc.yaml", f"stages:\n  train:\n    cmd: {cmd}\n")
    assert main(["main"]) == 0
    third, fourth = repository.read("report/report.md").split("\n\n")[2:4]
    assert said in f"\n{third}\n{fourth}\n"
    if said.startswith("\n- "):
        assert third == "**`dvc.lock` of head does not match 1 of 1 stages:**"


@pytest.mark.parametrize(
    ("change", "base", "message"),
    [
        (write(), "no-such-branch", "unknown Git revision 'no-such-branch'"),
        (write(dataset="mnist-5k"), "main", "`main` is of the data set mnist and this folder of mnist-5k, whose acc"),
        (
            put("evaluation/history.csv", "epoch,loss\n1,0.5\n"),
            "main",
            "evaluation/history.csv of this folder: 'accuracy' is missing",
        ),
    ],
)
def test_what_does_not_compare_is_refused_in_one_line_and_nothing_is_written(
    repository: Repository, refusal: Callable[..., str], change: Change, base: str, message: str
) -> None:
    change(repository)
    assert refusal(base).startswith(message)
    assert not (repository.folder / "report").exists()


def test_a_folder_that_cannot_be_written_is_refused(repository: Repository, refusal: Callable[..., str]) -> None:
    repository.put("report", "a file")
    assert refusal("main").startswith("report could not be written: ")
    assert repository.read("report") == "a file"


def test_a_full_disk_leaves_the_report_of_before_and_nothing_else(
    repository: Repository,
    refusal: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(["main", "better"])
    capsys.readouterr()
    before = files(repository.folder / "report")
    assert len(before) == 7
    write_bytes = Path.write_bytes

    def until_the_page(path: Path, content: bytes) -> int:
        if path.name.endswith("report.html"):
            write_bytes(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_the_page)
    assert refusal("better", "main") == "report could not be written: No space left on device"
    assert files(repository.folder / "report") == before


def test_curves_of_unlike_length_are_drawn_whole_in_two_colours(drawn: Callable[..., Figure]) -> None:
    for metric in ("loss", "accuracy"):
        shorter = {name: values[:1] for name, values in CURVES.items()}
        figure = drawn(pictures.draw_learning_curve, metric, CURVES, shorter)
        (axes,) = figure.axes
        assert axes.get_title() == metric
        found = [(to_hex(line.get_color()), line.get_linestyle(), list(line.get_ydata())) for line in axes.lines]
        assert found == [
            ("#0072b2", "--", CURVES[metric]),
            ("#0072b2", "-", CURVES[f"validation_{metric}"]),
            ("#d55e00", "--", CURVES[metric][:1]),
            ("#d55e00", "-", CURVES[f"validation_{metric}"][:1]),
        ]
        assert all(line.get_marker() not in ("", "None") for line in axes.lines)  # a single epoch has no line
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == ["base, training", "base, validation", "head, training", "head, validation"]


@pytest.mark.parametrize("epochs", [1, 2, 5, 60])
def test_epochs_are_whole_numbers_on_the_axis(drawn: Callable[..., Figure], epochs: int) -> None:
    history = {"loss": [0.5] * epochs, "accuracy": [0.5] * epochs}
    for metric in history:
        (axes,) = drawn(pictures.draw_learning_curve, metric, history, {}).axes
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)


def test_a_history_without_validation_has_no_curve_of_it(drawn: Callable[..., Figure]) -> None:
    figure = drawn(pictures.draw_learning_curve, "loss", {"loss": [0.3], "accuracy": [0.9]}, CURVES)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["base, training", "head, training", "head, validation"]


def test_a_loss_of_zero_is_drawn_on_a_scale_that_has_zero(drawn: Callable[..., Figure]) -> None:
    scales = [
        drawn(pictures.draw_learning_curve, "loss", {"loss": [loss], "accuracy": [1.0]}, {}).axes[0].get_yscale()
        for loss in (0.0, 0.1)
    ]
    assert scales == ["linear", "log"]


NUMBERS = {label: str(label) for label in range(10)}  # the classes to draw


def matrix(errors: dict[tuple[int, int], int]) -> np.ndarray:
    """A hundred images of each digit, of which these are misread."""
    counts = 100 * np.eye(10, dtype=int)
    for (actual, predicted), count in errors.items():
        counts[actual, predicted] += count
        counts[actual, actual] -= count
    return counts


def test_errors_are_shaded_by_a_scale_that_images_read_right_do_not_enter(drawn: Callable[..., Figure]) -> None:
    base, head = matrix({(4, 9): 3}), matrix({(4, 9): 1, (7, 2): 8})
    for side, counts, title, white in (("base", base, "base: 3 misread", []), ("head", head, "head: 9 misread", ["8"])):
        (axes,) = drawn(pictures.draw_confusion_matrix, side, counts, 8, NUMBERS).axes
        (image,) = axes.images
        assert image.get_clim() == (0, 8)
        assert image.get_array().mask.diagonal().all()
        assert np.array_equal(image.get_array().filled(0), counts - np.diag(counts.diagonal()))
        printed = {tuple(reversed(text.get_position())): text.get_text() for text in axes.texts}
        assert printed == {place: str(counts[place]) for place in zip(*np.nonzero(counts), strict=True)}
        assert [text.get_text() for text in axes.texts if text.get_color() == "white"] == white
        assert axes.get_title() == title


def test_the_difference_tells_errors_that_came_from_those_that_went(drawn: Callable[..., Figure]) -> None:
    (axes,) = drawn(pictures.draw_difference, matrix({(4, 9): 3}), matrix({(4, 9): 1, (7, 2): 8}), NUMBERS).axes
    printed = {tuple(reversed(text.get_position())): text.get_text() for text in axes.texts}
    assert printed == {(4, 9): "-2", (7, 2): "+8", (4, 4): "+2", (7, 7): "-8"}
    assert axes.images[0].get_clim() == (-8, 8)
    assert {text.get_text() for text in axes.texts if text.get_color() == "white"} == {"+8"}
    assert [axes.images[0].get_array()[place] for place in ((4, 9), (7, 2))] == [-2, 8]
    assert axes.get_title() == "head - base: +6 misread"


def test_of_many_classes_those_with_the_most_errors_are_drawn_by_name(drawn: Callable[..., Figure]) -> None:
    counts = np.diag(np.full(50, 9))
    counts[40, 41] = 2
    (axes,) = drawn(pictures.draw_confusion_matrix, "head", counts, 2, {5: "Coat", 40: "Bag $1", 41: "Shirt"}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Coat", "Bag $1", "Shirt"]
    assert {tuple(reversed(text.get_position())): text.get_text() for text in axes.texts} == {
        (0, 0): "9",
        (1, 1): "9",
        (1, 2): "2",
        (2, 2): "9",
    }
    assert axes.get_title() == "head: 2 misread\n3 of 50 classes, those with the most errors"


@pytest.mark.usefixtures("undrawn")
def test_classes_have_their_names_in_tables_and_pictures(
    repository: Repository, processed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processed()
    names = ["|@user", *map("class {}".format, range(1, 9)), "**bold**"]
    described = replace(MNIST, classes=tuple(names))
    describe(repository.folder, described)
    repository.measure(*BETTER, test=BETTER)
    drawn: list[Any] = []
    monkeypatch.setattr(report, "draw_confusion_matrix", lambda *given: drawn.append(given[-1]) or b"")
    assert main(["main"]) == 0
    markdown = repository.read("report/report.md")
    assert "| `class 1` |" in markdown
    assert drawn[0] == dict(enumerate(names))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run make as if setup were done, with a python that only prints its arguments, one a line."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    (tmp_path / ".venv/installed").touch()
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of `make test`, under which it would tell of its folders
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return lambda *arguments: subprocess.run(
        ["make", "-o", "repository", "-o", ".venv/installed", "report", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_make_report_hands_on_the_revisions_as_they_are(
    make: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = make("BASE=main~1", "HEAD=x';`ls` y", "OUTPUT=a b")
    expected = ["-m", "review.report", "--output", "a b", "--", "main~1", "x';`ls` y"]
    assert done.stdout.splitlines() == expected, done.stderr
    assert make("BASE=main").stdout.splitlines() == ["-m", "review.report", "--output", "report", "--", "main"]


def test_make_report_without_base_says_what_to_name(
    make: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = make()
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("make: name the revision to compare with: make report BASE=main\n")
