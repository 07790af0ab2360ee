"""Check what DVC takes on trust: a read-only object in its cache, and a file whose time of change stayed the same."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from classifier.files.paths import LOCK

AT_WORK = Path(".dvc/tmp/rwlock")  # where dvc notes which files it reads and writes now

UNFINISHED = (
    "is not a whole lock file; dvc leaves one when it is killed while it writes it. `git checkout dvc.lock` brings "
    "back the last whole one, and `dvc repro` goes on from there"
)


def main() -> None:
    """Remove damaged cache objects of the outputs in dvc.lock, and make DVC hash again the outputs that differ from it.

    DVC would put a damaged object in the place of a missing output and report it as up to date.

    Raises:
        ValueError: a killed dvc left dvc.lock or its note of files at work cut off; the message names the way out.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import YAMLValidationError, validate

    lock = load_lock()
    try:
        validate({"schema": "2.0", "stages": lock}, COMPILED_LOCKFILE_SCHEMA)
    except YAMLValidationError:
        raise ValueError(f"{LOCK} {UNFINISHED}") from None
    try:
        json.loads(AT_WORK.read_text() if AT_WORK.exists() else "{}")
    except ValueError:
        raise ValueError(f"{AT_WORK} is not whole; if no dvc is at work here, `rm {AT_WORK}`") from None
    unprotect_cache()
    objects = cache()
    for _, path, md5 in outputs(lock):
        kept = objects / md5[:2] / md5[2:]
        if kept.is_file() and digest(kept) != md5:
            kept.unlink()
            print(f"integrity: the cache object {kept} was damaged and is removed; `dvc repro` makes {path} anew")
        if path.is_symlink() and not path.exists():
            path.unlink()
        elif path.is_file() and digest(path) != md5:
            os.utime(path)  # DVC hashes a file again once its time has changed


def check_inputs(stage: str) -> None:
    """Refuse an input of this stage whose bytes are not those that dvc.lock says another stage wrote.

    Raises:
        ValueError: an input differs; the message names it and the command that makes it anew. Or dvc.lock is not whole.
        OSError: an input cannot be read.
    """
    lock = load_lock()
    written = {path: (writer, md5) for writer, path, md5 in outputs(lock)}
    for dep in lock.get(stage, {}).get("deps", []):
        path = Path(dep["path"])
        if path in written:
            writer, md5 = written[path]
            if (found := digest(path)) != md5:
                told = f"has the MD5 {found}, but {LOCK} says that {writer} wrote {md5}"
                raise ValueError(f"{path} {told}; `dvc repro --force {writer}` makes it anew")


def unprotect_cache() -> None:
    """Make every cache object writable: DVC hashes such an object before it uses it, and removes a damaged one."""
    for each in cache().glob("??/*"):
        with suppress(OSError):  # in a shared cache, the object of another user
            each.chmod(stat.S_IMODE(each.stat().st_mode) | stat.S_IWUSR)


def load_lock() -> dict[str, Any]:
    """Return the stages of dvc.lock by name, none where there is no such file.

    Raises:
        ValueError: it is not whole.
    """
    if not LOCK.exists():
        return {}
    try:
        return dict(yaml.load(LOCK.read_bytes(), Loader=yaml.CSafeLoader)["stages"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError):
        raise ValueError(f"{LOCK} {UNFINISHED}") from None


def outputs(lock: dict[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """Yield the stage, the path and the MD5 of each output."""
    for stage, entry in lock.items():
        for out in entry.get("outs", []):
            if out.get("hash") == "md5" and "md5" in out:
                yield stage, Path(out["path"]), out["md5"]


def cache() -> Path:
    """The folder of DVC's cache objects, named by their MD5: its first two digits, then the others."""
    from dvc.config import Config

    return Path(Config(".dvc")["cache"].get("dir") or ".dvc/cache") / "files/md5"


def digest(path: Path) -> str:
    """Return the MD5 of a file, as DVC 3 takes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


if __name__ == "__main__":
    from classifier.running.command import run

    run("integrity", main)
