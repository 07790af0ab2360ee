"""What one can do on the committed page, in a browser without a network: run after `make repro`."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import REPOSITORY
from tests.page.conftest import Visit, Visitor
from tests.page.digits import DIGITS, arc, line

pytestmark = [pytest.mark.slow, pytest.mark.model]

STAR = [line((0.5, 0.1), (0.7, 0.9), (0.1, 0.4), (0.9, 0.4), (0.3, 0.9), (0.5, 0.1))]

HAND_OVER = """([kind, name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type }));
    const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: data, cancelable: true, bubbles: true })
        : new DragEvent(kind, { dataTransfer: data, cancelable: true, bubbles: true });
    document.querySelector("#pad").dispatchEvent(event);
}"""


def hand_over(visitor: Visitor, kind: str, name: str, content: bytes) -> None:
    """Paste or drop a file: the event is made by a script, because no test can use the clipboard of the system."""
    mime = "image/png" if name.endswith(".png") else "text/plain"
    visitor.tab.evaluate(HAND_OVER, [kind, name, mime, base64.b64encode(content).decode()])
    visitor.tab.wait_for_timeout(100)  # a file is read at any time
    visitor.settle()


def open_file(visitor: Visitor, kind: str, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    visitor.tab.get_by_label("Picture file").set_input_files(files=[file])
    visitor.tab.wait_for_timeout(100)
    visitor.settle()


def photo(*digits: int) -> bytes:
    """A PNG of test images of these digits in a line, dark on grey paper."""
    images = np.load(REPOSITORY / "data/processed/test_images.npy", mmap_mode="r")
    labels = np.load(REPOSITORY / "data/processed/test_labels.npy").argmax(axis=1)
    paper = np.full((160, 60 + 120 * len(digits)), 210.0)
    for place, digit in enumerate(digits):
        first = int(np.flatnonzero(labels == digit)[0])
        large = np.asarray(Image.fromarray(images[first, :, :, 0]).resize((112, 112), Image.Resampling.BICUBIC))
        paper[24:136, 30 + 120 * place : 142 + 120 * place] -= 180 * large.clip(0, 1)
    return as_png(paper.astype(np.uint8))


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_undo_takes_back_each_step_and_clear_too_by_button_and_by_key(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    undo, clear = (page.tab.get_by_role("button", name=name, exact=True) for name in ("Undo", "Clear"))
    assert undo.is_disabled()
    assert clear.is_disabled()
    four = DIGITS[4]
    page.draw(four[:1])
    page.draw(four[1:])
    assert page.answer == "4"
    page.press("Clear")
    assert (page.answer, page.said) == ("", "Draw a digit, and the network reads it.")
    assert clear.is_disabled()
    page.press("Undo")
    assert page.answer == "4"
    page.press("Undo")
    assert page.answer != "4"
    page.tab.keyboard.press("Control+z")
    page.settle()
    assert page.answer == ""
    assert undo.is_disabled()
    page.draw(DIGITS[7])
    page.tab.keyboard.press("Delete")
    page.settle()
    assert page.answer == ""
    page.tab.keyboard.press("Control+z")
    page.settle()
    assert page.answer == "7"


def test_a_second_finger_and_the_right_mouse_button_do_not_draw(page_file: Path, visit: Visit) -> None:
    page = visit(page_file, 390, has_touch=True)
    x, y = page.points([(0.5, 0.5)])[0]
    page.tab.mouse.click(x, y, button="right")
    page.settle()
    assert page.answer == ""
    session = page.tab.context.new_cdp_session(page.tab)
    points = [page.points(stroke) for stroke in (DIGITS[1][0], arc(0.8, 0.8, 0.1, 0.1, 0, 360))]
    for index in range(len(points[0])):
        kind = "touchMove" if index else "touchStart"
        fingers = [{"x": each[index][0], "y": each[index][1], "id": number} for number, each in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.settle()
    assert page.answer == "1"


def test_a_digit_is_drawn_with_a_pen(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    page.tab.evaluate("addEventListener('pointerdown', (event) => (window.used = event.pointerType))")
    session = page.tab.context.new_cdp_session(page.tab)
    for stroke in DIGITS[3]:
        first, *others = page.points(stroke)
        kinds = [("mousePressed", first), *(("mouseMoved", point) for point in others), ("mouseReleased", others[-1])]
        for kind, (x, y) in kinds:
            pen = {"pointerType": "pen", "button": "left", "buttons": 1, "clickCount": 1}
            session.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **pen})
    page.settle()
    assert page.tab.evaluate("window.used") == "pen"
    assert page.answer == "3"


def test_a_one_is_drawn_with_the_keyboard_alone(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    pad = page.tab.get_by_role("application", name="Drawing pad")
    page.tab.keyboard.press("Tab")
    assert pad.evaluate("(pad) => pad === document.activeElement")
    for key, times in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 16)):
        for _ in range(times):
            page.tab.keyboard.press(key)
    page.settle()
    assert page.said.startswith("The pen is down. It reads 1, ")
    page.tab.keyboard.press(" ")
    page.settle()
    assert page.said.startswith("The pen is up. It reads 1, ")


@pytest.mark.parametrize(("hand", "kind"), [(hand_over, "paste"), (hand_over, "drop"), (open_file, "open")])
def test_a_picture_is_read_and_what_is_no_picture_is_refused(
    page_file: Path, visit: Visit, hand: Callable[[Visitor, str, str, bytes], None], kind: str
) -> None:
    page = visit(page_file)
    hand(page, kind, "photo.png", photo(5))
    assert page.answer == "5"
    hand(page, kind, "blank.png", as_png(np.full((50, 50), 200, np.uint8)))
    assert page.said == "No ink was found in this picture."
    hand(page, kind, "notes.txt", b"no picture")
    assert page.said == "notes.txt is not a picture that this browser can read."
    page.press("Undo")
    assert page.answer == "5"
    page.draw(DIGITS[7])  # on an empty pad, not on the picture
    assert page.answer == "7"


def test_a_line_of_digits_is_read_and_each_digit_can_be_looked_into(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    hand_over(page, "drop", "year.png", photo(2, 0, 7))
    assert page.answer == "2 0 7"
    assert page.said.startswith("It reads 2 0 7. The least certain is ")
    images = page.tab.locator("#images button")
    assert [images.nth(place).get_attribute("aria-pressed") for place in range(3)] == ["true", "false", "false"]
    images.nth(2).click()
    assert page.tab.locator("#bars li.first").inner_text().split()[0] == "7"
    assert page.tab.locator("#images button[aria-pressed=true]").count() == 1


def test_what_looks_like_no_digit_is_uncertain(page_file: Path, visit: Visit) -> None:
    page = visit(page_file).draw(STAR)
    assert page.answer == "?"
    assert page.said.startswith("Uncertain: this looks like no digit that it knows. The nearest is ")


SIZES = "() => layers.map(({ name, biases }) => [name, biases.length])"


def test_the_ten_probabilities_and_the_maps_of_each_layer_are_shown(page_file: Path, visit: Visit) -> None:
    page = visit(page_file).draw(DIGITS[3])
    lines = page.tab.get_by_role("list", name="Probability of each digit").get_by_role("listitem")
    shown = [each.split() for each in lines.all_inner_texts()]
    assert [name for name, _ in shown] == [*"0123456789"]
    assert abs(sum(float(probability) for _, probability in shown) - 1) < 0.006
    assert page.tab.get_by_role("img", name="Image of 28 by 28 pixels").count() == 1
    layers = page.tab.locator("#layers > div")
    sizes = {name: size for name, size in page.tab.evaluate(SIZES) if size and not name.startswith(("norm", "digits"))}
    headings = layers.locator("h3").all_inner_texts()
    assert len(headings) == len(sizes) >= 4
    for heading, (name, size) in zip(headings, sizes.items(), strict=True):
        kind = "maps of" if name.startswith("conv") else "units,"
        assert heading.startswith(f"{name.replace('_', ' ')} {size} {kind} ")
    assert layers.nth(0).get_by_role("img").count() == 8
    assert headings[0].endswith(" maps of 28\u00d728, the 8 most active")


def test_an_image_of_the_gallery_is_read_as_the_pipeline_read_it(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    items = page.tab.locator("#mistakes li")
    if items.count() > 24:
        assert page.tab.locator("#mistakes li:visible").count() == 24
        page.tab.get_by_role("button", name="Show all").click()
    assert page.tab.locator("#mistakes li:visible").count() == items.count()
    for place in (0, items.count() - 1):
        items.nth(place).get_by_role("button").click()
        page.settle()
        actual, _, _, predicted = items.nth(place).inner_text().split()
        assert page.said.startswith(f"A test image of {actual}, which it reads as {predicted}, with probability ")


CONTRASTS = """() => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (colour) => colour.slice(0, 3).map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const groundOf = (element) => {
        const colour = rgb(getComputedStyle(element).backgroundColor);
        return colour.length === 3 || colour[3] === 1 ? colour : groundOf(element.parentElement);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
        const pair = [rgb(getComputedStyle(element).color), groundOf(element)].map(light).sort((a, b) => b - a);
        found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.textContent.trim()]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_at_least_4_5_and_nothing_is_wider_than_a_phone(
    page_file: Path, visit: Visit, scheme: str
) -> None:
    page = visit(page_file, 390, scheme)
    for strokes in ([], DIGITS[2], STAR):
        page.draw(strokes)
        texts = page.tab.evaluate(CONTRASTS)
        assert len(texts) > 40
        assert [(text, contrast) for contrast, text in texts if contrast < 4.5] == []
        assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    for button in page.tab.locator(".tools button").all():
        assert button.bounding_box()["height"] >= 44


def test_everything_has_a_name_and_the_keyboard_reaches_it(page_file: Path, visit: Visit) -> None:
    page = visit(page_file).draw(DIGITS[2])
    tree = page.tab.locator("body").aria_snapshot()
    for expected in ('heading "Draw a digit" [level=1]', 'application "Drawing pad"', "status: ", 'group "Tools"'):
        assert expected in tree
    assert "- button\n" not in tree  # without a name
    assert "- img\n" not in tree
    assert page.tab.locator("html").get_attribute("lang") == "en"
    page.tab.locator("#pad").focus()
    reached = []
    for _ in range(4):
        page.tab.keyboard.press("Tab")
        reached.append(page.tab.evaluate("document.activeElement.textContent.trim()"))
    assert reached[:3] == ["Undo", "Clear", "Open a picture"]
    assert "read as" in reached[3]


def test_the_policy_stops_a_connection_and_a_script_that_is_not_of_the_page(page_file: Path, visit: Visit) -> None:
    page = visit(page_file)
    page.tab.evaluate("() => fetch('https://example.org/').catch(() => 0)")
    page.tab.evaluate(
        "() => { const image = new Image(); image.src = 'https://example.org/x.png'; document.body.append(image); }"
    )
    page.tab.evaluate(
        "() => { const own = document.createElement('script'); own.append('ran = 1'); document.body.append(own); }"
    )
    page.tab.wait_for_timeout(200)
    blocked = [each for each in page.complaints if each.startswith("blocked: ")]
    assert [each.split()[1] for each in blocked][:2] == ["https://example.org/", "https://example.org/x.png"]
    assert len(blocked) > 2
    assert page.tab.evaluate("() => typeof ran") == "undefined"
    page.complaints.clear()  # asked for here


WEIGHTS = "() => layers.reduce((sum, { weights }) => sum + weights.length, 0)"


def test_the_page_is_smaller_than_one_megabyte(page_file: Path, visit: Visit) -> None:
    if visit(page_file).tab.evaluate(WEIGHTS) > 200_000:
        pytest.skip("the network in page/index.html is larger than that of the default recipe")
    assert page_file.stat().st_size < 1_000_000
