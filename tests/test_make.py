"""The Makefile, run in a tiny checkout, whose environment has one small package, and in a clone of the project."""

import base64
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.test_readme import commands

# Its commands dvc and uv print the environment that they belong to.
PACKAGE = {
    "small.py": "import sys\n\n\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n",
    "small-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1\n",
    "small-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "small-1.dist-info/entry_points.txt": "[console_scripts]\ndvc = small:main\nuv = small:main\n",
}

INSTALLING = "setup: installing"


def write_lock(path: Path, package: str, files: dict[str, str]) -> None:
    """A wheel of these files, and a lock of it that is met without a network."""
    (path.parent / "wheels").mkdir(parents=True, exist_ok=True)
    wheel = path.parent / f"wheels/{package}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        record = "".join(f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items())
        for name, text in {**files, f"{package}-1.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path.write_text(f"--no-index\n--find-links wheels\n{package}==1 --hash=sha256:{checksum}\n")


def write_checkout(folder: Path) -> Clone:
    """Write this Makefile, and a requirements.txt that needs no network, into a folder."""
    write_lock(folder / "requirements.txt", "small", PACKAGE)
    shutil.copy2(REPOSITORY / "Makefile", folder)
    (folder / ".gitignore").write_text("/.venv\n")
    checkout = Clone(folder)
    checkout.environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    return checkout


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    checkout = write_checkout(tmp_path_factory.mktemp("built") / "first")
    checkout.run("git init -q -b main")
    checkout.commit("A checkout")
    assert INSTALLING in checkout.run("make setup", PYTHON=sys.executable)
    return checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Clone:
    """The files of such a checkout, without a commit and without an environment."""
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
        assert (
            here.run(". .venv/bin/activate && dvc repro && echo $VIRTUAL_ENV")
            == f"{environment} repro\n{environment}\n"
        )
        assert f" from {environment}/lib/" in here.run(".venv/bin/pip --version")
    assert built_once.run(".venv/bin/dvc repro") == f"{built_once.folder / '.venv'} repro\n"


@pytest.mark.slow
def test_the_extra_packages_join_the_environment_which_is_not_built_again(built_once: Clone, tmp_path: Path) -> None:
    checkout = copy(built_once, tmp_path / "checkout")
    files = {name.replace("small", "more"): text for name, text in PACKAGE.items() if "entry_points" not in name}
    files["more-1.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: more\nVersion: 1\n"
    write_lock(checkout.folder / "requirements-extra.txt", "more", files)
    assert INSTALLING not in checkout.run("make extra setup")
    checkout.run(".venv/bin/python -c 'import more, small'")


@pytest.mark.slow
def test_after_a_move_an_environment_whose_python_does_not_run_is_reported(built_once: Clone, tmp_path: Path) -> None:
    moved = copy(built_once, tmp_path / "moved")
    (moved.folder / ".venv/bin/python").unlink()
    (moved.folder / ".venv/bin/python").symlink_to(tmp_path / "gone")
    done = moved.attempt("make setup")
    assert done.returncode != 0
    assert "make: .venv/bin/python does not run; after `rm -r .venv`, make builds it again\n" in done.stderr


@pytest.mark.slow
def test_the_environment_is_built_again_only_if_a_python_of_another_version_is_named(
    built_once: Clone, tmp_path: Path
) -> None:
    checkout = copy(built_once, tmp_path / "checkout")
    checkout.run("make setup")
    python = checkout.folder / ".venv/bin/python"
    named = tmp_path / "bin/python"
    named.parent.mkdir()
    named.symlink_to(getattr(sys, "_base_executable", sys.executable))
    checkout.environment["PATH"] = f"{named.parent}{os.pathsep}{checkout.environment['PATH']}"
    assert INSTALLING not in checkout.run("make setup PYTHON=python")

    python.unlink()
    python.write_text("#!/bin/sh\necho Python 3.10.1\n")  # as an older version would print
    python.chmod(0o755)
    assert INSTALLING not in checkout.run("make setup")
    refused = checkout.attempt("make setup PYTHON=no-such-python")
    assert refused.returncode != 0
    assert "make: no-such-python is not Python 3.11, 3.12 or 3.13: name one with PYTHON=" in refused.stderr
    assert python.read_text() == "#!/bin/sh\necho Python 3.10.1\n"
    assert f"installing the locked packages into .venv with {named}\n" in checkout.run("make setup PYTHON=python")
    assert checkout.run(".venv/bin/dvc repro") == f"{checkout.folder / '.venv'} repro\n"


@pytest.mark.slow
def test_an_environment_is_built_from_downloaded_packages_with_no_index(checkout: Clone, tmp_path: Path) -> None:
    download, install = commands((REPOSITORY / "docs/offline.md").read_text())["Install without an index"]
    index = tmp_path / "index/small"
    index.mkdir(parents=True)
    (wheel,) = (checkout.folder / "wheels").iterdir()
    shutil.move(wheel, index)
    (checkout.folder / "wheels").rmdir()
    (index / "index.html").write_text(f"<a href='{wheel.name}'>{wheel.name}</a>")
    checkout.replace("requirements.txt", "--no-index\n--find-links wheels\n", "")
    checkout.run("git init -q")
    checkout.commit("A checkout that needs an index")
    assert checkout.attempt("make setup", PYTHON=sys.executable, PIP_RETRIES="0").returncode != 0

    checkout.run(download, PIP_INDEX_URL=index.parent.as_uri())
    shutil.rmtree(index.parent)
    checkout.run(install, PYTHON=sys.executable)
    assert checkout.run(".venv/bin/dvc") == f"{checkout.folder / '.venv'}\n"

    (wheel,) = (checkout.folder / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"!")
    shutil.rmtree(checkout.folder / ".venv")
    done = checkout.attempt(install, PYTHON=sys.executable)
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.parametrize("target", ["repro", "report", "test", "slow", "bench"])
def test_a_target_that_needs_a_git_repository_fails_before_it_installs(checkout: Clone, target: str) -> None:
    for command in ("true", "git init -q"):
        checkout.run(command)
        done = checkout.attempt(f"make --jobs=2 {target} BASE=main")
        assert done.returncode != 0
        assert done.stdout == ""
        (message,) = [line for line in done.stderr.splitlines() if not line.startswith("make: *** ")]
        assert message.startswith(f"make: {checkout.folder} is not a git repository with a commit: run `git init`, ")
    assert not (checkout.folder / ".venv").exists()


def test_in_a_checkout_of_another_user_make_names_the_command_that_git_proposes(checkout: Clone) -> None:
    checkout.run("git init -q")
    checkout.commit("A checkout")
    settings = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",  # as if another user owned it
        "GIT_CONFIG_GLOBAL": str(checkout.folder.parent / "gitconfig"),
    }
    done = checkout.attempt("make repro", **settings)
    assert done.returncode != 0
    assert not (checkout.folder / ".venv").exists()
    checkout.run(re.findall("git config --global .*", done.stderr)[0], **settings)
    assert checkout.run("make repository", **settings) == ""


@pytest.mark.parametrize("name", ["PYTHONSAFEPATH", "PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONHOME"])
def test_variables_that_change_which_modules_or_asserts_python_runs_are_removed(checkout: Clone, name: str) -> None:
    with (checkout.folder / "Makefile").open("a") as file:
        file.write(f'\n.PHONY: seen\nseen:\n\t@echo "seen: $${{{name}-nothing}}"\n')
    assert checkout.run("make seen", **{name: "1"}) == "seen: nothing\n"


@pytest.mark.slow
def test_after_a_run_on_a_stand_in_the_last_line_says_how_to_restore_the_committed_results(clone: Clone) -> None:
    repro = "make --old-file=.venv/installed repro"
    assert "git checkout" not in clone.run(repro)  # the committed results are those of these digits

    metrics = json.loads(clone.read("metrics.json"))
    metrics["test"]["errors"] = 10_000
    (clone.folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    clone.run("git checkout -q -B full")
    clone.commit("Results of the full set")
    (clone.folder / "evaluation/seed_noise.json").write_text("a measurement, not yet committed\n")
    done = clone.attempt(repro)
    assert done.returncode == 0, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("make: these are results on a stand-in for the data set: ")
    assert last.endswith(
        "; to use the 5,000 digits on purpose, make a branch and run `cp recipes/mnist-5k.yaml params.yaml`"
    )
    assert "metrics.json" in clone.run("git status --porcelain")
    back = re.findall("`(git .*?)`", last)[0]
    for _ in range(2):  # the second time there is nothing to restore
        clone.run(back)
        assert clone.run("git status --porcelain") == " M evaluation/seed_noise.json\n"
    assert json.loads(clone.read("metrics.json"))["test"]["errors"] == 10_000
