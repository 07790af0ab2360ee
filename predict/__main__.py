"""Say which digit is in a picture, or what the picture shows, by models/model.onnx.

    python -m predict PICTURE...

A picture is a PNG or JPEG file, a folder of them, a pattern such as 'photos/*.png', or - for stdin. The digits may be
anywhere in it, dark on light or light on dark, one or a line of several. docs/predict.md describes how they are found.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from predict import pictures
from predict.model import MODEL, load
from predict.reading import read

SOME_REFUSED, UNUSABLE, INTERRUPTED, CLOSED = 1, 2, 130, 141  # the last two as shells count SIGINT and SIGPIPE


def main(arguments: list[str] | None = None) -> int:
    """Predict each picture; return 0, 1 if one was refused, or 2 without a model."""
    parser = argparse.ArgumentParser(
        prog="python -m predict",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit status: 0; 1 if a picture was refused; 2 for wrong usage, without a model or without an output",
    )
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a PNG or JPEG file, a folder, a pattern, or -")
    parser.add_argument("--json", action="store_true", help="print a JSON list with all probabilities")
    parser.add_argument("--model", type=Path, default=MODEL, help=f"the model that export wrote ({MODEL})")
    options = parser.parse_args(arguments)
    try:
        model = load(options.model)
    except (OSError, ValueError) as error:
        _say(str(error))
        return UNUSABLE
    if model.normalization == "resize":
        shape = "x".join(map(str, model.shape[:2]))
        _say(f"note: whole pictures are resized to {shape}, as {model.dataset} has them; none is cut out or inverted")
    found: list[dict[str, Any]] = []
    for name in pictures.find(options.pictures):
        try:
            shown = read(pictures.load(name), model)
        except (OSError, ValueError) as error:
            found.append({"picture": name, "error": str(error)})
            _say(f"{_label(name)}: {error}")
            continue
        found.append({"picture": name, model.noun: shown})
        if not options.json:
            print(as_line(name, shown), flush=True)
        for each in shown:
            if each["uncertain"]:
                _say(
                    f"{_label(name)}: warning: {each['class']} is uncertain: {each['confidence']:.3f} is below "
                    f"{model.floor:.3f}, as few images of {model.dataset} are; it may be none of the {model.noun}"
                )
    if options.json:
        print(json.dumps(found, indent=2))
    return SOME_REFUSED if any("error" in each for each in found) else 0


def as_line(name: str, found: list[dict[str, Any]]) -> str:
    """Return the classes in a picture, and in the same order how confident the network is of each."""
    classes = " ".join(_printable(each["class"]) for each in found)
    confidences = ", ".join(f"{each['confidence']:.3f}" for each in found)
    return f"{_label(name)}: {classes} ({confidences})"


def _label(name: str) -> str:
    return "stdin" if name == pictures.STDIN else _printable(name)


def _printable(text: str) -> str:
    """Escape what is not printable, and what the locale of the terminal lacks."""
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _say(message: str) -> None:
    print(f"predict: {_printable(' '.join(message.split()))}", file=sys.stderr)


def run() -> int:
    """Run `main` for a shell: an interruption and a stdout that cannot be written end it without a traceback."""
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except OSError as error:  # of stdout; `main` names what cannot be read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        if isinstance(error, BrokenPipeError):
            return CLOSED
        _say(f"the output could not be written: {error.strerror or error}")
        return UNUSABLE


if __name__ == "__main__":
    raise SystemExit(run())
