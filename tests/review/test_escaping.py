"""Text of a branch in every rendering: it is shown as it is, and nothing of it is obeyed."""

import html
import json
import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from review import compare, report, verify
from review.escaping import LONGEST, markdown, quote
from review.report import as_page
from review.results import leaves
from tests.review.repository import Repository, record

VISIBLE = (
    "EVIL` ``` **b** _i_ ~~s~~ [l](http://e.vil) ![p](curves.png) <img src=x><!-- @user #1 GH-1 www.e.vil | &lt; $x$ \\"
)
HIDDEN = "\n\n# heading\n- item\n```\n\r\v\x1b[31m\x1b]0;title\x07\x85\u202e\u2066\u2028\u200b"
PAYLOAD = VISIBLE + HIDDEN
BRANCH = "EVIL`<b>@user|#1&$x$!](x)"

TABLE = ("table", "thead", "tbody", "tr", "th", "td")


@pytest.fixture
def hostile(repository) -> Repository:
    """Main is plain, and a branch has the payload wherever the commands show a text."""
    text, visible, hidden = PAYLOAD, VISIBLE, f"EVIL{HIDDEN}"
    parameters = {"epochs": 5, visible: 1, "note": text, "list": [text, {text: text}]}
    repository.put("params.yaml", json.dumps({"train": parameters}))
    repository.put("metrics.json", json.dumps({"test": {visible: 0.5, hidden: 0.5}}))
    stage = {
        "cmd": text,
        "deps": [{"path": visible, "md5": "0" * 32}],
        "params": {"params.yaml": {f"train.{hidden}": text}},
        "outs": [{"path": visible, "md5": "0" * 32}],
    }
    repository.put("dvc.lock", json.dumps({"schema": "2.0", "stages": {"train": stage, visible: {"cmd": "x"}}}))
    command = {"cmd": visible.replace("$", ""), "deps": [f"{visible}.py"]}
    repository.put("dvc.yaml", json.dumps({"stages": {"train": command}}))
    stale = record(0.5, 0.6, parameters=dict(leaves({"train": parameters})), training={visible: "1" * 32})
    repository.put_noise(stale)
    repository.run("git checkout -q -b filled")
    repository.commit("filled")
    repository.run('git update-ref refs/heads/"$NAME" HEAD && git checkout -q main', NAME=BRANCH)
    return repository


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or []]


def check_markdown(text: str) -> None:
    """What holds the payload is a code span, and there is no other structure than ours."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    pictures = {*report.CURVES.values(), report.DIFFERENCE, report.IMAGES}
    for token in inline(tokens):
        assert "EVIL" not in token.content or token.type == "code_inline", token
        assert token.type in ("text", "code_inline", "strong_open", "strong_close", "image", "softbreak"), token
        assert token.type != "image" or token.attrs["src"] in pictures
    blocks = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert blocks <= {*("paragraph", "inline", "bullet_list", "list_item", "heading"), *TABLE}
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert all(heading.startswith(("Learning curves", "What changed in", "Images ")) for heading in headings)
    rows = " ".join(token.type for token in tokens).split("tr_open")
    assert {row.count("td_open") + row.count("th_open") for row in rows} <= {0, 2, 3, 4, 6}
    check_lines(text)


def check_lines(text: str) -> None:
    assert "EVIL" in text
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("sides", [["main", BRANCH], [BRANCH, "main"]])
def test_text_of_a_branch_is_only_text_in_markdown_and_in_the_terminal(hostile, capsys, sides):
    compare.main([*sides, "--markdown", "--final", "--stale"])
    check_markdown(capsys.readouterr().out)
    compare.main([*sides, "--final", "--stale"])
    text = capsys.readouterr().out
    check_lines(text)
    assert "; its measurement is stale: it was measured with other files: `EVIL\\x60" in " ".join(text.split())
    assert [line for line in text.splitlines() if line.startswith(("verdict", "# ", "- "))] == text.splitlines()[:1]
    compare.main([*sides, "--json", "--stale"])
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed)["base"]["revision"] == sides[0]


def test_text_of_a_branch_is_only_text_in_a_report_in_its_page_and_in_the_lines_of_verify(hostile, capsys):
    assert report.main(["main", BRANCH, "--stale"]) == 0
    check_lines(capsys.readouterr().out)
    text = hostile.read("report/report.md")
    check_markdown(text)
    page = hostile.read("report/report.html")
    assert not set(re.findall(r"<(\w+)", page)) & {"a", "b", "em", "s", "script", "h1"}
    assert len(re.findall(r'(?:src|href)="(.*?)"', page)) == text.count("\n![")
    assert "http://e.vil" in page
    assert verify.main([BRANCH]) == 1
    lines = capsys.readouterr().out
    check_lines(lines)
    assert [line[:14] for line in lines.splitlines()] == ["verify: train:", "verify: EVIL` ", "verify: dvc.lo"]


def test_links_and_pictures_of_elsewhere_stay_text_in_the_page():
    written = "[a](http://a.test) <http://b.test> <b>b</b> ![c](http://c.test/c.png) ![d](d.png)"
    page = as_page("<b>title", written, {"d.png": b"PNG"})
    assert re.findall(r'(?:src|href)="(.*?)"', page) == ["data:image/png;base64,UE5H"]
    assert not set(re.findall(r"<(\w+)", page)) & {"a", "b"}
    assert "[a](http://a.test) <http://b.test> <b>b</b>" in html.unescape(page)


def test_words_of_ours_stay_and_a_quote_that_was_forgotten_is_text_all_the_same():
    ours = "validation: better (p = 0.0039, below 0.05); the means differ by +0.1; `make noise` measures it: 0.1 ± 0.2"
    assert markdown(ours) == ours
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parseInline(markdown(f"so: {VISIBLE}"))
    assert {token.type for token in inline(tokens)} <= {"text", "text_special", "code_inline"}
    assert markdown("&amp;") == r"\&amp;"
    assert "@user" not in markdown("@user")
    assert "http://" not in markdown("http://e.vil")


@pytest.mark.parametrize("text", ["", " ", "`", "``", "\\", "a\\", "x" * 10_000])
def test_a_quoted_text_is_one_code_span_of_bounded_length(text):
    tokens = inline(MarkdownIt("commonmark").parseInline(f"a {quote(text)} b {quote(text)} c"))
    assert [token.type for token in tokens] == ["text", "code_inline", "text", "code_inline", "text"]
    assert len(quote(text)) <= LONGEST + 5
