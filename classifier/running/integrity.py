"""Check the files that DVC does not check: read-only cache objects, and files with an unchanged modification time."""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from classifier.files.paths import LOCK
from classifier.running import processes

AT_WORK = Path(".dvc/tmp/rwlock")  # the files that running dvc commands read and write

UNFINISHED = (
    "is not a whole lock file, perhaps because dvc was killed while it wrote this; run `git checkout dvc.lock` to "
    "restore the committed one, then `dvc repro`"
)


def main() -> None:
    """Remove damaged cache objects of the outputs in dvc.lock, and make DVC compare the changed outputs with it again.

    DVC would restore a missing output from a damaged object and report it as up to date.

    Raises:
        ValueError: dvc.lock or the list of files in use is incomplete, because dvc was killed.
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
        raise ValueError(f"{AT_WORK} is incomplete; if no dvc command is running here, run `rm {AT_WORK}`") from None
    unprotect_cache()
    objects = cache()
    for _, path, md5 in outputs(lock):
        kept = objects / md5[:2] / md5[2:]
        if kept.is_file() and digest(kept) != md5:
            kept.unlink()
            print(f"integrity: removed the damaged cache object {kept}; `dvc repro` creates {path} again")
        if path.is_symlink() and not path.exists():
            path.unlink()
        elif path.is_file() and digest(path) != md5:
            os.utime(path)  # DVC hashes a file again when its time has changed


def check_inputs(stage: str) -> None:
    """Check that each input of this stage has the MD5 that dvc.lock has for it as the output of another stage.

    Raises:
        ValueError: an input has another MD5, or dvc.lock is incomplete.
        OSError: an input cannot be read.
    """
    lock = load_lock()
    written = {path: (writer, md5) for writer, path, md5 in outputs(lock)}
    for dep in lock.get(stage, {}).get("deps", []):
        path = Path(dep["path"])
        if path in written:
            writer, md5 = written[path]
            if (found := digest(path)) != md5:
                md5s = f"has the MD5 {found}, but {LOCK} says that {writer} wrote {md5}"
                raise ValueError(f"{path} {md5s}; run `dvc repro --force {writer}` to create it again")


def unprotect_cache() -> None:
    """Make each cache object writable: DVC checks writable objects before it uses them, and removes damaged ones."""
    for each in cache().glob("??/*"):
        with suppress(OSError):  # in a shared cache, an object may belong to another user
            each.chmod(stat.S_IMODE(each.stat().st_mode) | stat.S_IWUSR)


def load_lock() -> dict[str, Any]:
    """Return the stages of dvc.lock by name, or none if there is no such file.

    Raises:
        ValueError: the file is incomplete.
    """
    if not LOCK.exists():
        return {}
    try:
        return dict(yaml.load(LOCK.read_bytes(), Loader=yaml.CSafeLoader)["stages"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError):
        raise ValueError(f"{LOCK} {UNFINISHED}") from None


def outputs(lock: dict[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """Yield stage, path and MD5 of each output."""
    for stage, entry in lock.items():
        for out in entry.get("outs", []):
            if out.get("hash") == "md5" and "md5" in out:
                yield stage, Path(out["path"]), out["md5"]


def cache() -> Path:
    """Return the folder of DVC's cache objects; the one with MD5 abcd... is ab/cd..."""
    from dvc.config import Config

    return Path(Config(".dvc")["cache"].get("dir") or ".dvc/cache") / "files/md5"


def digest(path: Path) -> str:
    """Return the MD5 of a file, computed as in DVC 3."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


if __name__ == "__main__":
    try:
        with processes.only_stage_here("integrity"):
            main()
    except (ValueError, OSError) as error:
        sys.exit(f"integrity: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, the convention of shells
