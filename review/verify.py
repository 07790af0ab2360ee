"""Check that dvc.lock matches the dvc.yaml, params.yaml and code beside it, in a checkout or at a revision.

It needs no data, cache or remote: it compares what dvc.lock recorded of each stage's command, parameters, files and
outputs with what Git holds, and follows each output from the stage that wrote it to those that read it. Outputs that
are present are hashed too, and models/provenance.json must have the parameters and the data of train in dvc.lock.
`dvc status` and `dvc repro --dry` answer other questions: see treeverse/dvc#5369, #9818 and #9861. Of the measured
noise it compares the committed run's seed alone: the others need another training.
"""

import argparse
import sys

from classifier.command import command, printable
from classifier.paths import LOCK
from review.escaping import shorten
from review.lock import noise_findings, stage_findings


@command("verify", refused=1)
def main(arguments: list[str] | None = None) -> int:
    """Print a line a stage; return 0 if dvc.lock matches them all and the measured noise is possible, else 1."""
    parser = argparse.ArgumentParser(prog="python -m review.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", help="a commit, branch or tag; without it, the files in this folder")
    revision = parser.parse_args(arguments).revision
    findings = stage_findings(revision)
    noise = noise_findings(revision)
    for name, reasons in [*findings.items(), *([("seed noise", noise)] if noise else [])]:
        told = [shorten(printable(text)) for text in (name, *reasons)]
        print(f"verify: {told[0]}: {'; '.join(told[1:]) or 'matches'}")
    false = sum(bool(reasons) for reasons in findings.values())
    verdict = f"does not match {false} of" if false else "matches all"
    print(f"verify: {LOCK} of {printable(revision or 'this folder')} {verdict} {len(findings)} stages")
    return 1 if false or noise else 0


if __name__ == "__main__":
    sys.exit(main())
