"""Say which digit is in a picture, or what the picture shows, by models/model.onnx.

    python -m predict PICTURE...

A picture is a PNG or JPEG file, a folder of them, a pattern such as 'photos/*.png', or - for stdin: docs/predict.md.
"""

import argparse
import json
import os
import signal
import sys
from typing import Any

from predict import pictures
from predict.model import MODEL, load_model
from predict.reading import read

REFUSED, UNUSABLE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Predict each picture; return 0, 1 if one was refused, or 2 without a model."""
    parser = argparse.ArgumentParser(prog="python -m predict", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a PNG or JPEG file, a folder, a pattern, or -")
    parser.add_argument("--json", action="store_true", help="print a JSON list with all probabilities")
    parser.add_argument("--model", default=MODEL, help=f"the model that export wrote ({MODEL})")
    options = parser.parse_args(arguments)
    try:
        model = load_model(options.model)
    except (OSError, ValueError) as error:
        _say(str(error))
        return UNUSABLE
    if model.normalization != "mnist":
        _say(f"note: whole pictures are resized as {model.dataset} has them; none is cut out or inverted")
    answers: list[dict[str, Any]] = []
    for name in pictures.find(options.pictures):
        label = "stdin" if name == pictures.STDIN else name
        try:
            readings = read(pictures.read_file(name), model)
        except (OSError, ValueError) as error:
            answers.append({"picture": name, "error": str(error)})
            _say(f"{label}: {error}")
            continue
        answers.append({"picture": name, model.noun: readings})
        if not options.json:
            classes = " ".join(reading["class"] for reading in readings)
            confidences = ", ".join(f"{reading['confidence']:.3f}" for reading in readings)
            print(_printable(f"{label}: {classes} ({confidences})"), flush=True)
        for reading in readings:
            if reading["uncertain"]:
                doubt = f"{reading['class']} is uncertain: {reading['confidence']:.3f} is below {model.floor:.3f}"
                _say(f"{label}: warning: {doubt}, as few images of {model.dataset} are; it may be no such thing")
        if any(reading["uncertain"] for reading in readings) and any(reading["stacked"] for reading in readings):
            _say(f"{label}: warning: ink stands above ink, but a picture has one line of digits: cut out each line")
    if options.json:
        print(json.dumps(answers, indent=2))
    return REFUSED if any("error" in answer for answer in answers) else 0


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _say(message: str) -> None:
    print(f"predict: {_printable(message)}", file=sys.stderr)


def run() -> int:
    """Run `main` for a shell: no interruption, closed pipe or full disk ends in a traceback."""
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for what the locale lacks
    try:
        status = main()
        sys.stdout.flush()
        return status
    except OSError as error:  # of stdout; `main` names what cannot be read
        _say(f"the output could not be written: {error.strerror or error}")
        os._exit(UNUSABLE)  # without another try to write


if __name__ == "__main__":
    raise SystemExit(run())
