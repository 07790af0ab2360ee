import io
import os
import sys
import time
from types import SimpleNamespace

import pytest

from classifier.model import runtime

ZEN_4 = {"sse4_1", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512_bf16"}


def test_where_there_are_gpus_they_decide_on_bfloat16():
    assert runtime.has_bfloat16("avx2", [(8, 0)])
    assert not runtime.has_bfloat16("avx512_core_bf16", [(9, 0), (7, 5)])
    assert not runtime.has_bfloat16("sve", [])  # ARM: it is unknown whether TensorFlow's kernels for bfloat16 are fast


@pytest.mark.parametrize(
    ("hardware", "limit", "expected"),
    [
        (ZEN_4, "", ("avx512_core_bf16", "mixed_bfloat16")),
        ({"avx2"}, "", ("avx2", "float32")),
        (ZEN_4, "AVX2", ("avx2", "float32")),
        (ZEN_4, "AVX3", ("avx512_core_bf16", "mixed_bfloat16")),  # oneDNN knows no such level
    ],
)
def test_auto_is_bfloat16_only_if_the_hardware_has_it_within_the_limit(keras, monkeypatch, hardware, limit, expected):
    import tensorflow as tf

    monkeypatch.setattr("archspec.cpu.detect.detected_info", lambda: SimpleNamespace(features=hardware))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [])
    try:
        runtime.start(seed=0, precision="auto")
        assert (runtime.describe()["kernels"], runtime.describe()["precision"]) == expected
    finally:
        monkeypatch.undo()
        runtime.start(seed=0)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_start_that_takes_long_gives_signs_of_life_on_a_terminal(monkeypatch, is_terminal):
    stdout = io.StringIO()
    monkeypatch.setattr(stdout, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", stdout)
    with runtime.signs_of_life(0.01):
        time.sleep(0.1)
        while is_terminal and stdout.getvalue().count("\n") < 2:
            time.sleep(0.01)
    said = stdout.getvalue().splitlines()[:2]
    assert said == ["TensorFlow starts, 0.01 s", "TensorFlow starts, 0.02 s"] * is_terminal


def test_bfloat16_within_a_limit_without_it_is_refused_and_the_line_names_what_to_set(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    with pytest.raises(ValueError, match=r"ONEDNN_MAX_CPU_ISA=AVX2: set train\.precision to auto or float32"):
        runtime.start(seed=0, precision="mixed_bfloat16")


def test_there_is_one_thread_for_each_processor_and_kernels_are_deterministic(keras):
    import tensorflow as tf
    from tensorflow.python.framework import config

    assert tf.config.threading.get_intra_op_parallelism_threads() == runtime.threads()
    assert tf.config.threading.get_inter_op_parallelism_threads() == runtime.threads()
    assert runtime.threads() == len(os.sched_getaffinity(0))
    assert config.is_op_determinism_enabled()


def test_on_a_gpu_float32_is_not_shortened_and_memory_is_taken_as_needed(keras, monkeypatch):
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
        ({"sse4_1", "avx", "avx2", "fma"}, "avx2"),
        (ZEN_4 - {"avx512dq"}, "avx2"),
        (ZEN_4 - {"avx512_bf16"}, "avx512_core_vnni"),
        (ZEN_4, "avx512_core_bf16"),
        (ZEN_4 | {"avx512_fp16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}, "avx512_core_amx"),
        ({"fp", "asimd", "sve"}, "sve"),
    ],
)
def test_the_level_is_the_highest_whose_instruction_sets_the_processor_has(flags, expected):
    assert runtime.level(flags) == expected
