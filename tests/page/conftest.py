"""Chromium with the page, without a network; a message on its console or a violation of its policy fails the test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clone import PATIENCE
from tests.conftest import REPOSITORY
from tests.predict.hand import Point

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
REPORT_VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error(`blocked: ${e.blockedURI}`));"
TWO_FRAMES = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
TOUCH = {"Pressed": "touchStart", "Moved": "touchMove", "Released": "touchEnd"}


@pytest.fixture(scope="session")
def page_file(tmp_path_factory) -> Path:
    """A copy of the page of `make repro` in a folder whose name has spaces."""
    page = REPOSITORY / "page/index.html"
    if not page.exists() or '"normalization":"mnist"' not in page.read_text(encoding="utf-8"):
        pytest.skip("page/index.html does not exist or does not read digits: run `make repro`")
    return Path(shutil.copy(page, tmp_path_factory.mktemp("a page") / "my page.html"))


class Visitor:
    """A tab with the page."""

    def __init__(self, tab: Any, path: Path) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.add_init_script(REPORT_VIOLATIONS)
        tab.goto(path.as_uri())
        self.settle()

    def settle(self) -> "Visitor":
        """Wait until the page has answered the last change."""
        self.tab.evaluate(TWO_FRAMES)
        return self

    def draw(self, strokes: list[list[Point]], pointer: str = "mouse") -> "Visitor":
        """Draw with the mouse, with a pen or by touch, on the pad from 0 to 1."""
        session = self.tab.context.new_cdp_session(self.tab)
        self.tab.locator("#pad").scroll_into_view_if_needed()
        box = self.tab.locator("#pad").bounding_box()
        for stroke in strokes:
            steps = ["Pressed", *["Moved"] * len(stroke), "Released"]
            for step, (right, down) in zip(steps, [stroke[0], *stroke, stroke[-1]], strict=True):
                place = {"x": box["x"] + right * box["width"], "y": box["y"] + down * box["height"]}
                if pointer == "touch":
                    points = [] if step == "Released" else [place]
                    session.send("Input.dispatchTouchEvent", {"type": TOUCH[step], "touchPoints": points})
                else:
                    button = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": pointer}
                    session.send("Input.dispatchMouseEvent", {"type": f"mouse{step}", **place, **button})
        return self.settle()

    def press(self, name: str) -> "Visitor":
        self.tab.get_by_role("button", name=name, exact=True).click()
        return self.settle()

    @property
    def answer(self) -> str:
        return str(self.tab.locator("#answer").inner_text())

    @property
    def said(self) -> str:
        return str(self.tab.get_by_role("status").inner_text())


Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make extra)")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:  # Chromium's sandbox does not start as root, as in a container
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000)


@pytest.fixture
def visit(browser) -> Iterator[Visit]:
    """Open a page at a width, in a colour scheme, offline."""
    opened: list[Visitor] = []

    def visit(path: Path, width: int = 1440, scheme: str = "light") -> Visitor:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=True, offline=True)
        context.set_default_timeout(PATIENCE * 1000)
        opened.append(Visitor(context.new_page(), path))
        return opened[-1]

    yield visit
    assert [complaint for visitor in opened for complaint in visitor.complaints] == []
