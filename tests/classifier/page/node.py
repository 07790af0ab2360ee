"""Run functions of the page's scripts under Node."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from classifier.page import document
from tests.clone import finish

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

START = """\
const fs = require("fs");
const vm = require("vm");
const [given, ...scripts] = process.argv.slice(1);
vm.runInThisContext(scripts.map((path) => fs.readFileSync(path, "utf8")).join("\\n"));
const input = JSON.parse(fs.readFileSync(given));
const give = (value) => process.stdout.write(JSON.stringify(value));
"""


def run(body: str, given: Any, folder: Path) -> Any:
    """Return what `body`, which may use `input` and the functions of the scripts, passes to `give`, once.

    The scripts are those that need no browser. The lines of `body` are in another script, as a browser has them.
    """
    (folder / "given.json").write_text(json.dumps(given))
    scripts = [str(document.SOURCES / name) for name in document.SCRIPTS[:3]]
    command = ["node", "--eval", START + body, str(folder / "given.json"), *scripts]
    done = finish(command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
