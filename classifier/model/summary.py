"""Print what matters of the results in this folder, and where the page is. `make repro` ends with it."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from classifier.command import command
from classifier.data.data_set import read_data_set
from classifier.parameters import parse_yaml
from classifier.paths import LOCK, METRICS, PAGE, PIPELINE, PROVENANCE

FORMATS = {"accuracy": ".4f", "balanced_accuracy": ".4f", "loss": ".4f", "errors": ","}


@command("summary", refused=1)
def main(_: list[str] | None = None) -> int:
    """Print the metrics and the path of the page, and why results differ from Git's: another data set or machine."""
    print(table(json.loads(METRICS.read_text())))
    print(f"To draw your own, open {PAGE} in a browser.", flush=True)
    if changed := changed_results():
        restore = f"`git checkout HEAD -- {shlex.join(changed)}` restores the committed results"
        if read_data_set().warning():
            keep = "to use the 5,000 digits on purpose, make a branch and run `cp recipes/mnist-5k.yaml params.yaml`"
            print(f"make: these are results on a stand-in for the data set: {restore}; {keep}", file=sys.stderr)
        elif said := other_machine():
            print(f"make: {said}; {restore}, `git commit --all` keeps these", file=sys.stderr)
    return 0


def table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Return a line for each split: accuracies (0 to 1), loss (nats) and number of errors, in at most 80 columns."""
    names = [name for name in FORMATS if any(name in measured for measured in metrics.values())]
    rows = [["", *(name.replace("_", " ") for name in names)]]
    for split, measured in metrics.items():
        rows.append([split, *(format(measured[name], FORMATS[name]) if name in measured else "" for name in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)


def other_machine() -> str | None:
    """Say how the machine of the results differs from that of the committed ones, if nothing else of training does."""
    here, committed = json.loads(PROVENANCE.read_text()), json.loads(of_head(PROVENANCE) or "{}")
    machine, theirs = ({**one.get("versions", {}), **one, "versions": None} for one in (here, committed))
    keys = [key for key in machine if machine[key] != theirs.get(key)]
    if not keys or not {"dataset", "images", "parameters", "data"}.isdisjoint(keys) or not of_head(METRICS):
        return None
    differ = (f"{key} {machine[key]} instead of {theirs.get(key)}" for key in keys)
    accuracies = (json.loads(text)["test"]["accuracy"] for text in (METRICS.read_text(), of_head(METRICS)))
    compared = "test accuracy {:.4f}, committed {:.4f}".format(*accuracies)
    return f"as expected, another machine gives other weights ({', '.join(differ)}): {compared}"


def of_head(path: Path) -> str:
    """Return the text of a file in HEAD, empty if HEAD has none."""
    return subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, text=True, check=False).stdout


def changed_results() -> list[str]:
    """Return the files in Git that running the pipeline has changed: dvc.lock, and outputs outside DVC's cache."""
    stages = parse_yaml(PIPELINE.read_bytes(), PIPELINE)["stages"].values()
    outputs = [output for stage in stages for kind in ("metrics", "outs") for output in stage.get(kind, ())]
    in_git = [path for output in outputs for path, options in output.items() if options.get("cache") is False]
    differ = ["git", "diff", "--name-only", "--relative", "-z", "HEAD", "--", str(LOCK), *in_git]
    return subprocess.run(differ, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


if __name__ == "__main__":
    sys.exit(main())
