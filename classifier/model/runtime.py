"""Start TensorFlow and Keras so that one machine gives the same bits each time; user settings are overridden."""

import gc
import os
import platform
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, dropwhile
from typing import Any

# Environment variables whose names begin with these are removed: many change the arithmetic or stop training early, and
# Git does not record them. The names are in Keras's sources and in TensorFlow's shared libraries.
REMOVED = (
    *("KERAS_", "TF_", "TF2_", "TENSORFLOW_", "AUTOGRAPH_", "DTENSOR_", "MLIR_", "PJRT_", "TSL_", "XLA_"),
    *("ONEDNN_", "DNNL_", "_ONEDNN_", "_DNNL_", "MKLDNN_", "ZENDNN_", "MKL_", "OMP_", "KMP_"),
    *("CUDNN_", "CUBLAS_", "CUBLASLT_", "NCCL_", "NVIDIA_TF32_OVERRIDE", "DISABLE_LLVM_OPT", "DISABLE_PTXAS_OPT"),
)

# Except these, which only set what is logged and how GPU memory is allocated, and the limit of `kernels`.
KEPT = ("ONEDNN_VERBOSE", "TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")
LIMIT = "ONEDNN_MAX_CPU_ISA"

# The levels of oneDNN 3.7, the highest first, and the instruction sets that each needs, as Linux names them.
# Source: "CPU Dispatcher Control" in oneDNN's developer guide, and cpu_isa_traits.hpp in its sources.
_AVX512_CORE = ("avx512f", "avx512bw", "avx512vl", "avx512dq")
_AVX512_CORE_BF16 = (*_AVX512_CORE, "avx512vnni", "avx512bf16")
_AVX512_CORE_FP16 = (*_AVX512_CORE_BF16, "avx512fp16", "avxvnni")
_AVX512_CORE_AMX = (*_AVX512_CORE_FP16, "amxtile", "amxint8", "amxbf16")
LEVELS = {
    "avx512_core_amx_fp16": (*_AVX512_CORE_AMX, "amxfp16"),
    "avx512_core_amx": _AVX512_CORE_AMX,
    "avx512_core_fp16": _AVX512_CORE_FP16,
    "avx512_core_bf16": _AVX512_CORE_BF16,
    "avx512_core_vnni": (*_AVX512_CORE, "avx512vnni"),
    "avx512_core": _AVX512_CORE,
    "avx2_vnni_2": ("avx2", "avxvnni", "avxvnniint8", "avxneconvert"),
    "avx2_vnni": ("avx2", "avxvnni"),
    "avx2": ("avx2",),
    "avx": ("avx",),
    "sse41": ("sse41",),
    "sve": ("sve",),
    "asimd": ("asimd",),
}


def start(seed: int, precision: str = "float32") -> None:
    """Import TensorFlow with a thread for each processor, oneDNN and deterministic kernels, and set all seeds.

    This takes seconds, so a stage calls it after it has checked its parameters and inputs.

    Args:
        precision: float32; mixed_bfloat16, which computes in bfloat16 and stores the weights in float32; or auto, which
            is mixed_bfloat16 if the hardware has bfloat16, else float32, because emulation is slow.

    Raises:
        ValueError: oneDNN has no kernels for bfloat16 within the limit that the user sets.
    """
    limit = {LIMIT: os.environ[LIMIT]} if os.environ.get(LIMIT, "").lower() in LEVELS else {}
    if limit and precision == "mixed_bfloat16" and "avx512f" not in LEVELS[limit[LIMIT].lower()]:
        raise ValueError(f"bfloat16 needs more than {LIMIT}={limit[LIMIT]}: set train.precision to auto or float32")
    for name in [name for name in os.environ if name.startswith(REMOVED) and name not in KEPT]:
        del os.environ[name]
    os.environ |= limit
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}
    os.environ["KERAS_HOME"] = os.devnull  # no folder, so Keras does not read the user's keras.json
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    with signs_of_life(), _quickly():
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")

    if precision == "auto":
        details = map(tf.config.experimental.get_device_details, gpus)
        capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]  # NVIDIA's alone have one
        precision = "mixed_bfloat16" if has_bfloat16(kernels(), capabilities) else "float32"
    keras.config.set_dtype_policy(precision)
    tf.config.threading.set_intra_op_parallelism_threads(threads())
    tf.config.threading.set_inter_op_parallelism_threads(threads())
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)  # a GPU would compute with fewer bits
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # without it, one training takes all memory of the GPU
    keras.utils.set_random_seed(seed)


@contextmanager
def signs_of_life(seconds: float = 3) -> Iterator[None]:
    """On a terminal, print a line after each `seconds` of the block: the first import compiles TensorFlow, for 10 s."""
    ended = threading.Event()

    def print_seconds() -> None:
        for passed in count(1):
            if ended.wait(seconds):
                return
            print(f"TensorFlow starts, {passed * seconds} s", flush=True)

    if sys.stdout.isatty():
        threading.Thread(target=print_seconds).start()
    try:
        yield
    finally:
        ended.set()


@contextmanager
def _quickly() -> Iterator[None]:
    """Import TensorFlow and Keras in the block without the parts that take time or print.

    Keras 3.15 imports matplotlib, pandas and sklearn for functions that no stage uses (1.3 s), garbage collection goes
    through all modules (1 s), and TensorFlow 2.21 writes at any log level that there is no GPU.
    """
    hidden = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None there is a ModuleNotFoundError
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
        for name in hidden:
            del sys.modules[name]


def has_bfloat16(cpu: str, gpus: Sequence[tuple[int, int]]) -> bool:
    """Return whether all GPUs have bfloat16, from CUDA's compute capability 8.0 on, or without GPUs the processor."""
    return all(gpu >= (8, 0) for gpu in gpus) if gpus else "avx512bf16" in LEVELS.get(cpu, ())


def kernels() -> str:
    """Return the level of the kernels that oneDNN uses here: ONEDNN_MAX_CPU_ISA, say AVX2, is the highest it may be.

    So one machine can give the bytes of another. NumPy's and ONNX Runtime's kernels have no such limit.
    """
    from archspec.cpu.detect import detected_info

    return level(detected_info().features, os.environ.get(LIMIT, "").lower())


def level(flags: Iterable[str], highest: str = "") -> str:
    """Return the level of oneDNN on a processor with these instruction sets, up to `highest` if that is one, or "none".

    NumPy's sin and cos depend on the same instruction sets as avx2 and avx512_core, and the kernels of Eigen on none:
    TensorFlow's x86 wheel is built for AVX. The sizes of caches matter too, but are not part of the level.
    """
    available = {flag.replace("_", "") for flag in flags}  # archspec writes avx512_bf16 for avx512bf16
    allowed = dropwhile(lambda name: name != highest, LEVELS) if highest in LEVELS else LEVELS
    return next((name for name in allowed if available.issuperset(LEVELS[name])), "none")


def threads() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Return what else the weights depend on; `git diff` then shows why two machines give other weights."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "versions": {"numpy": np.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "platform": f"{sys.platform} {platform.machine()}",
        "kernels": kernels(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "threads": threads(),
        "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1",
        "precision": keras.config.dtype_policy().name,
    }
