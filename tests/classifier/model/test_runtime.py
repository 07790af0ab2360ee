import ast
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from classifier import command
from classifier.model import runtime
from tests.conftest import REPOSITORY

ZEN_4 = {"sse4_1", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512_bf16"}


@pytest.mark.parametrize(
    ("cpu", "gpus", "expected"),
    [
        ("avx512_core_bf16", [], True),
        ("avx512_core_amx", [], True),
        ("avx512_core_vnni", [], False),
        ("avx2_vnni_2", [], False),
        ("none", [], False),
        ("sve", [], False),  # ARM: it is unknown whether TensorFlow's kernels for bfloat16 are fast
        ("avx2", [(8, 0)], True),
        ("avx512_core_bf16", [(7, 5)], False),
        ("avx512_core_bf16", [(9, 0), (7, 5)], False),
    ],
)
def test_bfloat16_is_used_only_if_the_hardware_has_it(cpu: str, gpus: list[tuple[int, int]], expected: bool) -> None:
    assert runtime.has_bfloat16(cpu, gpus) is expected


@pytest.mark.parametrize(("hardware", "expected"), [(ZEN_4, "mixed_bfloat16"), ({"avx2"}, "float32")])
def test_auto_is_bfloat16_only_if_the_hardware_has_it(
    keras: ModuleType, monkeypatch: pytest.MonkeyPatch, hardware: set[str], expected: str
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(runtime, "instruction_sets", lambda: hardware)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [])
    try:
        runtime.start(seed=0, precision="auto")
        assert runtime.describe()["precision"] == expected
    finally:
        runtime.start(seed=0)


def test_there_is_one_thread_for_each_processor_and_kernels_are_deterministic(keras: ModuleType) -> None:
    import tensorflow as tf
    from tensorflow.python.framework import config

    assert tf.config.threading.get_intra_op_parallelism_threads() == runtime.threads()
    assert tf.config.threading.get_inter_op_parallelism_threads() == runtime.threads()
    assert runtime.threads() == len(os.sched_getaffinity(0))
    assert config.is_op_determinism_enabled()


def test_on_a_gpu_float32_is_not_shortened_and_memory_is_taken_as_needed(
    keras: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stand-ins for the devices: this says what is asked of TensorFlow, not what a GPU does."""
    import tensorflow as tf

    grown: list[tuple[str, bool]] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: ["gpu 0", "gpu 1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *asked: grown.append(asked))
    tf.config.experimental.enable_tensor_float_32_execution(True)
    runtime.start(seed=0)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert grown == [("gpu 0", True), ("gpu 1", True)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (set(), "none"),
        ({"sse4_1"}, "sse41"),
        ({"sse4_1", "avx", "avx2", "fma"}, "avx2"),
        ({"avx2", "avx_vnni"}, "avx2_vnni"),
        (ZEN_4 - {"avx512_bf16", "avx512_vnni"}, "avx512_core"),
        (ZEN_4 - {"avx512dq"}, "avx2"),
        (ZEN_4 - {"avx512_bf16"}, "avx512_core_vnni"),
        (ZEN_4, "avx512_core_bf16"),
        (ZEN_4 | {"avx512_fp16", "avx_vnni"}, "avx512_core_fp16"),
        (ZEN_4 | {"avx512_fp16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}, "avx512_core_amx"),
        ({"fp", "asimd"}, "asimd"),
        ({"fp", "asimd", "sve"}, "sve"),
    ],
)
def test_the_level_is_the_highest_whose_instruction_sets_the_processor_has(flags: set[str], expected: str) -> None:
    assert runtime.level(flags) == expected


def test_the_record_of_the_environment_has_the_level_and_not_the_instruction_sets(
    keras: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def described(flags: set[str]) -> dict[str, Any]:
        monkeypatch.setattr(runtime, "instruction_sets", lambda: flags)
        return runtime.describe()

    zen_4 = described(ZEN_4)
    assert zen_4["kernels"] == "avx512_core_bf16"
    assert described(ZEN_4 | {"avx512_vp2intersect", "avx_vnni"}) == zen_4
    assert described(ZEN_4 - {"avx512_bf16"}) != zen_4


# What oneDNN prints, and the level; from the strings of TensorFlow 2.21's shared library.
PRINTED = {
    "Intel 64": "none",
    "Intel SSE4.1": "sse41",
    "Intel AVX": "avx",
    "Intel AVX2": "avx2",
    "Intel AVX2 with Intel DL Boost": "avx2_vnni",
    "Intel AVX2 with Intel DL Boost, float16 and bfloat16 support": "avx2_vnni_2",
    "Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions": "avx512_core",
    "Intel AVX-512 with Intel DL Boost": "avx512_core_vnni",
    "Intel AVX-512 with Intel DL Boost and bfloat16 support": "avx512_core_bf16",
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support": "avx512_core_fp16",
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support "
    "and Intel AMX with bfloat16 and 8-bit integer support": "avx512_core_amx",
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support "
    "and Intel AMX with bfloat16, float16 and 8-bit integer support": "avx512_core_amx_fp16",
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of SCRIPT when the environment and keras.json of the user have other settings."""
    home = tmp_path_factory.mktemp("home")
    (home / ".keras").mkdir()
    (home / ".keras/keras.json").write_text(json.dumps(KERAS_JSON))
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *(f"{name}={value}" for name, value in OTHER_SETTINGS.items())],
        cwd=REPOSITORY,
        env=os.environ | OTHER_SETTINGS | {"HOME": str(home), "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


KERAS_JSON = {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}

OTHER_SETTINGS = {
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
    "TF2_BEHAVIOR": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
}


@pytest.mark.slow
def test_keras_starts_with_its_defaults_whatever_the_settings_of_the_user(started: str) -> None:
    found = json.loads(next(line for line in started.splitlines() if line.startswith("{")))
    assert found == {
        "floatx": "float32",
        "epsilon": 1e-7,
        "image_data_format": "channels_last",
        "backend": "tensorflow",
        "max_epochs": None,
        "max_steps_per_epoch": None,
        "left": [],
    }


@pytest.mark.slow
def test_the_level_is_that_which_onednn_reports(started: str) -> None:
    found = re.search(r"onednn_verbose,.*cpu,isa:(.*)", started)
    if platform.machine() != "x86_64":
        pytest.skip("PRINTED has only the names of x86 processors")
    assert found
    assert PRINTED[found[1].strip()] == runtime.level(runtime.instruction_sets())


# Variables that Keras and NumPy read and that may stay, with the reason.
HARMLESS = {
    "PYCHARM_HOSTED": "how the progress bar is drawn",
    "NPY_PROMOTION_STATE": "ignored since NumPy 2.2, with a warning",
    "NUMPY_MADVISE_HUGEPAGE": "how memory is mapped",
    "PROCESSOR_ARCHITECTURE": "the text of docstrings on Windows",
    "PROCESSOR_ARCHITEW6432": "the text of docstrings on Windows",
    "numpy/_core/__init__.py: envkey": "OPENBLAS_MAIN_FREE and GOTOBLAS_MAIN_FREE: whether threads stay on a processor",
    "numpy/testing/_private/utils.py: env_var": "how much memory NumPy's own tests may take",
}


@pytest.mark.parametrize("package", ["keras", "numpy"])
def test_each_variable_that_the_installed_package_reads_is_removed_refused_or_harmless(package: str) -> None:
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    names = set(variables_read(Path(found.origin).parent))
    assert len(names) > 2
    remaining = {each for each in names if not each.startswith(runtime.REMOVED) or each in runtime.KEPT}
    assert remaining - {*command.REFUSED, *runtime.KEPT} <= set(HARMLESS)


def test_each_way_to_read_a_variable_is_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "import os\n"
        "os.environ['A'], os.environ.get('B'), os.getenv('C', '0'), 'D' in os.environ, os.environ.pop('E')\n"
        "os.environ['F'] = '1'\n"
        "os.getenv(name)\n"
    )
    folder = tmp_path.name
    assert sorted(variables_read(tmp_path)) == ["A", "B", "C", "D", "E", f"{folder}/module.py: name"]


def variables_read(folder: Path) -> Iterator[str]:
    """Yield each environment variable that the modules of a package read, or the file and the expression of its name.

    Tests and modules that build other packages are left out.
    """
    for path in folder.rglob("*.py"):
        relative = path.relative_to(folder.parent)
        if {"tests", "distutils", "f2py"} & set(relative.parts) or re.search(r"_test\.py$|^conftest\.py$", path.name):
            continue
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if re.search("environ|getenv", text) else ():
            match node:
                case ast.Subscript(value=ast.Attribute(attr="environ"), slice=key, ctx=ast.Load()):
                    pass
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ")), args=[key, *_]):
                    pass
                case ast.Call(func=ast.Attribute(attr="getenv"), args=[key, *_]):
                    pass
                case ast.Compare(left=key, comparators=[ast.Attribute(attr="environ")]):
                    pass
                case _:
                    continue
            yield str(key.value) if isinstance(key, ast.Constant) else f"{relative.as_posix()}: {ast.unparse(key)}"


@pytest.mark.slow
def test_training_does_not_import_packages_that_only_keras_asks_for(started: str) -> None:
    lines = [line for line in started.splitlines() if line.startswith("imported:")]
    # After the start, other code can import them.
    assert lines == ["imported: False False", "imported: True"]


SCRIPT = """
import json
import os
import sys
from classifier.model import runtime
from stages import train
runtime.start(seed=0)
print("imported:", "sklearn" in sys.modules, "matplotlib" in sys.modules)
import sklearn.metrics
print("imported:", "sklearn" in sys.modules)
import keras
import tensorflow as tf
names = ("floatx", "epsilon", "image_data_format", "backend", "max_epochs", "max_steps_per_epoch")
left = [setting for setting in sys.argv[1:] if setting in {f"{name}={value}" for name, value in os.environ.items()}]
print(json.dumps({name: getattr(keras.config, name)() for name in names} | {"left": left}))
tf.matmul(tf.ones((64, 64)), tf.ones((64, 64)))
"""
