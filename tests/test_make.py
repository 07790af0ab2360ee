"""The Makefile, run in a tiny checkout, whose environment has one small package, and in a clone of the project."""

import hashlib
import os
import re
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clone import NO_NETWORK, REPOSITORY, Clone, commands

UV = Path(shutil.which("uv", path=f"{REPOSITORY / '.venv-uv/bin'}{os.pathsep}{os.environ['PATH']}") or "no uv")
# The files of the wheel of each package in an index. `dvc` prints the environment that it belongs to.
PACKAGES = {
    "small": {
        "small.py": "import sys\n\n\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n",
        "small-1.dist-info/entry_points.txt": "[console_scripts]\ndvc = small:main\n",
    },
    "uv": {"uv-1.data/scripts/uv": f'#!/bin/sh\nexec {shlex.quote(str(UV))} "$@"\n'},
}
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: {}\nVersion: 1\nRequires-Dist: not-locked\n",  # as libclang is not
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}
# What other tools leave in the environment of a user, by value.
SETTINGS = {
    "elsewhere": "CONDA_PREFIX VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_CONSTRAINT PIP_REQUIREMENT "
    "UV_PYTHON UV_CONSTRAINT UV_OVERRIDE UV_WORKING_DIR",
    "1": "PIP_USER PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN UV_SYSTEM_PYTHON UV_MANAGED_PYTHON UV_NO_VERIFY_HASHES",
    NO_NETWORK: "PIP_EXTRA_INDEX_URL UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL",
    "2001-01-01": "UV_EXCLUDE_NEWER",
    ":all:": "PIP_NO_BINARY",
}
OTHER_TOOLS = {name: value for value, names in SETTINGS.items() for name in names.split()}

INSTALLING = "setup: installing the locked packages into a new .venv"
DOWNLOAD, INSTALL = commands("docs/offline.md")["Install without an index"]


def write_checkout(folder: Path) -> Clone:
    """Write this Makefile, an index of two wheels, and their locks into a folder, for a user whose uv is too old."""
    for name, files in PACKAGES.items():
        wheel = folder / f"index/{name}/{name}-1-py3-none-any.whl"
        wheel.parent.mkdir(parents=True)
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                member = zipfile.ZipInfo(path)
                member.external_attr = 0o100755 << 16
                archive.writestr(member, text)
            for path, text in METADATA.items():
                archive.writestr(f"{name}-1.dist-info/{path}", text.format(name))
        (wheel.parent / "index.html").write_text(f"<a href='{wheel.name}'>{wheel.name}</a>")
        checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lock = folder / {"small": "requirements.txt", "uv": "requirements/uv.txt"}[name]
        lock.parent.mkdir(exist_ok=True)
        lock.write_text(f"{name}==1 --hash=sha256:{checksum}\n")
    shutil.copy(lock, folder / "requirements/extra.txt")
    shutil.copy2(REPOSITORY / "Makefile", folder)
    (folder / ".gitignore").write_text("/.venv*\n/index\n/old\n/wheels\n")
    old = folder / "old/uv"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho uv 0.8.24; test $1 = --version\n")
    old.chmod(0o755)
    checkout = Clone(folder)
    checkout.environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    checkout.environment["PATH"] = f"{old.parent}{os.pathsep}{checkout.environment['PATH']}"
    return checkout


@pytest.fixture(scope="module")
def built_once(tmp_path_factory) -> Clone:
    """A checkout whose environment was built without an index, by the lines of docs/offline.md."""
    checkout = write_checkout(tmp_path_factory.mktemp("built") / "first")
    checkout.init("A checkout")
    checkout.run(DOWNLOAD, PIP_INDEX_URL=(checkout.folder / "index").as_uri())
    shutil.rmtree(checkout.folder / "index")
    checkout.run("mkdir .venv && touch .venv/pyvenv.cfg")  # of another tool
    replaced = f"{INSTALLING} instead of the one there with {sys.executable}: "
    assert replaced in checkout.run(INSTALL, PYTHON=sys.executable, **OTHER_TOOLS)
    return checkout


@pytest.fixture
def checkout(tmp_path) -> Clone:
    """The files of a checkout, without a commit and without an environment."""
    return write_checkout(tmp_path / "checkout")


def copy(checkout: Clone, folder: Path) -> Clone:
    shutil.copytree(checkout.folder, folder, symlinks=True)
    return Clone(folder)


@pytest.mark.slow
@pytest.mark.walks
def test_a_copied_and_a_moved_checkout_use_their_own_environment_and_install_nothing(built_once, tmp_path):
    copied = copy(built_once, tmp_path / "a copy's place")
    moved = Clone(tmp_path / "moved")
    for here in (copied, moved):
        copied.folder.rename(here.folder)
        environment = here.folder / ".venv"
        assert INSTALLING not in here.run("make setup")
        for shell in ("bash", "sh"):
            activated = here.run(f"{shell} -c '. .venv/bin/activate && dvc repro && echo $VIRTUAL_ENV'")
            assert activated == f"{environment} repro\n{environment}\n"
    assert built_once.run(".venv/bin/dvc repro") == f"{built_once.folder / '.venv'} repro\n"


@pytest.mark.slow
def test_the_environment_is_built_again_if_its_python_is_gone_or_one_of_another_version_is_named(built_once, tmp_path):
    checkout = copy(built_once, tmp_path / "checkout")
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
    assert f"{INSTALLING} instead of the one there with {named}: " in checkout.run(f"{INSTALL} PYTHON=python")
    checkout.run(INSTALL.replace("setup", "extra"))
    assert (checkout.folder / ".venv/bin/uv").exists()
    python.unlink()
    activated = f"PATH=$PWD/.venv/bin:$PATH {INSTALL} PYTHON="  # as if there were no Python
    assert f"{INSTALLING} instead of the one there with a Python that uv chooses: " in checkout.run(activated)
    assert not (checkout.folder / ".venv/bin/uv").exists()
    assert checkout.run(".venv/bin/dvc repro") == f"{checkout.folder / '.venv'} repro\n"


@pytest.mark.slow
@pytest.mark.walks
@pytest.mark.parametrize("setting", ["UV_DEFAULT_INDEX", "UV_CONFIG_FILE"])
def test_where_only_pip_knows_the_index_it_downloads_and_the_environment_is_the_same(checkout, tmp_path, setting):
    (tmp_path / "uv.toml").write_text(f"[[index]]\nurl = '{NO_NETWORK}'\ndefault = true\n")
    wrong = {setting: str(tmp_path / "uv.toml") if setting == "UV_CONFIG_FILE" else NO_NETWORK}
    (checkout.folder / "old/uv").unlink()
    (checkout.folder / "old/uv").symlink_to(UV)
    index = (checkout.folder / "index").as_uri()
    output = checkout.run("make setup", UV_HTTP_RETRIES="0", PIP_INDEX_URL=index, **wrong)
    assert "make: uv failed; pip, which may know another index, downloads the packages\n" in output
    assert not list(checkout.folder.glob(".venv-uv")) + list(checkout.folder.glob(".venv/wheels"))
    moved = copy(checkout, tmp_path / "moved")
    assert moved.run(".venv/bin/dvc repro") == f"{moved.folder / '.venv'} repro\n"


@pytest.mark.slow
@pytest.mark.walks
def test_a_package_with_another_hash_is_not_installed(built_once, tmp_path):
    checkout = copy(built_once, tmp_path / "checkout")
    wheel = checkout.folder / "wheels/small-1-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes() + b"!")
    refused = checkout.attempt(f"rm -r .venv; {INSTALL}", PYTHON=sys.executable)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr


@pytest.mark.parametrize("target", ["repro", "report", "test", "slow", "bench"])
def test_a_target_that_needs_a_git_repository_fails_before_it_installs(checkout, target):
    done = checkout.attempt(f"make --jobs=2 {target} BASE=main")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert f"make: {checkout.folder} is not a git repository with a commit: run `git init`, " in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_make_help_lists_what_users_need_and_each_lock_for_extras_is_in_a_folder(checkout):
    listed = re.findall(r"(?m)^make (\w+) +\S", checkout.run("make help"))
    assert listed == ["help", "setup", "repro", "report", "test", "extra", "noise", "bench"]
    assert {path.name for path in REPOSITORY.glob("requirements*")} == {"requirements", "requirements.txt"}


def test_in_a_checkout_of_another_user_make_names_the_command_that_git_proposes(checkout):
    checkout.init("A checkout")
    checkout.environment["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"  # as if another user owned it
    checkout.environment["GIT_CONFIG_GLOBAL"] = str(checkout.folder.parent / "gitconfig")
    done = checkout.attempt("make repro")
    checkout.run(re.findall("git config --global .*", done.stderr)[0])
    assert checkout.run("make repository") == ""


@pytest.mark.parametrize("setting", ["SAFEPATH", "PATH", "OPTIMIZE", "HOME", "DONTWRITEBYTECODE"])
def test_variables_that_change_which_modules_or_asserts_python_runs_are_removed(checkout, setting):
    with (checkout.folder / "Makefile").open("a") as file:
        file.write(f'\n.PHONY: seen\nseen:\n\t@echo "seen: $${{PYTHON{setting}-nothing}}"\n')
    assert checkout.run("make seen", **{f"PYTHON{setting}": "1"}) == "seen: nothing\n"


@pytest.mark.slow
@pytest.mark.walks
def test_on_a_stand_in_make_repro_downloads_again_and_ends_with_the_metrics(clone):
    clone.set("download.dataset", "mnist")
    repro = "make --old-file=.venv/installed repro"
    clone.run(repro)
    clone.commit("Results on a stand-in")
    output = clone.run(repro)
    assert clone.ran(output) == ["download"]
    assert "accuracy    loss  errors\n" in output
    assert "git checkout" not in output  # the committed results are those of these digits
