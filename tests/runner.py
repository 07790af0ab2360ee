"""The workflows of GitHub, and their shell lines run as a runner of GitHub runs them."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.clone import REPOSITORY, Clone

WORKFLOWS = {path.name: path.read_text() for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))}
DOCUMENTS: dict[str, Any] = {name: YAML(typ="safe").load(text) for name, text in WORKFLOWS.items()}
SHELLS = {None: "bash -e", "bash": "bash --noprofile --norc -e -o pipefail"}


def evaluate(text: str, **contexts: Any) -> str:
    """Put the values of these contexts in place of each `${{ a.b || c.d }}`; what is not there is empty."""

    def value(expression: re.Match[str]) -> str:
        for path in expression[1].split(" || "):
            part: Any = contexts
            for key in path.split("."):
                part = (part or {}).get(key)
            if part:
                return str(part)
        return ""

    return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


class Runner(Clone):
    """The checkout of a job. Programs in `bin` beside it are found before those of this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.beside = folder.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.environment |= {"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(self.beside)}
        self.environment |= {name: str(self.beside / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        self.environment["PATH"] = f"{self.beside}/bin{os.pathsep}{self.environment['PATH']}"

    def put_program(self, path: str, script: str) -> None:
        """Write a script of the shell; the path begins at the checkout."""
        self.put(path, f"#!/bin/sh\n{script}\n")
        (self.folder / path).chmod(0o755)

    def step(self, step: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the lines of a step."""
        (self.beside / "step.sh").write_text(step["run"])
        return self.attempt(f"{SHELLS[step.get('shell')]} '{self.beside}/step.sh'", **environment)
