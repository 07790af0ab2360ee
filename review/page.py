"""Render a report as one HTML file that needs no network: pictures are embedded; it has no script and no address."""

import base64
import html
from collections.abc import Mapping
from types import MappingProxyType

from markdown_it import MarkdownIt

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #d0d7de; --shade: #f3f5f7; }}
@media (prefers-color-scheme: dark) {{ :root {{ --line: #3d444d; --shade: #1d2229; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem; overflow-wrap: anywhere; }}
p {{ overflow-x: auto; }}
p:first-child {{ font-size: 1.3em; }}
h3 {{ margin: 2rem 0 0; }}
code {{ background: var(--shade); padding: 0.1em 0.3em; border-radius: 4px; }}
table {{ display: block; overflow-x: auto; border-collapse: collapse; margin: 1rem 0; font-size: 0.9em; }}
th, td {{ border: 1px solid var(--line); padding: 0.25em 0.6em; white-space: nowrap; }}
th:first-child, td:first-child {{ white-space: normal; min-width: 9.5rem; }}
th {{ background: var(--shade); }}
img {{ max-width: 100%; background: white; padding: 0.3rem; box-sizing: border-box; border-radius: 4px; }}
@media (max-width: 30rem) {{ table {{ font-size: 0.75em; }} }}
</style>
</head>
<body>
{body}</body>
</html>
"""


def as_page(
    title: str, markdown: str, pictures: Mapping[str, bytes], pages: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Render Markdown with its PNGs by name; links, other pictures and HTML, which a name may contain, stay text.

    Args:
        pages: the labels of pages beside this one, by file name; they alone are links, at the end.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink"])
    tokens = parser.parse(markdown)
    for image in (child for token in tokens for child in token.children or [] if child.type == "image"):
        if picture := pictures.get(str(image.attrs["src"])):
            image.attrs["src"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        else:
            image.type = "text"
    body = parser.renderer.render(tokens, parser.options, {})
    if pages:
        links = ", ".join(f'<a href="{html.escape(name)}">{html.escape(label)}</a>' for name, label in pages.items())
        body += f"<h3>Try the models</h3>\n<p>The page to draw on: {links}</p>\n"
    return PAGE.format(title=html.escape(title), body=body)
