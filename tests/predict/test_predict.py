"""`python -m predict`: its lines, warnings, refusals and exit status."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from predict import __main__ as predict
from predict.model import load
from tests.conftest import REPOSITORY
from tests.predict.hand import draw, on_paper

SMALL = (90, 90)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a 7, and a line of 2, 0 and 4."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(on_paper(draw(7, 0, random, SMALL, height=60, pen=7))).save(folder / "seven.png")
    line = sum(draw(digit, 0, random, (270, 90), (45 + 90 * i, 45), 60, 7) for i, digit in enumerate((2, 0, 4)))
    Image.fromarray(on_paper(np.minimum(line, 1), paper=20, pen=230)).save(folder / "line.jpg", quality=95)
    return folder


def test_a_picture_is_a_line_with_its_digits_from_left_to_right(
    photos: Path, templates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["--model", str(templates), str(photos)]) == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one.startswith(f"{photos}/line.jpg: 2 0 4 (0.")
    assert one.count(", ") == 2
    assert other.startswith(f"{photos}/seven.png: 7 (0.9")


def test_stdin_is_a_picture(
    photos: Path, templates: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((photos / "seven.png").read_bytes())))
    assert predict.main(["--model", str(templates), "-"]) == 0
    assert capsys.readouterr().out.startswith("stdin: 7 (")


def test_json_has_the_probabilities_the_boxes_and_the_refusals(
    photos: Path, templates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "text.png").write_text("no picture")
    assert predict.main(["--model", str(templates), "--json", str(photos)]) == 1
    captured = capsys.readouterr()
    line, seven, text = json.loads(captured.out)
    assert [digit["class"] for digit in line["digits"]] == ["2", "0", "4"]
    (digit,) = seven["digits"]
    assert digit["class"] == "7"
    assert digit["uncertain"] is False
    assert digit["confidence"] == digit["probabilities"]["7"] == max(digit["probabilities"].values())
    assert sum(digit["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    left, top, right, bottom = digit["box"]
    assert 5 < left < right < 85
    assert 5 < top < bottom < 85
    assert text == {"picture": f"{photos}/text.png", "error": "not a PNG or JPEG picture"}
    assert captured.err == f"predict: {photos}/text.png: not a PNG or JPEG picture\n"


@pytest.mark.parametrize("orientation", [1, 6])  # 6: the camera was turned by 90 degrees
def test_the_box_is_in_the_pixels_of_a_large_photo_that_is_decoded_in_a_smaller_size(
    tmp_path: Path, templates: Path, capsys: pytest.CaptureFixture[str], orientation: int
) -> None:
    small = draw(7, 0, np.random.default_rng(0), (210, 170), centre=(60, 85), height=100, pen=12)
    photo = Image.fromarray(on_paper(small)).resize((4201, 3401))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = photo if orientation == 1 else photo.transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "photo.jpg", exif=exif)
    assert predict.main(["--model", str(templates), "--json", str(tmp_path / "photo.jpg")]) == 0
    ((digit,),) = (each["digits"] for each in json.loads(capsys.readouterr().out))
    assert digit["class"] == "7"
    rows, columns = (np.flatnonzero((small > 0.5).any(axis)) for axis in (1, 0))
    expected = [20 * each for each in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]
    assert np.abs(np.array(digit["box"]) - expected).max() <= 30


def test_what_is_refused_is_named_and_the_others_are_read(
    photos: Path, templates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (50, 50), 200).save(photos / "blank.png")
    Image.fromarray(np.where(np.arange(2500).reshape(50, 50) % 7, 200, 195).astype(np.uint8)).save(photos / "faint.png")
    names = ["blank.png", "faint.png", "gone.png", "seven.png"]
    assert predict.main(["--model", str(templates), *(str(photos / name) for name in names)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{photos}/seven.png: 7 (")
    contrast = "expected ink at least 16 of 255 grey levels from the paper"
    assert captured.err.splitlines() == [
        f"predict: {photos}/blank.png: blank: all its pixels are equally bright; {contrast}",
        f"predict: {photos}/faint.png: no ink; {contrast}",
        f"predict: {photos}/gone.png: cannot be read: No such file or directory",
    ]


def test_a_class_below_the_floor_of_the_model_is_uncertain(
    photos: Path, templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = onnx.load(templates)
    next(each for each in strict.metadata_props if each.key == "confidence_floor").value = "0.9999"
    onnx.save(strict, tmp_path / "strict.onnx")
    assert predict.main(["--model", str(tmp_path / "strict.onnx"), str(photos / "seven.png")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{photos}/seven.png: 7 (0.9")
    assert captured.err.startswith(f"predict: {photos}/seven.png: warning: 7 is uncertain: 0.9")
    assert captured.err.endswith(" is below 1.000, as few images of mnist are; it may be none of the digits\n")


def test_pictures_of_another_data_set_are_resized_and_that_is_said_once(
    tmp_path: Path, sides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = []
    for side in (0, 1):
        picture = np.full((30, 50, 3), (60, 200, 200), np.uint8)
        picture[:, 25 * side : 25 * side + 25, 0] = 255
        names.append(str(tmp_path / f"{side}.png"))
        Image.fromarray(picture).save(names[-1])
    assert predict.main(["--model", str(sides), *names]) == 0
    captured = capsys.readouterr()
    assert [line.split(" (")[0] for line in captured.out.splitlines()] == [
        f"{names[0]}: left side",
        f"{names[1]}: right side",
    ]
    assert captured.err == (
        "predict: note: whole pictures are resized to 4x6, as photos/ has them; none is cut out or inverted\n"
    )


def test_a_name_with_control_characters_cannot_write_to_the_terminal(
    templates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["--model", str(templates), "\x1b[2J\n.png"]) == 1
    assert capsys.readouterr().err == "predict: \\x1b[2J\\n.png: cannot be read: No such file or directory\n"


def test_without_a_model_the_line_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main(["--model", str(tmp_path / "model.onnx"), "photo.png"]) == 2
    assert capsys.readouterr().err == (
        f"predict: {tmp_path}/model.onnx is missing: run `dvc repro` or `make repro` to create it, or `dvc pull` to "
        "fetch it\n"
    )


def test_without_a_picture_the_usage_is_shown() -> None:
    with pytest.raises(SystemExit) as error:
        predict.main([])
    assert error.value.code == 2


def spoil(model: onnx.ModelProto, key: str, value: str | None) -> bytes:
    kept = [each for each in model.metadata_props if each.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    if value is not None:
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("normalization", None, "its metadata have no normalization"),
        ("normalization", "magic", "unknown normalization 'magic' of images [28, 28, 1]"),
        ("classes", '["0", "1"]', "expected images [28, 28, 1] and probabilities [2], found "),
        ("image_shape", '"28"', 'expected a list in its metadata, found "28"'),
        ("confidence_floor", "high", "could not convert string to float: 'high'"),
    ],
)
def test_a_model_that_export_did_not_write_is_refused(
    templates: Path, tmp_path: Path, key: str, value: str | None, reason: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(spoil(onnx.load(templates), key, value))
    with pytest.raises(ValueError, match="not a model that `export` wrote") as error:
        load(path)
    assert reason in str(error.value)


def test_a_damaged_model_is_refused(templates: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(templates.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a model that `export` wrote"):
        load(path)


LOADED = """
import resource, sys
from predict.__main__ import main
status = main(sys.argv[1:])
heavy = {"tensorflow", "keras", "scipy", "sklearn", "matplotlib", "onnx", "dvc"} & sys.modules.keys()
with open("/proc/self/status") as file:
    peak = next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
print(status, sorted(heavy), peak)
"""


def test_the_command_imports_no_tensorflow_and_takes_less_than_120_mb(photos: Path, templates: Path) -> None:
    command = [sys.executable, "-c", LOADED, "--model", str(templates), str(photos)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    status, heavy, peak = done.stdout.splitlines()[-1].split(" ")
    assert (status, heavy) == ("0", "[]")
    if Path("/proc/self/status").exists():
        assert 20_000 < int(peak) * 1.024 < 120_000  # kB


def test_a_reader_that_closes_the_output_ends_the_command_without_a_traceback(photos: Path, templates: Path) -> None:
    command = f"'{sys.executable}' -m predict --model '{templates}' '{photos}'/*.jpg '{photos}'/*.png | true"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_an_output_that_cannot_be_written_ends_the_command_in_a_line(photos: Path, templates: Path) -> None:
    command = f"'{sys.executable}' -m predict --model '{templates}' '{photos}' > /dev/full"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (
        2,
        "predict: the output could not be written: No space left on device\n",
    )
