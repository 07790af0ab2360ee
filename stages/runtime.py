"""TensorFlow and Keras, pinned so that one machine gives the same bits twice, whatever its user's settings."""

import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Settings of the user's that would change the arithmetic or its order without a trace in Git.
UNSET = ("ONEDNN_", "DNNL_", "TF_XLA_FLAGS", "XLA_FLAGS", "TF_NUM_", "OMP_", "NVIDIA_TF32_OVERRIDE")

# The instruction sets among which TensorFlow, oneDNN and Eigen choose their kernels.
KERNEL_FLAGS = ("sse4_", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")

PRECISIONS = ("float32", "mixed_bfloat16", "auto")


def start(seed: int, precision: str = "float32") -> None:
    """Import TensorFlow with one thread a processor, oneDNN on, deterministic kernels, and seed everything.

    It takes seconds, so a stage calls it once its parameters and inputs are found good.

    Args:
        precision: one of PRECISIONS. mixed_bfloat16 computes in bfloat16 and keeps the weights in float32; auto is that
            where the hardware has bfloat16, and float32 where it would have to be emulated, which is slow.
    """
    for name in [name for name in os.environ if name.startswith(UNSET)]:
        del os.environ[name]
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    with _chatter_withheld(), _hidden("matplotlib", "pandas", "sklearn"), _never_garbage():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()

    # ~/.keras/keras.json may say otherwise.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    if precision == "auto":
        precision = "mixed_bfloat16" if has_bfloat16(instruction_sets(), _compute_capabilities()) else "float32"
    keras.config.set_dtype_policy(precision)
    tf.config.threading.set_intra_op_parallelism_threads(threads())
    tf.config.threading.set_inter_op_parallelism_threads(threads())
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def has_bfloat16(cpu: Sequence[str], gpus: Sequence[tuple[int, int]]) -> bool:
    """Whether what computes here has bfloat16 in hardware: every GPU, or where there is none the processor.

    Args:
        cpu: instruction sets. gpus: the CUDA compute capability of each; bfloat16 came with 8.0 (NVIDIA, CUDA C++
            Programming Guide, "Arithmetic Instructions").
    """
    if gpus:
        return all(capability >= (8, 0) for capability in gpus)
    return "avx512bf16" in cpu or "amxbf16" in cpu


def instruction_sets() -> list[str]:
    """The processor's instruction sets among which kernels are chosen, sorted.

    Linux and the processor spell some of them differently, avx512_bf16 and avx512bf16: here they have no underscore.
    """
    from archspec.cpu.detect import detected_info

    flags = detected_info().features
    return sorted({flag.replace("_", "") for flag in flags if flag.startswith(KERNEL_FLAGS)})


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
        "cpu_instruction_sets": instruction_sets(),
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
def _never_garbage() -> Iterator[None]:
    """Keep Python's garbage collector from what is there after the block.

    TensorFlow's modules live as long as the process. To look through them takes half a second while they are imported,
    and more than a second when the process ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _chatter_withheld() -> Iterator[None]:
    """Keep stderr for what a user must read: TensorFlow 2.21 tells of missing GPUs there at any log level.

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
