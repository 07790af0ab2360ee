"""What docs/sharing.md promises of a remote, on a folder and on real servers of SSH, WebDAV and S3."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE

import psutil
import pytest

from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.remotes.conftest import FIRST, OUTPUTS, Team, lines
from tests.remotes.servers import Store, WebDAV

pytestmark = [pytest.mark.servers, pytest.mark.slow]

LARGE = 112 * 2**20  # from 100 MiB on, S3 gets a file in parts


def refused(clone: Clone, command: str) -> str:
    """The message of a command that has to fail, and without a traceback."""
    done = clone.attempt(command)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def same_bytes(one: Clone, other: Clone, *paths: str) -> bool:
    return all((one.folder / path).read_bytes() == (other.folder / path).read_bytes() for path in paths or OUTPUTS)


def test_the_lines_of_the_document_bring_every_file_into_another_clone(
    server: Store, project: Clone, team: Team
) -> None:
    assert len(server.objects(FIRST)) == 2
    assert "shared" in team.owner.run("dvc remote list")
    assert not any(value in project.run("git grep -h '' HEAD") for value in server.credentials().values())
    assert "new:" in team.owner.run("dvc status -c")
    team.owner.run("dvc push")
    assert "in sync" in team.owner.run("dvc status -c")
    one = team.colleague()
    one.run("dvc pull")
    assert same_bytes(one, team.owner)
    assert one.run("dvc status") == "Data and pipelines are up to date.\n"
    assert "in sync" in one.run("dvc status -c")


def test_an_experiment_is_pushed_with_its_files_and_applied_by_a_colleague(team: Team) -> None:
    *push, show, pull, apply = lines("Experiments")
    for line in push:
        team.owner.run(line)
    one = team.colleague()
    assert "larger-batches" in one.run(show)
    one.run(pull)
    one.run(apply)
    team.owner.run(apply)
    assert "batch_size: 200" in one.read("params.yaml")
    assert (one.folder / "model.bin").stat().st_size == 20_000
    assert same_bytes(one, team.owner)


@pytest.mark.parametrize("verify", [False, True])
def test_a_damaged_object_is_accepted_unless_the_remote_verifies(team: Team, verify: bool) -> None:
    team.owner.run("dvc push")
    damaged = b"!" + (team.owner.folder / "model.bin").read_bytes()[1:]
    team.server.replace(team.store, team.md5("model.bin"), damaged)
    one = team.colleague()
    if verify:
        assert "model.bin" in refused(one, "dvc pull")
        assert not (one.folder / "model.bin").exists()
        team.server.remove(team.store, team.md5("model.bin"))
        team.owner.run("dvc push")
        one.run("dvc pull")
        assert same_bytes(one, team.owner)
    else:
        one.replace(".dvc/config", "verify = true", "verify = false")
        one.run("dvc pull")
        assert (one.folder / "model.bin").read_bytes() == damaged
        assert one.run("dvc status") == "Data and pipelines are up to date.\n"


def test_a_missing_object_is_named_and_pushed_again(team: Team) -> None:
    team.owner.run("dvc push")
    team.server.remove(team.store, team.md5("model.bin"))
    assert "model.bin" in team.owner.run("dvc status -c")
    one = team.colleague()
    assert "model.bin" in refused(one, "dvc pull")
    assert same_bytes(one, team.owner, "data.bin")
    team.owner.run("dvc push")
    one.run("dvc pull")
    assert same_bytes(one, team.owner)


def test_wrong_credentials_are_refused(team: Team) -> None:
    if not team.server.credentials():
        pytest.skip("a folder has no credentials")
    team.owner.run("dvc push")
    one = team.colleague()
    team.give(one, team.server.wrong_credentials())
    refused(one, "dvc pull")
    refused(one, "dvc push")
    assert not any((one.folder / path).exists() for path in OUTPUTS)
    team.give(one, team.server.credentials())
    one.run("dvc pull")
    assert same_bytes(one, team.owner)


def test_while_the_server_is_down_nothing_is_pulled_and_later_everything(team: Team) -> None:
    if not team.server.running:
        pytest.skip("a folder has no server")
    team.owner.run("dvc push")
    one = team.colleague()
    team.server.go_down()
    try:
        refused(one, "dvc pull")
        refused(team.owner, "dvc push")
    finally:
        team.server.start()
    assert not any((one.folder / path).exists() for path in OUTPUTS)
    one.run("dvc pull")
    assert same_bytes(one, team.owner)


def test_no_server_outlives_tests_that_are_killed(server: Store, tmp_path: Path) -> None:
    if not server.running:
        pytest.skip("a folder has no server")
    kind = type(server)
    script = (
        f"import pathlib, time; from {kind.__module__} import {kind.__name__} as Kind\n"
        "server = Kind(pathlib.Path.cwd()); server.start()\n"
        "print(*(process.pid for process in server.running), flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=PIPE) as tests:
        assert tests.stdout
        started = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
        tests.kill()
    assert len(started) == len(server.running)
    assert psutil.wait_procs(started, timeout=10)[1] == []


def test_a_push_that_is_killed_is_repeated(team: Team) -> None:
    team.owner.run("dvc push")
    content = os.urandom(LARGE)
    (team.owner.folder / "large.bin").write_bytes(content)
    team.owner.run("dvc add -q large.bin")
    team.owner.commit("A large file")
    team.owner.run("git push -q origin main")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    before = team.server.arrived(team.store)
    for _ in range(5):
        push = subprocess.Popen(
            ["dvc", "push"], cwd=team.owner.folder, env=team.owner.environment, stdout=DEVNULL, stderr=DEVNULL
        )
        while push.poll() is None and team.server.arrived(team.store) <= before:
            time.sleep(0.005)
        push.kill()
        if push.wait() == -signal.SIGKILL:
            break
        team.server.remove(team.store, md5)  # the push was faster than these tests
    assert push.returncode == -signal.SIGKILL
    one = team.colleague()
    assert "large.bin" in refused(one, "dvc pull")
    if isinstance(team.server, WebDAV):  # WsgiDAV keeps the part under the name of the whole
        assert "Everything is up to date" in team.owner.run("dvc push")
        assert "large.bin" in refused(one, "dvc pull")
        team.server.remove(team.store, md5)
    team.owner.run("dvc push")
    one.run("dvc pull")
    assert same_bytes(one, team.owner, *OUTPUTS, "large.bin")
