"""Say where a training step's time goes, primitive by primitive, and write bench/profile.md.

It needs the processed arrays, and reads what oneDNN says of itself.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import machine, onednn, steps
from bench.onednn import Primitive
from classifier.data import splits
from classifier.files.whole_file import whole_file

PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Profile:
    """A training step in one precision, averaged over `steps` steps of `batch_size` images.

    `primitives` and `traced_milliseconds` are of a run that oneDNN traced, `milliseconds` is of one that it did not.
    `peak_gflops` is that of a product of two large matrices, in 1e9 floating-point operations a second.
    """

    precision: str
    steps: int
    batch_size: int
    milliseconds: float
    traced_milliseconds: float
    peak_gflops: float
    primitives: list[Primitive]


def main(arguments: list[str] | None = None) -> int:
    """Profile and write; return 0, or 1 where there is nothing to profile."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="may be repeated (float32)")
    parser.add_argument("--steps", type=int, default=200, help="steps to measure (200)")
    parser.add_argument("--output", type=Path, default=Path("bench/profile.md"))
    options = parser.parse_args(arguments)
    try:
        if options.steps < 1:
            raise ValueError(f"--steps must be at least 1, got {options.steps}")
        if not splits.images_path("train").exists():
            raise FileNotFoundError(f"{splits.images_path('train')} is missing; run `dvc repro preprocess` first")
        profiles = [profile(precision, options.steps) for precision in options.precision or PRECISIONS[:1]]
        with whole_file(options.output) as path:
            path.write_text(as_markdown(profiles))
    except (ValueError, OSError) as error:
        print(f"profile: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    for each in profiles:
        told = f"{each.milliseconds:.1f} ms a step of {each.batch_size} images, {each.peak_gflops:.0f} GFLOP/s at most"
        print(f"profile: {each.precision}: {told} -> {options.output}")
    return 0


def profile(precision: str, count: int) -> Profile:
    """Train `count` steps twice, untraced and traced.

    Raises:
        OSError: a run failed. ValueError: oneDNN printed nothing of these steps, so TensorFlow did not use it.
    """
    untraced = json.loads(_train(precision, count)[-1])
    lines = _train(precision, count, "--trace")
    traced = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    measured = lines[lines.index(steps.BEGIN) : lines.index(steps.END)]
    executions = [each for each in map(onednn.parse, measured) if each is not None]
    if not executions:
        raise ValueError(f"oneDNN executed nothing in {count} training steps; this TensorFlow was built without it")
    return Profile(
        precision=precision,
        steps=count,
        batch_size=untraced["batch_size"],
        milliseconds=untraced["step_milliseconds"],
        traced_milliseconds=traced["step_milliseconds"],
        peak_gflops=untraced["peak_gflops"],
        primitives=onednn.sum_by_name(executions, count),
    )


def as_markdown(profiles: list[Profile]) -> str:
    """Return a section a precision, after the machine they were measured on."""
    facts = [*machine.describe().items(), *machine.versions().items()]
    listed = "\n".join(f"- {name}: {fact}" for name, fact in facts)
    head = "# A training step\n\nWritten by `python -m bench.profile`; [README.md](README.md) says how to read it."
    return "\n\n".join([head, listed, *map(_section, profiles)]) + "\n"


def _section(each: Profile) -> str:
    total = Primitive(
        "**oneDNN together**",
        sum(primitive.milliseconds for primitive in each.primitives),
        sum(primitive.operations for primitive in each.primitives),
    )
    rest = Primitive("everything else", each.traced_milliseconds - total.milliseconds, 0)
    table = ["| primitive | ms a step | share | GFLOP/s | of the peak |", "| --- | ---: | ---: | ---: | ---: |"]
    table += [_row(primitive, each) for primitive in [*each.primitives, total, rest]]
    return (
        f"## {each.precision}\n\n"
        f"{each.milliseconds:.2f} ms a step of {each.batch_size} images ({each.traced_milliseconds:.2f} ms while "
        f"oneDNN was traced, of which the shares are), over {each.steps} steps. The peak is {each.peak_gflops:,.0f} "
        f"GFLOP/s: the best product of two {steps.MATRIX_SIDE} x {steps.MATRIX_SIDE} matrices in the same "
        "precision.\n\n"
    ) + "\n".join(table)


def _row(primitive: Primitive, each: Profile) -> str:
    share = primitive.milliseconds / each.traced_milliseconds
    speed = (f"{primitive.gflops:,.1f}", f"{primitive.gflops / each.peak_gflops:.0%}")
    cells = [
        primitive.name,
        f"{primitive.milliseconds:.3f}",
        f"{share:.1%}",
        *(speed if primitive.operations else "--"),
    ]
    return f"| {' | '.join(cells)} |"


def _train(precision: str, count: int, *trace: str) -> list[str]:
    """Return the lines that bench.steps prints; oneDNN's are among them where it is traced."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.steps", precision, str(count), *trace],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise OSError(f"bench.steps in {precision} exited with {done.returncode}: {told}")
    return done.stdout.splitlines()


if __name__ == "__main__":
    raise SystemExit(main())
