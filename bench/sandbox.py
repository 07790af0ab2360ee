"""A temporary folder in which commands are timed: in fresh clones of HEAD, without the user's DVC settings."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.report import Process

REPOSITORY = Path(__file__).resolve().parents[1]
MEASURE = Path(__file__).with_name("measure.py")


@dataclass(frozen=True)
class Sandbox:
    """A temporary folder for the clones, and the environment of the commands that run in them.

    measure.py writes to the file `record`. `python` on the PATH is a script that runs the real one through measure.py.
    """

    folder: Path
    archive: Path
    environment: dict[str, str]

    @property
    def record(self) -> Path:
        return self.folder / "record"


def prepare(folder: Path, archive: Path) -> Sandbox:
    """Write the measuring `python` into the folder, and make an environment without the user's DVC settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        (folder / name).mkdir(parents=True)
        environment[name] = str(folder / name)
    python = folder / "bin/python"
    python.parent.mkdir()
    measured = [sys.executable, "-IS", str(MEASURE), str(folder / "record"), sys.executable]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(measured)} "$@"\n')
    python.chmod(0o755)
    paths = [str(python.parent), str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    environment |= {"PATH": os.pathsep.join(paths), "DATASET_MIRROR": str(archive)}
    return Sandbox(folder, archive, environment)


def fresh_clone(sandbox: Sandbox) -> Path:
    """Return a new clone of HEAD, without data, model or cache; it replaces the previous clone."""
    clone = sandbox.folder / "clone"
    if clone.exists():
        shutil.rmtree(clone)
    git("clone", "--quiet", str(REPOSITORY), str(clone))
    return clone


def make_floor(sandbox: Sandbox) -> Path:
    """Return a repository with this one's DVC settings and as many trivial stages, which have been run."""
    stages: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"], start=1):
        stages[name] = {"cmd": f"echo {number} > {number}", "outs": [str(number)]}
        if number > 1:
            stages[name]["deps"] = [str(number - 1)]
    return _make_repository(sandbox, "floor", {"dvc.yaml": yaml.safe_dump({"stages": stages}, sort_keys=False)})


def make_twin(sandbox: Sandbox) -> Path:
    """Return such a repository with this pipeline's files and parameters, but each file is one empty line."""
    pipeline = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    outs = set()
    for stage in pipeline["stages"].values():
        written = [next(iter(out)) for kind in ("outs", "metrics") for out in stage.get(kind, [])]
        stage["cmd"] = "; ".join(f"mkdir -p {Path(out).parent}; echo > {out}" for out in written)
        outs |= set(written)
    deps = {dep for stage in pipeline["stages"].values() for dep in stage["deps"]} - outs
    text = yaml.safe_dump(pipeline, sort_keys=False)
    params = (REPOSITORY / "params.yaml").read_text()
    return _make_repository(sandbox, "twin", {"dvc.yaml": text, "params.yaml": params} | dict.fromkeys(deps, "\n"))


def run_command(sandbox: Sandbox, command: list[str], folder: Path) -> tuple[list[tuple[float, str]], float]:
    """Empty the record and run a command; return its lines, each with its time, and the wall time, all in seconds.

    Raises:
        OSError: the command failed; the message has its last line.
    """
    sandbox.record.unlink(missing_ok=True)
    lines = []
    began = time.perf_counter()
    with subprocess.Popen(
        # Popen would search the PATH of this process for the command.
        [shutil.which(command[0], path=sandbox.environment["PATH"]) or command[0], *command[1:]],
        cwd=folder,
        env=sandbox.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append((time.perf_counter() - began, line.rstrip()))
    seconds = time.perf_counter() - began
    if process.returncode:
        last = next((line for _, line in reversed(lines) if line), "it printed nothing")
        raise OSError(f"`{' '.join(command)}` exited with {process.returncode}: {last}")
    return lines, seconds


def recorded(sandbox: Sandbox) -> dict[str, Process]:
    """Return the time and memory of each `python -m MODULE` that the last command ran, by module."""
    rows = [json.loads(line) for line in sandbox.record.read_text().splitlines()] if sandbox.record.exists() else []
    return {
        row["command"][row["command"].index("-m") + 1]: Process(row["seconds"], row["peak_mib"])
        for row in rows
        if "-m" in row["command"]
    }


def _make_repository(sandbox: Sandbox, name: str, files: Mapping[str, str]) -> Path:
    """Make a repository of these files with this one's DVC settings, run its pipeline and commit the results."""
    folder = sandbox.folder / name
    for path in (".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, folder / path)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git("init", "--quiet", str(folder))
    run_command(sandbox, ["dvc", "repro"], folder)
    author = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]
    git("-C", str(folder), "add", "--all")
    git("-C", str(folder), *author, "commit", "--quiet", "--message", "Trivial stages")
    return folder


def git(*arguments: str) -> str:
    """Run git in this repository and return its output. Raises OSError if git fails."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"`git {arguments[0]}` exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
