"""Draw docs/page.png, the picture of the page in README: `python -m tests.page.picture` after `make repro`."""

import io

from PIL import Image
from playwright import sync_api

from tests.conftest import REPOSITORY
from tests.page.conftest import CHROMIUM, Visitor
from tests.predict.hand import STROKES

if __name__ == "__main__":
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1160, "height": 1000}, color_scheme="light")
        strokes = [[(0.16 + x / 150, 0.1 + y / 200) for x, y in stroke] for stroke in STROKES[5]]
        Visitor(tab, REPOSITORY / "page/index.html").draw(strokes)
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    # 64 colours are enough for the page; with all of them the file would be three times as large.
    picture.quantize(64, dither=Image.Dither.NONE).save(REPOSITORY / "docs/page.png", optimize=True)
