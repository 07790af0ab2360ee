"""Start TensorFlow and Keras so that one machine repeats its results to the bit; user settings are overridden."""

import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Environment variables whose names begin with these are removed: many change the arithmetic or its order, or cut
# training short, without a trace in Git. Keras's sources and the strings of TensorFlow's shared libraries name them.
REMOVED = (
    *("KERAS_", "TF_", "TF2_", "TENSORFLOW_", "AUTOGRAPH_", "DTENSOR_", "MLIR_", "PJRT_", "TSL_", "XLA_"),
    *("ONEDNN_", "DNNL_", "_ONEDNN_", "_DNNL_", "MKLDNN_", "ZENDNN_", "MKL_", "OMP_", "KMP_"),
    *("CUDNN_", "CUBLAS_", "CUBLASLT_", "NCCL_", "NVIDIA_TF32_OVERRIDE", "DISABLE_LLVM_OPT", "DISABLE_PTXAS_OPT"),
)

# Except these, which only say what is logged and how GPU memory is allocated.
KEPT = ("ONEDNN_VERBOSE", "TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")

# The levels of oneDNN 3.7, the highest first, and the instruction sets that each needs ("CPU Dispatcher Control" in its
# developer guide, and cpu_isa_traits.hpp in its sources), as archspec names them.
_AVX512_CORE = ("avx512f", "avx512bw", "avx512vl", "avx512dq")
_AVX512_CORE_BF16 = (*_AVX512_CORE, "avx512_vnni", "avx512_bf16")
_AVX512_CORE_FP16 = (*_AVX512_CORE_BF16, "avx512_fp16", "avx_vnni")
_AVX512_CORE_AMX = (*_AVX512_CORE_FP16, "amx_tile", "amx_int8", "amx_bf16")
LEVELS = {
    "avx512_core_amx_fp16": (*_AVX512_CORE_AMX, "amx_fp16"),
    "avx512_core_amx": _AVX512_CORE_AMX,
    "avx512_core_fp16": _AVX512_CORE_FP16,
    "avx512_core_bf16": _AVX512_CORE_BF16,
    "avx512_core_vnni": (*_AVX512_CORE, "avx512_vnni"),
    "avx512_core": _AVX512_CORE,
    "avx2_vnni_2": ("avx2", "avx_vnni", "avx_vnni_int8", "avx_ne_convert"),
    "avx2_vnni": ("avx2", "avx_vnni"),
    "avx2": ("avx2",),
    "avx": ("avx",),
    "sse41": ("sse4_1",),
    "sve": ("sve",),
    "asimd": ("asimd",),
}

PRECISIONS = ("float32", "mixed_bfloat16", "auto")


def start(seed: int, precision: str = "float32") -> None:
    """Import TensorFlow with one thread a processor, oneDNN on, deterministic kernels, and seed everything.

    It takes seconds, so a stage calls it after it has checked its parameters and inputs.

    Args:
        precision: one of PRECISIONS. mixed_bfloat16 computes in bfloat16 and keeps the weights in float32; auto is that
            where the hardware has bfloat16, and float32 where it would have to be emulated, which is slow.
    """
    for name in [name for name in os.environ if name.startswith(REMOVED) and name not in KEPT]:
        del os.environ[name]
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    with _chatter_withheld(), _hidden("matplotlib", "pandas", "sklearn"), _never_garbage(), _no_keras_json():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()

    if precision == "auto":
        precision = "mixed_bfloat16" if has_bfloat16(level(instruction_sets()), _compute_capabilities()) else "float32"
    keras.config.set_dtype_policy(precision)
    tf.config.threading.set_intra_op_parallelism_threads(threads())
    tf.config.threading.set_inter_op_parallelism_threads(threads())
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def has_bfloat16(cpu: str, gpus: Sequence[tuple[int, int]]) -> bool:
    """Whether what computes here has bfloat16 in hardware: every GPU, or where there is none the processor.

    Args:
        cpu: see `level`. gpus: the CUDA compute capability of each; bfloat16 came with 8.0 (NVIDIA, CUDA C++
            Programming Guide, "Arithmetic Instructions").
    """
    if gpus:
        return all(capability >= (8, 0) for capability in gpus)
    return "avx512_bf16" in LEVELS.get(cpu, ())


def instruction_sets() -> frozenset[str]:
    """The processor's instruction sets, as archspec names them."""
    from archspec.cpu.detect import detected_info

    return frozenset(detected_info().features)


def level(flags: Iterable[str]) -> str:
    """The level that oneDNN dispatches to on a processor with these instruction sets; "none" where it is below all.

    Linux and archspec spell some of them differently, avx512bf16 and avx512_bf16: the underscore does not count.

    NumPy's sin and cos follow from it, since their kernels for AVX2 and AVX-512 need what avx2 and avx512_core need.
    Eigen's kernels do not depend on the processor: TensorFlow's x86 wheel is compiled for AVX, and for products of
    matrices it calls oneDNN. The sizes of caches, by which both divide their work, are not part of it.
    """
    found = {_joined(flag) for flag in flags}
    return next((name for name, needed in LEVELS.items() if found.issuperset(map(_joined, needed))), "none")


def _joined(flag: str) -> str:
    return flag.replace("_", "")


def threads() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """What the weights depend on beyond code, parameters and data, so that `git diff` tells why two machines differ."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "versions": {
            "numpy": np.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "platform": f"{sys.platform} {platform.machine()}",
        "kernels": level(instruction_sets()),
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "threads": threads(),
        "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1",
        "precision": keras.config.dtype_policy().name,
    }


def _compute_capabilities() -> list[tuple[int, int]]:
    """Of each GPU; one that has none, made by another than NVIDIA, counts as (0, 0)."""
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [each.get("compute_capability", (0, 0)) for each in details]


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let the block's imports find none of these packages, unless they are imported already.

    Keras 3.15 imports them where they are installed, for parts of it that no stage uses: they take a second and 80 MB.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None there is a ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _no_keras_json() -> Iterator[None]:
    """Let Keras, imported in the block, find no keras.json of the user's: it reads that of the folder KERAS_HOME."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]


@contextmanager
def _never_garbage() -> Iterator[None]:
    """Keep Python's garbage collector from the objects that exist after the block.

    TensorFlow's modules live as long as the process. Collecting them takes half a second during the import, and more
    than a second when the process ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _chatter_withheld() -> Iterator[None]:
    """Withhold stderr during the block: TensorFlow 2.21 reports missing GPUs there at any log level.

    If the block raises, what was withheld is written after all.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as withheld:
        os.dup2(withheld.fileno(), 2)
        try:
            yield
        except BaseException:
            withheld.seek(0)
            os.write(stderr, withheld.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
