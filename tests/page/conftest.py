"""Chromium with the page, without a network; a message on its console or a violation of its policy fails the test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.predict.hand import Point

REPORT_VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error(`blocked: ${e.blockedURI}`));"
TWO_FRAMES = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"


def launch(playwright: Any) -> Any:
    """Start Chromium of the system; its sandbox does not start as root."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    return playwright.chromium.launch(
        executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=120_000
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make extra)")
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = launch(started)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page of `make repro` in a folder whose name has spaces."""
    page = REPOSITORY / "page/index.html"
    if not page.exists() or '"normalization":"mnist"' not in page.read_text(encoding="utf-8"):
        pytest.skip("page/index.html does not exist or does not read digits: run `make repro`")
    return Path(shutil.copy(page, tmp_path_factory.mktemp("a page") / "my page.html"))


class Visitor:
    """A tab with the page."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.add_init_script(REPORT_VIOLATIONS)

    def open(self, path: Path) -> "Visitor":
        self.tab.goto(path.as_uri())
        return self.settle()

    def settle(self) -> "Visitor":
        """Wait until the page has answered the last change."""
        self.tab.evaluate(TWO_FRAMES)
        return self

    def points(self, stroke: list[Point]) -> list[Point]:
        self.tab.locator("#pad").scroll_into_view_if_needed()
        box = self.tab.locator("#pad").bounding_box()
        return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]

    def draw(self, strokes: list[list[Point]], pointer: str = "mouse") -> "Visitor":
        """Draw with the mouse, with a pen or by touch, on the pad from 0 to 1."""
        session = self.tab.context.new_cdp_session(self.tab)
        for points in map(self.points, strokes):
            steps = ["Pressed", *["Moved"] * len(points), "Released"]
            for step, (x, y) in zip(steps, [points[0], *points, points[-1]], strict=True):
                if pointer == "touch":
                    kind = {"Pressed": "touchStart", "Moved": "touchMove", "Released": "touchEnd"}[step]
                    fingers = [] if step == "Released" else [{"x": x, "y": y}]
                    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
                else:
                    event = {"x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1, "pointerType": pointer}
                    session.send("Input.dispatchMouseEvent", {"type": f"mouse{step}", **event})
        return self.settle()

    @property
    def answer(self) -> str:
        return str(self.tab.locator("#answer").inner_text())

    @property
    def said(self) -> str:
        return str(self.tab.get_by_role("status").inner_text())

    def press(self, name: str) -> "Visitor":
        self.tab.get_by_role("button", name=name, exact=True).click()
        return self.settle()


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Open a page at a width, in a colour scheme, offline."""
    opened: list[Visitor] = []

    def visit(path: Path, width: int = 1440, scheme: str = "light", **options: Any) -> Visitor:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        context.set_offline(True)
        opened.append(Visitor(context.new_page()))
        return opened[-1].open(path)

    yield visit
    complaints = [complaint for visitor in opened for complaint in visitor.complaints]
    for visitor in opened:
        visitor.tab.context.close()
    assert complaints == []
