"""Chromium with the page, without a network; a message on its console or a violation of its policy fails the test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.page.digits import Stroke

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REPORT_VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error(`blocked: ${e.blockedURI}`));"


def program() -> str | None:
    """The path of Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium of the system, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make extra)")
    if program() is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        # Chromium's sandbox does not start as root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=program(), args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the committed page in a folder whose name has spaces."""
    committed = REPOSITORY / "page/index.html"
    if not committed.exists():
        pytest.skip("page/index.html does not exist: run `make repro`")
    if '"normalization":"mnist"' not in committed.read_text(encoding="utf-8"):
        pytest.skip("page/index.html is of another data set, and these tests draw digits")
    return Path(shutil.copy(committed, tmp_path_factory.mktemp("a page") / "my page.html"))


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
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the page has shown and said the answer to the last change."""
        self.tab.locator("#said[aria-busy=false]").wait_for()

    def points(self, stroke: Stroke) -> list[tuple[float, float]]:
        self.tab.locator("#pad").scroll_into_view_if_needed()
        box = self.tab.locator("#pad").bounding_box()
        return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]

    def draw(self, strokes: list[Stroke]) -> "Visitor":
        """Draw with the mouse."""
        for stroke in strokes:
            first, *others = self.points(stroke)
            self.tab.mouse.move(*first)
            self.tab.mouse.down()
            for point in others:
                self.tab.mouse.move(*point)
            self.tab.mouse.up()
        self.settle()
        return self

    def touch(self, strokes: list[Stroke]) -> "Visitor":
        """Draw with a finger."""
        session = self.tab.context.new_cdp_session(self.tab)
        for stroke in strokes:
            for index, (x, y) in enumerate(self.points(stroke)):
                kind = "touchMove" if index else "touchStart"
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()
        self.settle()
        return self

    @property
    def answer(self) -> str:
        return str(self.tab.locator("#answer").inner_text())

    @property
    def said(self) -> str:
        return str(self.tab.get_by_role("status").inner_text())

    def press(self, name: str) -> "Visitor":
        self.tab.get_by_role("button", name=name, exact=True).click()
        self.settle()
        return self


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
