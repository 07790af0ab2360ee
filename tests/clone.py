"""A clone of this checkout, in which tests run commands as a user does, but without the settings of a user."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from classifier.model.runtime import LIMIT

REPOSITORY = Path(__file__).resolve().parents[1]
NO_NETWORK = "http://127.0.0.1:9"  # no proxy runs there, so no mirror can be reached on any machine
PATIENCE = 3600  # seconds after which a command is taken to hang, on slow machines too


def commands(document: str) -> dict[str, list[str]]:
    """The commands of a document by section: the lines of `sh` blocks, and of `console` blocks those after a dollar."""
    typed: dict[str, list[str]] = {}
    for section in (REPOSITORY / document).read_text().split("\n## ")[1:]:
        for kind, block in re.findall(r"(?ms)^```(sh|console)\n(.*?)^```", section):
            lines = re.findall(r"(?m)^(.+)$" if kind == "sh" else r"(?m)^\$ (.+)$", block)
            typed.setdefault(section.partition("\n")[0], []).extend(lines)
    return typed


def finish(
    command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without an input; return its exit status and what it printed."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, cwd=folder, env=environment, check=False, timeout=PATIENCE, **streams)


class Clone:
    """A checkout, and shell commands that run in it without the settings of the user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder.parent),
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),  # otherwise a folder of the system that nobody empties
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "HTTP_PROXY": NO_NETWORK,
            "HTTPS_PROXY": NO_NETWORK,
            "GIT_AUTHOR_NAME": "Test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "Test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
            **{name: os.environ[name] for name in [LIMIT] if name in os.environ},  # another kind of machine
        }

    def attempt(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return finish(["bash", "-c", command], self.environment | environment, self.folder)

    def run(self, command: str, **environment: str) -> str:
        done = self.attempt(command, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command that goes on, in a session of its own; what it prints can be read."""
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where tests run
            **streams,
        )

    def commit(self, message: str) -> None:
        self.run(f"git add -A && git commit -q -m '{message}'")

    def init(self, message: str) -> None:
        """Make the folder a repository whose first commit, on main, has its files."""
        self.run("git init -q -b main")
        self.commit(message)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def put(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        assert old in text
        self.put(path, text.replace(old, new))

    def set(self, key: str, value: object) -> None:
        """Give the parameter `section.name` in params.yaml another value."""
        section, name = key.split(".")
        text = self.read("params.yaml")
        pattern = rf"(?ms)(^{section}:\n.*?^  {name}:) [^#\n]*?( *(?:#|$))"
        changed = re.sub(pattern, rf"\1 {value}\2", text, count=1)
        assert changed != text
        self.put("params.yaml", changed)

    def ran(self, output: str) -> list[str]:
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
