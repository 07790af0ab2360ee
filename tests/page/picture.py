"""Draw docs/page.png, the picture of the page in README: `python -m tests.page.picture` after `make repro`."""

import io
from pathlib import Path

from PIL import Image
from playwright import sync_api

from tests.conftest import REPOSITORY
from tests.page.conftest import Visitor, launch
from tests.predict.hand import STROKES


def main(path: Path = REPOSITORY / "docs/page.png") -> None:
    """Draw a 5 on the page and save what a window of 1160x1000 pixels shows, in 64 colours."""
    with sync_api.sync_playwright() as started:
        tab = launch(started).new_page(viewport={"width": 1160, "height": 1000}, color_scheme="light")
        page = Visitor(tab).open(REPOSITORY / "page/index.html")
        page.draw([[(0.16 + x / 150, 0.1 + y / 200) for x, y in stroke] for stroke in STROKES[5][0]])
        picture = Image.open(io.BytesIO(tab.screenshot()))
    picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
