"""bench.pictures: the pictures that it makes, and the tables that it writes."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench import pictures
from predict.normalization import normalize
from tests.conftest import REPOSITORY, describe
from tests.predict.conftest import templates  # noqa: F401  # a fixture
from tests.predict.hand import draw

EMPTY = "# Title\n\n" + "".join(f"<!-- python -m bench.pictures: {part} -->\n<!-- end -->\n" for part in pictures.PARTS)


@pytest.fixture
def digits() -> np.ndarray:
    """Images of four drawn digits, uint8 (4, 28, 28)."""
    drawn = [draw(digit, 0, np.random.default_rng(0), (28, 28), height=18, pen=2.5) for digit in range(4)]
    return np.rint(255 * np.stack(drawn)).astype(np.uint8)


@pytest.mark.parametrize("kind", pictures.KINDS[::5], ids=lambda kind: kind.name)
def test_a_digit_lies_whole_in_a_picture_in_a_size_of_the_range(kind: pictures.Kind, digits: np.ndarray) -> None:
    random = np.random.default_rng(0)
    longest = []
    for digit in digits:
        picture = pictures.embed(digit, kind, random)
        assert (picture.shape, picture.dtype) == ((280, 280), np.uint8)
        assert (np.median(picture) > 128) != kind.inverted
        (found,) = normalize(picture)
        left, top, right, bottom = found.box
        longest.append(max(right - left, bottom - top))
    assert min(longest) >= 50
    assert max(longest) <= 205
    assert len(set(longest)) > 2


def test_the_tables_are_written_between_their_lines_and_the_rest_stays(
    templates: Path,  # noqa: F811
    digits: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pictures, "MODEL", templates)
    monkeypatch.setattr(pictures, "cold_start", lambda _: "It starts.")
    describe(tmp_path)
    (tmp_path / "data/processed").mkdir(parents=True)
    np.save(tmp_path / "data/processed/validation_images.npy", (digits[..., np.newaxis] / 255).astype(np.float32))
    np.save(tmp_path / "data/processed/validation_labels.npy", np.eye(10, dtype=np.float32)[:4])
    np.save(tmp_path / "other.npy", np.random.default_rng(0).random((3, 28, 28, 1), np.float32))
    (tmp_path / "page.md").write_text(EMPTY + "The end.\n")
    monkeypatch.chdir(tmp_path)
    assert pictures.main(["--images", "4", "--other", "other.npy", "--output", "page.md"]) == 0
    text = (tmp_path / "page.md").read_text()
    rows = {row[0]: row[1:] for line in text.splitlines() if (row := [each.strip() for each in line.split("|")[1:-1]])}
    assert float(rows["black on white"][0]) >= 0.9  # the model knows these digits
    assert rows["black on white"][1] == "0"
    assert float(rows["black on white"][0]) > float(rows["black on white"][2])
    assert len(rows["pictures of noise"]) == 3  # of the last table; the one before has a column for each quantile
    assert re.search(r"(?m)^\| pictures of noise( \| [\d.]+%){4} \|$", text)
    assert text.startswith("# Title\n\n<!-- python -m bench.pictures: accuracy -->\n| pictures | right |")
    assert text.endswith("<!-- python -m bench.pictures: time -->\nIt starts.\n<!-- end -->\nThe end.\n")
    assert "bench: black on white: 1.000, resized only " in capsys.readouterr().out
    monkeypatch.setattr(pictures, "cold_start", lambda _: "It starts again.")
    assert pictures.main(["--only", "time", "--output", "page.md"]) == 0
    assert (tmp_path / "page.md").read_text() == text.replace("It starts.", "It starts again.")


def test_a_table_replaces_the_one_of_before() -> None:
    once = pictures.replace(EMPTY, "limits", "| old |")
    assert pictures.replace(once, "limits", "| new |") == once.replace("old", "new")


def test_a_document_without_a_place_for_the_tables_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("# Title\n")
    assert pictures.main(["--output", str(tmp_path / "page.md")]) == 1
    assert "bench: expected the lines <!-- python -m bench.pictures: accuracy --> and <!-- end -->" in (
        capsys.readouterr().err
    )


def test_the_document_has_a_table_in_each_part() -> None:
    text = (REPOSITORY / pictures.DOCUMENT).read_text()
    for part in pictures.PARTS:
        assert len(text.partition(pictures.BEGIN.format(part))[2].partition(pictures.END)[0].strip()) > 100, part
