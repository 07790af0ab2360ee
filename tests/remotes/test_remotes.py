"""What docs/sharing.md promises of a remote, on a folder and on real servers of SSH and S3."""

import pytest

from tests.clone import Clone
from tests.remotes.conftest import FIRST, Team, in_document
from tests.remotes.servers import S3, SSH, Folder

pytestmark = [pytest.mark.servers, pytest.mark.slow]

OUTPUTS = ("data.bin", "model.bin")


def refusal(clone: Clone, command: str) -> str:
    """The message of a command that has to fail, and without a traceback."""
    done = clone.attempt(command)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def outputs(clone: Clone) -> dict[str, bytes]:
    return {path: (clone.folder / path).read_bytes() for path in OUTPUTS if (clone.folder / path).exists()}


def test_the_lines_of_the_document_bring_every_file_into_another_clone(
    server: Folder, project: Clone, team: Team
) -> None:
    assert len(server.objects(FIRST)) == 2  # the document's lines pushed them
    assert not any(value in project.run("git grep -h '' HEAD") for value in server.credentials().values())
    assert "new:" in team.owner.run("dvc status -c")
    team.owner.run("dvc push")
    assert "in sync" in team.owner.run("dvc status -c")
    colleague = team.colleague("colleague")
    colleague.run("dvc pull")
    assert outputs(colleague) == outputs(team.owner)
    assert colleague.run("dvc status") == "Data and pipelines are up to date.\n"


def test_an_experiment_is_pushed_with_its_files_and_applied_by_a_colleague(team: Team) -> None:
    run, push, show, pull, apply = in_document("Experiments")
    team.owner.run(f"{run} && {push}")
    colleague = team.colleague("colleague")
    assert "larger-batches" in colleague.run(show)
    colleague.run(f"{pull} && {apply}")
    team.owner.run(apply)
    assert "batch_size: 200" in colleague.read("params.yaml")
    assert outputs(colleague) == outputs(team.owner)
    assert len(outputs(colleague)["model.bin"]) == 20_000


def test_a_damaged_object_is_accepted_unless_the_remote_verifies_and_is_replaced_by_another_push(team: Team) -> None:
    team.owner.run("dvc push")
    damaged = b"!" + outputs(team.owner)["model.bin"][1:]
    team.server.replace(team.store, team.md5("model.bin"), damaged)
    trusting, careful = team.colleague("trusting"), team.colleague("careful")
    trusting.replace(".dvc/config", "verify = true", "verify = false")
    trusting.run("dvc pull")
    assert outputs(trusting)["model.bin"] == damaged
    assert trusting.run("dvc status") == "Data and pipelines are up to date.\n"

    assert "model.bin" in refusal(careful, "dvc pull")
    assert "model.bin" not in outputs(careful)
    team.server.remove(team.store, team.md5("model.bin"))
    assert "model.bin" in team.owner.run("dvc status -c")
    assert "model.bin" in refusal(careful, "dvc pull")
    team.owner.run("dvc push")
    careful.run("dvc pull")
    assert outputs(careful) == outputs(team.owner)


@pytest.mark.parametrize("kind", ["SSH", "S3"], indirect=True)
def test_with_wrong_credentials_or_without_the_server_nothing_changes_and_later_all_comes(team: Team) -> None:
    team.owner.run("dvc push")
    colleague = team.colleague("colleague")
    assert isinstance(team.server, SSH | S3)
    team.give(colleague, team.server.wrong_credentials())
    refusal(colleague, "dvc pull")
    refusal(colleague, "dvc push")
    team.give(colleague, team.server.credentials())
    team.server.stop()
    try:
        refusal(colleague, "dvc pull")
        refusal(team.owner, "dvc push")
    finally:
        team.server.start()
    assert outputs(colleague) == {}
    colleague.run("dvc pull")
    assert outputs(colleague) == outputs(team.owner)


@pytest.mark.parametrize("kind", ["SSH"], indirect=True)
def test_dvc_does_not_check_the_host_key(team: Team) -> None:
    """docs/sharing.md warns of it; if this fails, the warning can go."""
    known = team.folder / ".ssh/known_hosts"
    known.parent.mkdir()
    other_key = (team.server.folder / "stranger.pub").read_text()
    known.write_text(f"[127.0.0.1]:{team.server.port} {other_key}")
    assert team.owner.environment["HOME"] == str(team.folder)
    team.owner.run("dvc push")
