"""The Makefile, run in a tiny checkout, whose environment has one small package, and in a clone of the project."""

import hashlib
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clone import REPOSITORY, Clone, commands

# Its commands dvc and uv print the environment that they belong to.
PACKAGE = {
    "small.py": "import sys\n\n\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n",
    "small-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1\n",
    "small-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "small-1.dist-info/RECORD": "small.py,,\n",
    "small-1.dist-info/entry_points.txt": "[console_scripts]\ndvc = small:main\nuv = small:main\n",
}

INSTALLING = "setup: installing"
DOWNLOAD, INSTALL = commands("docs/offline.md")["Install without an index"]


def write_checkout(folder: Path) -> Clone:
    """Write this Makefile, an index with one wheel, and a lock of it into a folder."""
    wheel = folder / "index/small/small-1-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
    (wheel.parent / "index.html").write_text(f"<a href='{wheel.name}'>{wheel.name}</a>")
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.txt").write_text(f"small==1 --hash=sha256:{checksum}\n")
    shutil.copy2(REPOSITORY / "Makefile", folder)
    (folder / ".gitignore").write_text("/.venv\n/index\n/wheels\n")
    checkout = Clone(folder)
    checkout.environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    return checkout


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A checkout whose environment was built without an index, by the lines of docs/offline.md."""
    checkout = write_checkout(tmp_path_factory.mktemp("built") / "first")
    checkout.run("git init -q -b main")
    checkout.commit("A checkout")
    checkout.run(DOWNLOAD, PIP_INDEX_URL=(checkout.folder / "index").as_uri())
    shutil.rmtree(checkout.folder / "index")
    assert INSTALLING in checkout.run(INSTALL, PYTHON=sys.executable)
    return checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Clone:
    """The files of a checkout, without a commit and without an environment."""
    return write_checkout(tmp_path / "checkout")


def copy(checkout: Clone, folder: Path) -> Clone:
    shutil.copytree(checkout.folder, folder, symlinks=True)
    return Clone(folder)


@pytest.mark.slow
def test_a_copied_and_a_moved_checkout_use_their_own_environment_and_install_nothing(
    built_once: Clone, tmp_path: Path
) -> None:
    copied = copy(built_once, tmp_path / "a copy's place")
    moved = Clone(tmp_path / "moved")
    for here in (copied, moved):
        copied.folder.rename(here.folder)
        environment = here.folder / ".venv"
        output = here.run("make lock")  # runs `uv pip compile`
        assert f"\n{environment} pip compile " in output
        assert INSTALLING not in output
        activated = here.run(". .venv/bin/activate && dvc repro && echo $VIRTUAL_ENV")
        assert activated == f"{environment} repro\n{environment}\n"
        assert f" from {environment}/lib/" in here.run(".venv/bin/pip --version")
    assert built_once.run(".venv/bin/dvc repro") == f"{built_once.folder / '.venv'} repro\n"

    broken = copy(built_once, tmp_path / "broken")
    (broken.folder / ".venv/bin/python").unlink()
    assert "make: .venv/bin/python does not run; after `rm -r .venv`" in broken.attempt("make setup").stderr


@pytest.mark.slow
def test_the_environment_is_built_again_only_if_a_python_of_another_version_is_named(
    built_once: Clone, tmp_path: Path
) -> None:
    checkout = copy(built_once, tmp_path / "checkout")
    checkout.run("make setup")
    python = checkout.folder / ".venv/bin/python"
    named = tmp_path / "python"
    named.symlink_to(getattr(sys, "_base_executable", sys.executable))
    checkout.environment["PATH"] = f"{tmp_path}{os.pathsep}{checkout.environment['PATH']}"
    assert INSTALLING not in checkout.run("make setup PYTHON=python")

    python.unlink()
    python.write_text("#!/bin/sh\necho Python 3.10.1\n")  # as an older version would print
    python.chmod(0o755)
    assert INSTALLING not in checkout.run("make setup")
    refused = checkout.attempt("make setup PYTHON=no-such-python")
    assert "make: no-such-python is not Python 3.11, 3.12 or 3.13: name one with PYTHON=" in refused.stderr
    assert f"installing the locked packages into .venv with {named}\n" in checkout.run(f"{INSTALL} PYTHON=python")
    assert checkout.run(".venv/bin/dvc repro") == f"{checkout.folder / '.venv'} repro\n"


@pytest.mark.slow
def test_a_package_with_another_hash_is_not_installed(built_once: Clone, tmp_path: Path) -> None:
    checkout = copy(built_once, tmp_path / "checkout")
    (wheel,) = (checkout.folder / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"!")
    refused = checkout.attempt(f"rm -r .venv; {INSTALL}", PYTHON=sys.executable)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr


@pytest.mark.parametrize("target", ["repro", "report", "test", "slow", "bench"])
def test_a_target_that_needs_a_git_repository_fails_before_it_installs(checkout: Clone, target: str) -> None:
    done = checkout.attempt(f"make --jobs=2 {target} BASE=main")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert f"make: {checkout.folder} is not a git repository with a commit: run `git init`, " in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_in_a_checkout_of_another_user_make_names_the_command_that_git_proposes(checkout: Clone) -> None:
    checkout.run("git init -q")
    checkout.commit("A checkout")
    checkout.environment["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"  # as if another user owned it
    checkout.environment["GIT_CONFIG_GLOBAL"] = str(checkout.folder.parent / "gitconfig")
    done = checkout.attempt("make repro")
    checkout.run(re.findall("git config --global .*", done.stderr)[0])
    assert checkout.run("make repository") == ""


@pytest.mark.parametrize("name", ["PYTHONSAFEPATH", "PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONHOME"])
def test_variables_that_change_which_modules_or_asserts_python_runs_are_removed(checkout: Clone, name: str) -> None:
    with (checkout.folder / "Makefile").open("a") as file:
        file.write(f'\n.PHONY: seen\nseen:\n\t@echo "seen: $${{{name}-nothing}}"\n')
    assert checkout.run("make seen", **{name: "1"}) == "seen: nothing\n"


@pytest.mark.slow
def test_in_a_conflict_make_repro_says_how_to_end_it(clone: Clone) -> None:
    for branch, epochs in (("one", 3), ("two", 4)):
        clone.run(f"git checkout -q -b {branch} main")
        clone.set("train.epochs", epochs)
        clone.commit(branch)
    assert clone.attempt("git merge one").returncode == 1
    done = clone.attempt("make --old-file=.venv/installed repro")
    assert (
        "make: a merge left conflicts in params.yaml: take one side's with `git checkout --ours params.yaml` "
        in done.stderr
    )
    assert done.stdout == ""


@pytest.mark.slow
def test_on_a_stand_in_make_repro_downloads_again_and_says_how_to_restore_the_committed_results(clone: Clone) -> None:
    repro = "make --old-file=.venv/installed repro"
    output = clone.run(repro)
    assert clone.ran(output) == ["download"]
    assert "test.accuracy" in output
    assert "git checkout" not in output  # the committed results are those of these digits

    committed = clone.read("metrics.json").replace('"errors": ', '"errors": 10')
    (clone.folder / "metrics.json").write_text(committed)
    clone.commit("Results of the full set")
    (clone.folder / "evaluation/noise/new.json").write_text("a measurement, not yet committed\n")
    last = clone.run(repro).splitlines()[-1]
    assert last.startswith("make: these are results on a stand-in for the data set: ")
    assert "metrics.json" in clone.run("git status --porcelain")
    clone.run(re.findall("`(git .*?)`", last)[0])
    assert clone.run("git status --porcelain") == "?? evaluation/noise/new.json\n"
