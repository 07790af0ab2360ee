import subprocess
import sys
from types import ModuleType

import pytest

from stages import runtime
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("cpu", "gpus", "expected"),
    [
        (["avx2", "avx512f", "avx512bf16"], [], True),
        (["amxbf16"], [], True),
        (["avx2", "avx512f"], [], False),
        ([], [], False),
        (["bf16"], [], False),  # of ARM, where TensorFlow's kernels for it are not known to be fast
        (["avx2"], [(8, 0)], True),
        (["avx512bf16"], [(7, 5)], False),
        (["avx512bf16"], [(9, 0), (7, 5)], False),
    ],
)
def test_bfloat16_is_taken_only_where_what_computes_has_it(
    cpu: list[str], gpus: list[tuple[int, int]], expected: bool
) -> None:
    assert runtime.has_bfloat16(cpu, gpus) is expected


@pytest.mark.parametrize(("hardware", "expected"), [(["avx512bf16"], "mixed_bfloat16"), (["avx2"], "float32")])
def test_auto_becomes_the_precision_that_this_machine_is_fast_at(
    keras: ModuleType, monkeypatch: pytest.MonkeyPatch, hardware: list[str], expected: str
) -> None:
    monkeypatch.setattr(runtime, "instruction_sets", lambda: hardware)
    monkeypatch.setattr(runtime, "_compute_capabilities", list)
    try:
        runtime.start(seed=0, precision="auto")
        assert runtime.describe()["precision"] == expected
        assert runtime.describe()["cpu_instruction_sets"] == hardware
    finally:
        runtime.start(seed=0)


def test_instruction_sets_are_named_as_the_processor_names_them() -> None:
    found = runtime.instruction_sets()
    assert found == sorted(set(found))
    assert not any("_" in name for name in found)


@pytest.mark.slow
def test_training_imports_no_package_that_only_keras_asks_for() -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert told.split() == ["False", "False", "True"]  # and once started, whoever wants one imports it as ever


SCRIPT = """
import sys
from stages import runtime, train
runtime.start(seed=0)
print("sklearn" in sys.modules, "matplotlib" in sys.modules)
import sklearn.metrics
print("sklearn" in sys.modules)
"""
