import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bench import growth, memory
from bench.growth import Growth
from classifier.data.formats import Arrays
from tests.whole_arrays import read_npz


def test_each_copy_has_the_labels_and_the_shifted_pixels_of_the_original(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert growth.make(tmp_path / "mnist.npz", 3, tmp_path / "made.npz") == 3 * (16 + 8)
    made = read_npz(tmp_path / "made.npz", 10**6)
    np.testing.assert_array_equal(made["x_train"][:16], arrays["x_train"])
    np.testing.assert_array_equal(made["y_train"], np.tile(arrays["y_train"], 3))
    for image, shifted in zip(np.tile(arrays["x_test"], (2, 1, 1)), made["x_test"][8:], strict=True):
        padded = np.pad(image, growth.SHIFT)
        moves = [padded[y : y + 28, x : x + 28] for y in range(5) for x in range(5)]
        assert any((shifted == move).all() for move in moves)
    assert (made["x_test"][8:16] != made["x_test"][16:]).any()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_anonymous_memory_of_a_module_is_seen_and_the_pages_of_its_files_are_not(tmp_path: Path) -> None:
    np.save(tmp_path / "file.npy", np.zeros(60 * 2**20, np.uint8))
    (tmp_path / "needy.py").write_text(
        "import time\nimport numpy as np\nmapped = np.load('file.npy', mmap_mode='r').sum()\n"
        "taken = np.ones(40 * 2**20, np.uint8)\ntime.sleep(0.3)\n"
    )
    with memory.Watch() as watch:
        subprocess.run([sys.executable, "-m", "needy"], cwd=tmp_path, check=True)
    assert 40 < watch.peak_mib["needy"] < 95


def run(images: int, mib: float) -> Growth:
    stage = {"seconds": images / 1000, "peak_mib": 2 * mib, "anonymous_mib": mib}
    storage = {"bytes": images * 784, "write_seconds": 1.0, "read_seconds": 2.0, **stage}
    storages = dict.fromkeys(growth.STORAGES, storage)
    return Growth(images // 70_000, images, 0.0, 100.0, 5 * 10**9, {"train": stage}, storages)


@pytest.mark.parametrize(("more", "verdict"), [(90, "reached"), (96, "not reached")])
def test_the_page_has_the_slope_and_says_whether_the_goal_is_reached(more: float, verdict: str) -> None:
    page = growth.page({"cores": "2"}, [run(70_000, 300), run(1_120_000, 300 + more)])
    assert f"| train | {more * 2**20 / 1e6:,.0f} | {verdict} |" in page
    assert "| train | 70.0 | 1,120.0 | 1,000.0 | 8,000.0 |" in page


def test_an_interrupted_run_goes_on_if_nothing_has_changed(tmp_path: Path) -> None:
    figures, facts = tmp_path / "growth.json", {"commit": "abc"}
    assert growth.load(figures, facts) == []
    figures.write_text(json.dumps({"facts": facts, "runs": [asdict(run(70_000, 300))]}))
    assert growth.load(figures, facts) == [run(70_000, 300)]
    assert growth.load(figures, {"commit": "other"}) == []
