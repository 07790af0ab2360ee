"""A temporary folder in which to time commands: fresh clones of HEAD, and none of the user's DVC settings."""

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

import yaml

from bench.report import Process

REPOSITORY = Path(__file__).resolve().parents[1]
MEASURE = Path(__file__).with_name("measure.py")

TRIVIAL_STAGES = """\
stages:
  one: {cmd: echo 1 > 1, outs: ['1']}
  two: {cmd: echo 2 > 2, deps: ['1'], outs: ['2']}
  three: {cmd: echo 3 > 3, deps: ['2'], outs: ['3']}
  four: {cmd: echo 4 > 4, deps: ['3'], outs: ['4']}
"""


@dataclass(frozen=True)
class Sandbox:
    """A temporary folder for the clones, and the environment of the commands in them.

    `record` is where measure.py writes; `python` on the PATH is a script that has measure.py run the real one.
    """

    folder: Path
    archive: Path
    environment: dict[str, str]

    @property
    def record(self) -> Path:
        return self.folder / "record"


def prepare(folder: Path, archive: Path) -> Sandbox:
    """Fill the temporary folder with the measuring `python`, and no user settings."""
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
    """Return a clone of HEAD, the only one: it has no data, model or cache, and takes the last one's place."""
    clone = sandbox.folder / "clone"
    if clone.exists():
        shutil.rmtree(clone)
    git("clone", "--quiet", str(REPOSITORY), str(clone))
    return clone


def make_floor(sandbox: Sandbox) -> Path:
    """Return a committed repository whose pipeline is four trivial stages, all run, with this one's DVC settings."""
    return _make_repository(sandbox, "floor", {"dvc.yaml": TRIVIAL_STAGES})


def make_twin(sandbox: Sandbox) -> Path:
    """Return one with this pipeline's files and parameters, but each file is one empty line."""
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
    """Run a command with an empty record; return its lines, each with when it came, and its wall time, in seconds.

    Raises:
        OSError: it failed; the message has its last line.
    """
    sandbox.record.unlink(missing_ok=True)
    lines = []
    began = time.perf_counter()
    with subprocess.Popen(
        # Popen would look for the command on this process's PATH.
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
        told = next((line for _, line in reversed(lines) if line), "it said nothing")
        raise OSError(f"`{' '.join(command)}` exited with {process.returncode}: {told}")
    return lines, seconds


def recorded(sandbox: Sandbox) -> dict[str, Process]:
    """Return what measure.py wrote of each `python -m MODULE` since the last command began, by module."""
    rows = [json.loads(line) for line in sandbox.record.read_text().splitlines()] if sandbox.record.exists() else []
    return {
        row["command"][row["command"].index("-m") + 1]: Process(row["seconds"], row["peak_mib"])
        for row in rows
        if "-m" in row["command"]
    }


def _make_repository(sandbox: Sandbox, name: str, files: Mapping[str, str]) -> Path:
    """Return a repository of these files, with this one's DVC settings, its pipeline run and committed."""
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
    """Return what git prints, run in this repository. Raises OSError if it fails."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"`git {arguments[0]}` exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
