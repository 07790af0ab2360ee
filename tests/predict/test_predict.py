"""`python -m predict`: its lines, warnings, refusals and exit status."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from predict import __main__ as predict
from predict.model import load_model
from tests.classifier.data.pictures import encoded
from tests.clone import REPOSITORY, finish
from tests.predict.hand import draw, line, on_paper

Predicted = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predicted(capsys) -> Predicted:
    """Run the command on files; return its exit status and what it prints on stdout and on stderr."""
    return lambda *arguments: (predict.main(["--model", *map(str, arguments)]), *capsys.readouterr())


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with a 7, and a line of 2, 0 and 4."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/seven.png").write_bytes(encoded(on_paper(line("7", (90, 90)))))
    Image.fromarray(on_paper(line("204"), paper=20, pen=230)).save(tmp_path / "photos/line.jpg", quality=95)
    return tmp_path / "photos"


def test_a_picture_is_a_line_with_its_digits_from_left_to_right(photos, templates, predicted, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((photos / "seven.png").read_bytes())))
    status, out, err = predicted(templates, photos, "-")
    assert (status, err) == (0, "")
    expected = [f"{photos}/line.jpg: 2 0 4", f"{photos}/seven.png: 7", "stdin: 7"]
    assert [text.split(" (0.")[0] for text in out.splitlines()] == expected


def test_json_has_the_probabilities_the_boxes_and_the_refusals(photos, templates, predicted):
    (photos / "text.png").write_text("no picture")
    status, out, err = predicted(templates, "--json", photos)
    assert (status, err) == (1, f"predict: {photos}/text.png: not a PNG or JPEG picture\n")
    three, seven, text = json.loads(out)
    assert [digit["class"] for digit in (*three["digits"], *seven["digits"])] == ["2", "0", "4", "7"]
    digit = seven["digits"][0]
    assert digit["uncertain"] is False
    assert digit["confidence"] == digit["probabilities"]["7"] == max(digit["probabilities"].values())
    assert sum(digit["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert text == {"picture": f"{photos}/text.png", "error": "not a PNG or JPEG picture"}


@pytest.mark.parametrize("orientation", [1, 6])  # 6: the camera was turned by 90 degrees
def test_the_box_is_in_the_pixels_of_a_large_photo_that_is_decoded_smaller(tmp_path, templates, predicted, orientation):
    small = draw(7, np.random.default_rng(0), (210, 170), centre=(60, 85), height=100, pen=12)
    photo = Image.fromarray(on_paper(small)).resize((4201, 3401))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = photo if orientation == 1 else photo.transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "photo.jpg", exif=exif)
    (answer,) = json.loads(predicted(templates, "--json", tmp_path / "photo.jpg")[1])
    (digit,) = answer["digits"]
    assert digit["class"] == "7"
    rows, columns = (np.flatnonzero((small > 0.5).any(axis)) for axis in (1, 0))
    expected = [20 * edge for edge in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]
    assert np.abs(np.array(digit["box"]) - expected).max() <= 30


def test_what_is_refused_is_named_in_a_line_and_the_others_are_read(photos, templates, predicted):
    Image.new("RGBA", (50, 50), (255, 255, 255, 0)).save(photos / "clear.png")
    status, out, err = predicted(templates, *(photos / name for name in ("clear.png", "\x1b[2J\n.png", "seven.png")))
    assert (status, out.startswith(f"{photos}/seven.png: 7 (")) == (1, True)
    clear, gone = err.splitlines()
    assert clear.startswith(f"predict: {photos}/clear.png: no ink; expected ink at least 16 of 255 grey levels")
    assert gone == f"predict: {photos}/\\x1b[2J\\n.png: cannot be read: No such file or directory"


def with_metadata(path: Path, key: str, value: str | None) -> Path:
    """Change or remove one of the texts in a model's metadata, in a copy."""
    model = onnx.load(path)
    texts = {entry.key: entry.value for entry in model.metadata_props} | {key: value}
    onnx.helper.set_model_props(model, {key: text for key, text in texts.items() if text is not None})
    onnx.save(model, path.parent / "changed.onnx")
    return path.parent / "changed.onnx"


def test_of_several_rows_the_warning_says_that_a_picture_has_one_line(tmp_path, templates, predicted):
    strict = with_metadata(templates, "confidence_floor", "0.9999")
    for name, rows in {"one.png": ["204"], "two.png": ["204", "317"]}.items():
        (tmp_path / name).write_bytes(encoded(on_paper(np.vstack([line(row) for row in rows]))))
        said = predicted(strict, tmp_path / name)[2].splitlines()
        expected = [f"predict: {tmp_path / name}: warning: ink stands above ink, but a picture has one line of digits"]
        assert [text.split(": cut out")[0] for text in said if " ink " in text] == expected * (len(rows) > 1)


def test_a_class_below_the_floor_of_the_model_is_uncertain(photos, templates, predicted):
    strict = with_metadata(templates, "confidence_floor", "0.9999")
    status, out, err = predicted(strict, photos / "seven.png")
    assert (status, out.startswith(f"{photos}/seven.png: 7 (0.9")) == (0, True)
    assert err.startswith(f"predict: {photos}/seven.png: warning: 7 is uncertain: 0.9")
    assert " is below 1.000, as few images of mnist are" in err


@pytest.mark.parametrize(("normalization", "classes"), [("resize", "left right"), ("negative", "right left")])
def test_pictures_of_another_data_set_are_resized_as_by_download(tmp_path, sides, predicted, normalization, classes):
    model = with_metadata(sides, "normalization", normalization)
    for side in (0, 1):
        picture = np.random.default_rng(side).integers(0, 100, (30, 50, 3), np.uint8)
        picture[:, 25 * side : 25 * side + 25, 0] += 100
        (tmp_path / f"{side}.png").write_bytes(encoded(picture))
    _, out, err = predicted(model, "--json", tmp_path)
    left, right = (answer["classes"][0] for answer in json.loads(out))
    assert [left["class"], right["class"]] == [f"{name} side" for name in classes.split()]
    assert right["box"] == [0, 0, 50, 30]
    squashed = np.asarray(Image.fromarray(picture).resize((6, 4), Image.Resampling.BILINEAR))
    seen = squashed if normalization == "resize" else 255 - squashed
    assert right["confidence"] == pytest.approx(load_model(model).predict(seen[np.newaxis]).max())
    assert err.count("predict: note: whole pictures are resized as own.npz has them") == 1


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("noun", None, "'noun'"), ("normalization", "magic", "magic images"), ("classes", '["0", "1"]', "of 2 classes")],
)
def test_a_model_that_export_did_not_write_is_refused(templates, key, value, reason):
    with pytest.raises(ValueError, match=f"changed.onnx: not a model that `export` wrote: .*{reason}.*; run `dvc"):
        load_model(with_metadata(templates, key, value))


@pytest.mark.parametrize("name", ["missing.onnx", "damaged.onnx", "https://example.com/model.onnx"])
def test_without_a_whole_model_the_line_says_how_to_get_one(tmp_path, predicted, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("damaged.onnx").write_text("damaged")
    status, _, err = predicted(name, "photo.png")
    assert (status, err.startswith(f"predict: {name}")) == (2, True)
    assert err.endswith("run `dvc repro` or `make repro` to create it, or `dvc pull` to fetch it\n")


LOADED = """
import re, sys
from predict.__main__ import main
status = main(sys.argv[1:])
heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "onnx", "dvc", "classifier"} & sys.modules.keys()
print(status, sorted(heavy), *re.findall(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()))
"""


def test_the_command_imports_no_tensorflow_and_reads_16_million_pixels_in_120_mb(photos, templates):
    Image.open(photos / "seven.png").resize((4000, 4000)).save(photos / "photo.jpg")
    command = [sys.executable, "-c", LOADED, "--model", str(templates), str(photos / "photo.jpg")]
    done = finish(command, folder=REPOSITORY)
    status, heavy, peak = done.stdout.splitlines()[-1].split(" ")
    assert (status, heavy) == ("0", "[]")
    assert 20_000 < int(peak) * 1.024 < 120_000  # kB


def test_an_output_that_cannot_be_written_ends_the_command_without_a_traceback(photos, templates):
    command = f"'{sys.executable}' -m predict --model '{templates}' '{photos}' > /dev/full"
    done = finish(["sh", "-c", command], folder=REPOSITORY)
    message = "predict: the output could not be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, message)
