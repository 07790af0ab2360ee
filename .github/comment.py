"""Post the report in a folder that review.report wrote as a comment on its pull request, and push its pictures.

Each pull request has one such comment. A comment can show only pictures that have an address, so the pictures are
pushed to a branch of their own, in a folder for each pull request. The branch keeps the pictures of the newest commit
of the newest pull requests. Only the text of the report and plain PNGs are used; no code in the folder runs. The script
needs the standard library, git and gh.

Environment: GH_TOKEN, GITHUB_REPOSITORY, GITHUB_SERVER_URL and GITHUB_RUN_ID as GitHub sets them; PULL_REQUEST, the
number of the pull request; HEAD_SHA, the commit under review.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MARKER = "<!-- review -->"  # to find the comment again
AUTHOR = "github-actions[bot]"
BRANCH = "review-pictures"
ATTEMPTS = 5  # to push, because other runs may push at the same time
LONGEST = 65_536  # characters that GitHub accepts in a comment
KEPT = 100  # pull requests whose pictures the branch holds
LARGEST = 2**20  # bytes of a picture; those of review.report have about a tenth of this
PNG = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    """Read the folder named on the command line, push its pictures, and write or update the comment."""
    report = Path(sys.argv[1])
    repository, server = os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_SERVER_URL"]
    number, sha = os.environ["PULL_REQUEST"], os.environ["HEAD_SHA"]
    if not re.fullmatch("[0-9]+", number) or not re.fullmatch("[0-9a-f]{40}", sha):
        sys.exit(f"comment: expected the number of a pull request and a commit, got {number!r} and {sha!r}")
    if (report / "report.md").is_symlink():  # it could point to another file of this machine, which all could then read
        sys.exit("comment: report.md is a link")
    folder = f"pr-{number}/{sha}"
    pictures = find_pictures(report)
    if pictures:
        push(pictures, f"{server}/{repository}", folder)
    text = (report / "report.md").read_text(encoding="utf-8", errors="replace")
    text = link(text, pictures, f"{server}/{repository}/raw/{BRANCH}/{folder}")
    run = f"{server}/{repository}/actions/runs/{os.environ['GITHUB_RUN_ID']}"
    post(
        body(text, f"Commit {sha}; the page `report.html` is in the artifact of [this run]({run})."), repository, number
    )


def find_pictures(report: Path) -> dict[str, Path]:
    """Return the PNGs of the report by name, without links, large files and files with unexpected names."""
    found = {path.name: path for path in sorted(report.glob("*.png")) if re.fullmatch(r"[a-z_]{1,40}\.png", path.name)}
    plain = {name: path for name, path in found.items() if path.is_file() and not path.is_symlink()}
    return {name: path for name, path in plain.items() if path.stat().st_size <= LARGEST and _begins_as_png(path)}


def push(pictures: dict[str, Path], origin: str, folder: str) -> None:
    """Replace the pictures of this pull request on the branch, which is always one commit without parents.

    So replaced pictures are in no history, and the branch does not grow. If another run pushes at the same time, the
    second of the two starts again from the commit of the first.
    """
    settings = {
        "credential.helper": "!gh auth git-credential",  # gives git the token, which is in no file or command line
        "user.name": AUTHOR,
        "user.email": f"{AUTHOR}@users.noreply.github.com",
    }
    with tempfile.TemporaryDirectory() as scratch:

        def git(*arguments: str) -> str:
            return _run(["git", "-C", scratch, *arguments])

        git("init", "--quiet")
        git("remote", "add", "origin", origin)
        for key, value in settings.items():
            git("config", key, value)
        blobs = {name: git("hash-object", "-w", "--no-filters", str(path.resolve())) for name, path in pictures.items()}
        for attempt in range(1, ATTEMPTS + 1):
            git("read-tree", "--empty")
            before = ""  # the commit that the push may replace; empty: the branch must not exist
            if git("ls-remote", "origin", f"refs/heads/{BRANCH}"):
                git("fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", f"refs/heads/{BRANCH}")
                before = git("rev-parse", "FETCH_HEAD")
                git("read-tree", before)
            for number in outdated(git("ls-files").splitlines(), folder):
                git("rm", "-r", "--cached", "--quiet", number)
            for name, blob in blobs.items():
                git("update-index", "--add", "--cacheinfo", f"100644,{blob},{folder}/{name}")
            commit = git("commit-tree", git("write-tree", "--missing-ok"), "-m", "Pictures of reviews")
            lease = f"--force-with-lease=refs/heads/{BRANCH}:{before}"
            try:
                git("push", "--quiet", lease, "origin", f"{commit}:refs/heads/{BRANCH}")
                return
            except subprocess.CalledProcessError:
                if attempt == ATTEMPTS:
                    raise


def outdated(files: list[str], folder: str) -> list[str]:
    """Return the top folders to remove: this pull request's, those of no pull request, and all but the newest."""
    ours = folder.partition("/")[0]
    found = {path.partition("/")[0] for path in files}
    others = [name for name in found if re.fullmatch("pr-[0-9]+", name) and name != ours]
    kept = sorted(others, key=lambda name: int(name.removeprefix("pr-")))[-(KEPT - 1) :]
    return sorted(found - set(kept))


def link(markdown: str, pictures: dict[str, Path], address: str) -> str:
    """Replace the names of the pictures in the report by their addresses; everything else stays unchanged."""
    return re.sub(
        r"\]\(([a-z_]+\.png)\)",
        lambda found: f"]({address}/{found[1]})" if found[1] in pictures else found[0],
        markdown,
    )


def body(markdown: str, footer: str) -> str:
    """Return the comment: the marker, as much of the report as GitHub accepts, and the footer."""
    room = LONGEST - len(MARKER) - len(footer) - 100
    if len(markdown) > room:
        whole_lines = markdown[:room].rpartition("\n")[0]  # half a line could be half a code span
        markdown = f"{whole_lines}\n\n(The rest is in the artifact.)"
    return f"{MARKER}\n{markdown.rstrip()}\n\n{footer}\n"


def post(text: str, repository: str, number: str) -> None:
    """Update our comment, which begins with the marker, or write the first one."""
    comments = f"repos/{repository}/issues/{number}/comments"
    pages = json.loads(_gh("--paginate", "--slurp", comments))
    ours = [
        comment["id"]
        for page in pages
        for comment in page
        if comment["user"]["login"] == AUTHOR and comment["body"].startswith(MARKER)
    ]
    method, where = ("PATCH", f"repos/{repository}/issues/comments/{ours[0]}") if ours else ("POST", comments)
    _gh("--method", method, where, "--input", "-", given=json.dumps({"body": text}))
    print(f"comment: {method} {where}")


def _begins_as_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG


def _gh(*arguments: str, given: str = "") -> str:
    return _run(["gh", "api", *arguments], given)


def _run(command: list[str], given: str = "") -> str:
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
