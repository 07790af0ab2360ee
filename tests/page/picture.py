"""Draw docs/page.png, the picture of the page in README: `python -m tests.page.picture` after `make repro`."""

import io
from pathlib import Path

from PIL import Image
from playwright import sync_api

from tests.conftest import REPOSITORY
from tests.page.conftest import Visitor, program
from tests.page.digits import DIGITS

PICTURE = REPOSITORY / "docs/page.png"
COLOURS = 64  # enough for the page; with all of them the file would be three times as large


def main(path: Path = PICTURE) -> None:
    """Draw a 5 on the page and save what a window of 1160x1000 pixels shows."""
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1160, "height": 1000}, color_scheme="light")
        page = Visitor(tab).open(REPOSITORY / "page/index.html")
        page.draw([[(0.16 + 0.68 * x, 0.14 + 0.72 * y) for x, y in stroke] for stroke in DIGITS[5]])
        tab.wait_for_timeout(500)  # until the bars have grown
        picture = Image.open(io.BytesIO(tab.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
