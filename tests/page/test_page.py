"""What one can do on the page of `make repro`, and of other data sets, in a browser without a network."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from classifier.data.catalogue import FASHION_MNIST
from classifier.model import onnx_file
from classifier.page import document
from review import report
from tests.classifier.data.pictures import encoded
from tests.classifier.page.test_document import own, some_layers, some_misread
from tests.classifier.page.test_network import computed
from tests.page.conftest import Visitor
from tests.predict.hand import STROKES, Point, line, on_pad, on_paper

pytestmark = [pytest.mark.slow, pytest.mark.model]

SIZES = {390: 0.25, 820: 0.5, 1440: 0.85}  # of a window in pixels, and of the digit as a share of the pad


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
@pytest.mark.parametrize("width", SIZES)
def test_of_twenty_digits_of_each_size_in_both_colour_schemes_at_least_19_are_read(page_file, visit, pointer, width):
    random = np.random.default_rng(0)
    answers = []
    for scheme in ("light", "dark"):
        page = visit(page_file, width, scheme)
        for digit in range(10):
            answers.append((str(digit), page.draw(on_pad(digit, SIZES[width], random), pointer).answer))
            page.press("Clear")
    assert sum(digit == answer for digit, answer in answers) >= 19, answers


def strokes_of(digit: int) -> list[list[Point]]:
    """The strokes of a digit that fills the pad."""
    return [[(0.2 + x / 167, 0.05 + y / 178) for x, y in stroke] for stroke in STROKES[digit]]


def test_a_pen_draws_but_a_second_finger_and_the_right_mouse_button_do_not(page_file, visit):
    page = visit(page_file)
    page.tab.evaluate("addEventListener('pointerdown', (event) => (window.used = event.pointerType))")
    page.tab.locator("#pad").click(button="right")
    assert page.settle().said.startswith("A test image of ")
    assert page.draw(strokes_of(3), "pen").answer == "3"
    assert page.tab.evaluate("window.used") == "pen"
    page.press("Clear").tab.evaluate("pointer = 99")  # a finger is on the pad
    assert page.draw(strokes_of(3), "touch").answer == ""


def test_undo_takes_back_each_step_and_clear_too(page_file, visit):
    page = visit(page_file).press("Clear")
    first, second = strokes_of(4)
    page.draw([first])
    assert page.draw([second]).answer == "4"
    assert page.press("Clear").answer == ""
    assert page.press("Undo").answer == "4"
    assert page.press("Undo").answer != "4"
    page.tab.keyboard.press("Control+z")
    assert page.settle().answer == ""
    assert page.tab.locator(".tools button:disabled").all_inner_texts() == ["Clear"]
    assert page.press("Undo").said.startswith("A test image of ")
    assert page.tab.locator(".tools button:disabled").all_inner_texts() == ["Undo"]


HAND_OVER = """([kind, name, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0))], name));
    const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true })
        : new DragEvent(kind, { dataTransfer: data, cancelable: true, bubbles: true });
    document.querySelector("#pad").dispatchEvent(event);
}"""


def hand_over(visitor: Visitor, kind: str, name: str, content: bytes, sentence: str) -> None:
    """Open, paste or drop a file, the latter by a script: no test can use the clipboard of the system."""
    if kind == "open":
        visitor.tab.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
    else:
        visitor.tab.evaluate(HAND_OVER, [kind, name, base64.b64encode(content).decode()])
    visitor.tab.locator("#said").filter(has_text=sentence).wait_for()


@pytest.mark.parametrize("kind", ["paste", "drop", "open"])
def test_a_picture_is_read_and_what_is_no_picture_is_refused(page_file, visit, kind):
    page = visit(page_file)
    hand_over(page, kind, "photo.png", encoded(on_paper(line("5", (200, 160), 120, 12), 210, 30)), "It reads 5, with")
    hand_over(page, kind, "line.png", encoded(on_paper(line("207", (540, 160), 120, 12))), "It reads 2 0 7. The least")
    assert page.tab.locator("#images canvas").count() == 3
    rows = on_paper(np.vstack([line("204"), line("317")]))
    hand_over(page, kind, "rows.png", encoded(rows), "but a picture has one line of digits")
    page.press("Undo")
    hand_over(page, kind, "blank.png", encoded(np.full((50, 50), 200, np.uint8)), "No ink was found")
    assert page.press("Undo").answer == "2 0 7"
    hand_over(page, kind, "notes.txt", b"no picture", "notes.txt is not a picture")
    assert page.answer == ""
    assert page.press("Undo").answer == "2 0 7"
    assert page.draw(strokes_of(7)).answer == "7"  # on an empty pad, not on the picture


def test_a_browser_that_falsifies_canvas_reads_is_named_and_strokes_are_read_all_the_same(page_file, visit):
    page = visit(page_file)
    white = "(x, y, width, height) => ({ data: new Uint8Array(4 * width * height).fill(255) })"
    page.tab.evaluate(f"() => {{ CanvasRenderingContext2D.prototype.getImageData = {white}; }}")
    hand_over(page, "drop", "photo.png", encoded(on_paper(line("5", (200, 160), 120, 12))), "hides the pixels")
    assert page.answer == ""
    assert page.draw(strokes_of(7)).answer == "7"


def test_the_probabilities_the_maps_and_the_misread_images_are_shown(page_file, visit):
    page = visit(page_file)
    lit = """[...document.querySelectorAll('#layers canvas')].filter((map) => map.getContext('2d')
        .getImageData(0, 0, map.width, map.height).data.some((level) => level > 30 && level < 255)).length"""
    assert page.tab.evaluate(lit) > 0  # the page opens with the maps of a test image
    assert "It knows digits alone" in page.tab.locator("body").inner_text()
    page.draw(strokes_of(3))
    lines = page.tab.get_by_role("list", name="Probability of each digit").get_by_role("listitem")
    shares = dict(text.split() for text in lines.all_inner_texts())
    assert list(shares) == [*"0123456789"]
    assert abs(sum(map(float, shares.values())) - 1) < 0.006
    assert page.tab.get_by_role("img", name="Image that the network sees").count() == 1
    sizes = page.tab.evaluate("layers.filter(({ kind }) => kind === 'convolution').map(({ biases }) => biases.length)")
    assert [int(text.split()[2]) for text in page.tab.locator("#layers h3").all_inner_texts()] == sizes
    assert page.tab.locator("#layers canvas").count() == sum(min(8, size) for size in sizes)
    item = page.tab.locator("#mistakes button").last
    item.click()
    actual, predicted = item.inner_text().split(" → ")
    assert page.settle().said.startswith(f"A test image of {actual}, which it reads as {predicted}, with")


def test_nothing_is_wider_than_a_phone_and_what_is_no_digit_is_uncertain(page_file, visit):
    page = visit(page_file, 390)
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    star = [[(0.5, 0.1), (0.7, 0.9), (0.1, 0.4), (0.9, 0.4), (0.3, 0.9), (0.5, 0.1)]]
    assert page.draw(star).answer == "?"
    assert page.said.startswith("Uncertain: this looks like no digit that it knows. The nearest is ")
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    assert not re.search(r"- (button|img)\n", page.tab.locator("body").aria_snapshot())  # each has a name


REPORT = """\
**verdict: `one-epoch` is worse than `main`: 17 more misread in 10,000 (95 %: 7 to 28)**

| image | actual | base reads | head reads | seeds of base that misread it |
| --- | --- | --- | --- | --- |
| 1 | 7 | 7 | 2 | 0 of 10 |

![The seeds](seeds.png)
"""


def test_a_report_on_a_dark_phone_has_a_verdict_of_two_lines_a_table_that_scrolls_and_a_dark_picture(tmp_path, visit):
    white = encoded(np.full((300, 600), 255, np.uint8))
    (tmp_path / "report.html").write_text(report.as_page("", REPORT, {"seeds.png": white}))
    page = visit(tmp_path / "report.html", 390, "dark")
    lines = "(node) => node.offsetHeight / parseFloat(getComputedStyle(node).lineHeight)"
    assert page.tab.locator("p").first.evaluate(lines) == 2
    assert page.tab.locator("table").evaluate("(node) => node.scrollWidth > node.clientWidth")
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    shots = [Image.open(io.BytesIO(page.tab.locator(tag).screenshot())).convert("L") for tag in ("img", "table")]
    assert np.max(shots[0]) < 60
    edge = np.asarray(shots[1])[-3]  # in the last row: the shadow at the right edge
    assert edge[-4] > edge[-40] + 50


COUNTRIES = tuple(f"<b>country & {number}</b>" for number in range(20))


@pytest.mark.parametrize(
    ("data_set", "misread", "count"),
    [
        (FASHION_MNIST, 0, 10),
        (own((32, 32, 3), COUNTRIES), 5, 10),
        (own((32, 128, 3), ("cat", "dog")), 5, 2),
        (replace(own((28, 28), ("cat", "dog")), inverted=True), 5, 2),
        (replace(own((32, 32, 3), ("cat", "dog")), inverted=True), 5, 2),
    ],
    ids=["fashion-mnist", "twenty colours", "photographs", "dark ink", "light photographs"],
)
def test_on_the_page_of_another_data_set_a_picture_is_read_as_in_python(tmp_path, visit, data_set, misread, count):
    layers, classes = some_layers(data_set), data_set.classes
    wrong, normalization = some_misread(data_set, misread), onnx_file.normalization(data_set)
    opening = some_misread(data_set, 1)[0][0], 1
    document.write(tmp_path / "page.html", document.describe(layers, data_set, wrong, normalization, 0.0, opening))
    page = visit(tmp_path / "page.html", 390)
    height, width, channels = data_set.image_shape
    picture = np.kron(np.random.default_rng(2).integers(0, 256, (5, 6, 3)), np.ones((30, 20, 1))).astype(np.uint8)
    resized = Image.fromarray(picture).convert("L" if channels == 1 else "RGB").resize((width, height), Image.BILINEAR)
    image = (np.asarray(resized) / np.float32(255)).reshape(1, height, width, channels)
    expected = computed(layers, data_set, 1 - image if data_set.inverted else image)[0]
    hand_over(page, "drop", "picture.png", encoded(picture), f"It sees {classes[expected.argmax()]}, with")
    shapes = "[...document.querySelectorAll('canvas')].slice(1).map((each) => [each, each.getBoundingClientRect()])"
    ratios = f"{shapes}.map(([each, box]) => (box.width * each.height) / (box.height * each.width))"
    assert np.abs(np.subtract(page.tab.evaluate(ratios), 1)).max() < 0.02  # no image and no map is squeezed
    assert page.tab.locator("#bars li").count() == count
    for item in page.tab.locator("#bars li").all():
        name, probability = item.locator("span").first.inner_text(), item.locator(".value").inner_text()
        assert abs(float(probability) - expected[classes.index(name)]) < 0.02  # a grey level more or less
    painted = "[...document.querySelector('#images canvas').getContext('2d').getImageData(0, 0, 1, 1).data]"
    shown = [*resized.convert("RGB").getpixel((0, 0)), 255]  # as in the picture, not in negative
    assert np.abs(np.subtract(page.tab.evaluate(painted), shown)).max() <= 1
    assert page.draw(strokes_of(3)).answer in classes
    assert page.tab.evaluate("[readings[0].image[0], largest(readings[0].image) > 0.9]") == [0, True]  # ink is light
    assert page.tab.get_by_role("heading", name="What it misreads").count() == min(misread, 1)
