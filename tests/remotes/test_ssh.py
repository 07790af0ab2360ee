"""What docs/sharing.md says of host keys and of GIT_SSH_COMMAND, with Git and DVC over a real OpenSSH."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.remotes.conftest import Team
from tests.remotes.servers import HOST, PATH, SSH

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.parametrize("kind", ["SSH"], indirect=True)]

PUSH = "dvc exp push origin one"


class Member:
    """The owner of an experiment, with a home of their own, who has Git's remote on the server."""

    def __init__(self, team: Team, server: SSH) -> None:
        self.server, self.clone = server, team.owner
        self.home = team.folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / "bin").mkdir()
        self.clone.run("dvc exp run -q --name one -S train.batch_size=200")
        self.clone.run(f"git remote set-url origin {server.url(team.origin)}")
        path = f"{self.home / 'bin'}:{self.clone.environment['PATH']}"
        self.clone.environment = {**self.clone.environment, "HOME": str(self.home), "PATH": path}
        # OpenSSH looks for ~ in the list of users and not in $HOME.
        ssh = self.home / "bin/ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh", path=PATH)} -F {self.home}/.ssh/config "$@"\n')
        ssh.chmod(0o755)
        self.configure()

    def configure(self, *lines: str) -> None:
        named = f"IdentityFile {self.server.folder}/id_ed25519\nUserKnownHostsFile {self.home}/.ssh/known_hosts\n"
        (self.home / ".ssh/config").write_text(named + "".join(f"{line}\n" for line in lines))

    def know(self, path: Path) -> None:
        """Write the server's host key to a file of known hosts."""
        path.write_text(f"[{HOST}]:{self.server.port} {(self.server.folder / 'host_key.pub').read_text()}")

    def refused(self, command: str, **environment: str) -> bool:
        done = self.clone.attempt(command, **environment)
        return done.returncode != 0 and "Host key verification failed" in done.stderr


@pytest.fixture
def member(team: Team, server: SSH) -> Member:
    return Member(team, server)


def test_dvc_accepts_any_host_key_unless_its_git_client_is_openssh(member: Member, server: SSH, team: Team) -> None:
    member.know(member.home / ".ssh/known_hosts")
    member.clone.run("git ls-remote origin")
    server.stop()
    server.new_key("host_key")
    server.start()
    assert member.refused("git ls-remote origin")
    member.clone.run(PUSH)
    assert len(server.objects(team.store)) == 2  # pushed to the remote of DVC too

    member.configure("StrictHostKeyChecking yes")
    assert member.refused(f"{PUSH} --force")
    member.know(member.home / ".ssh/known_hosts")
    member.clone.run(f"{PUSH} --force")


def test_dvc_starts_ssh_without_the_options_in_git_ssh_command(member: Member) -> None:
    known = member.home / "known_elsewhere"
    member.know(known)
    command = f"ssh -o UserKnownHostsFile={known}"
    member.clone.run("git ls-remote origin", GIT_SSH_COMMAND=command)
    assert member.refused(PUSH, GIT_SSH_COMMAND=command)
    member.clone.run(PUSH)


def test_dvc_takes_a_key_from_a_running_agent_and_forwards_the_agent_to_the_server(team: Team, server: SSH) -> None:
    (team.owner.folder / ".dvc/config.local").unlink()
    assert "Permission denied" in team.owner.attempt("dvc push").stderr
    named = {"SSH_AUTH_SOCK": str(team.folder / "agent")}
    with subprocess.Popen(["ssh-agent", "-D", "-a", named["SSH_AUTH_SOCK"]], stdout=subprocess.DEVNULL) as agent:
        try:
            while not (team.folder / "agent").exists() and agent.poll() is None:
                time.sleep(0.01)
            team.owner.run(f"ssh-add -q {server.folder}/id_ed25519", **named)
            assert "auth-agent-req@openssh.com" not in (server.folder / "server.log").read_text()
            team.owner.run("dvc push", **named)
        finally:
            agent.kill()
    assert "auth-agent-req@openssh.com" in (server.folder / "server.log").read_text()
