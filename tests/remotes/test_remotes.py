"""What docs/sharing.md promises of a remote, on a folder and on real servers of SSH and S3."""

import pytest

from tests.clone import Clone, commands
from tests.remotes.conftest import S3, SSH

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def refusal(clone: Clone, command: str) -> str:
    """The message of a command that has to fail, and without a traceback."""
    done = clone.attempt(command)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_the_lines_of_the_document_bring_data_and_an_experiment_into_another_clone(team):
    assert not any(value in team.owner.run("git grep -h '' HEAD") for value in team.server.credentials().values())
    assert "in sync" in team.owner.run("dvc status -c")
    colleague = team.colleague("colleague")
    colleague.run("dvc pull")
    assert colleague.read("model.txt").split()[-1] == "100"
    assert colleague.run("dvc status") == "Data and pipelines are up to date.\n"

    run, push, show, pull, apply = commands("docs/sharing.md")["Experiments"]
    team.owner.run(f"{run} && {push}")
    assert "larger-batches" in colleague.run(show)
    colleague.run(f"{pull} && {apply}")
    assert "batch_size: 200" in colleague.read("params.yaml")
    assert colleague.read("model.txt").split()[-1] == "200"
    team.owner.run("git reset -q --hard && dvc checkout -q")  # the other tests start from the commit


def test_a_damaged_object_is_accepted_unless_the_remote_verifies_and_is_replaced_by_another_push(team):
    team.replace_model(b"damaged")
    trusting, careful = team.colleague("trusting"), team.colleague("careful")
    trusting.replace(".dvc/config", "verify = true", "verify = false")
    trusting.run("dvc pull")
    assert trusting.read("model.txt") == "damaged"
    assert trusting.run("dvc status") == "Data and pipelines are up to date.\n"

    assert "model.txt" in refusal(careful, "dvc pull")
    assert not (careful.folder / "model.txt").exists()
    team.replace_model(None)
    assert "model.txt" in team.owner.run("dvc status -c")
    assert "model.txt" in refusal(careful, "dvc pull")
    team.owner.run("dvc push")
    careful.run("dvc pull")
    assert careful.read("model.txt") == team.owner.read("model.txt")


@pytest.mark.parametrize("server", [SSH, S3], indirect=True)
def test_with_wrong_credentials_or_without_the_server_nothing_changes_and_later_all_comes(team):
    colleague, right = team.colleague("stranger"), team.owner.read(".dvc/config.local")
    colleague.replace(".dvc/config.local", team.server.secret, "stranger")
    refusal(colleague, "dvc pull")
    refusal(colleague, "dvc push")
    (colleague.folder / ".dvc/config.local").write_text(right)
    team.server.stop()
    try:
        refusal(colleague, "dvc pull")
        refusal(team.owner, "dvc push")
    finally:
        team.server.start()
    assert not (colleague.folder / "model.txt").exists()
    colleague.run("dvc pull")
    assert colleague.read("model.txt") == team.owner.read("model.txt")
