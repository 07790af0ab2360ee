import pytest

from bench import onednn
from bench.onednn import Primitive

HEAD = "onednn_verbose,v1,primitive,exec,cpu,"
CONVOLUTION = (
    HEAD + "convolution,jit:avx512_core,backward_weights,src:f32::blocked:acdb::f0 wei:f32:a:blocked:ABcd16b16a::f0,,"
    "alg:convolution_direct,mb100_ic32oc64_ih14oh14kh3sh1dh0ph1_iw14ow14kw3sw1dw0pw1,15.9109\n"
)


def test_a_convolution_is_told_by_shape_and_direction_with_its_products_counted_by_hand() -> None:
    assert onednn.parse(CONVOLUTION) == Primitive(
        "convolution 14x14x32 to 14x14x64, gradient of the weights", 15.9109, 2 * 100 * (14 * 14 * 64) * (3 * 3 * 32)
    )


@pytest.mark.parametrize(
    ("fields", "operations"),
    [
        ("inner_product,x64:gemm:jit,forward_training,src:f32,attr-scratchpad:user,,mb100ic576oc128", 100 * 576 * 128),
        ("gemm_api,,undef,src_f32::blocked:ba:f0,,,576x100:100x128", 576 * 100 * 128),
        ("matmul,brg_matmul:avx512_core_bf16,undef,src:bf16,,,64x100:100x10", 64 * 100 * 10),
    ],
)
def test_matrix_products_are_one_row_whatever_onednn_calls_them(fields: str, operations: int) -> None:
    assert onednn.parse(f"{HEAD}{fields},0.5") == Primitive("matrix products", 0.5, 2 * operations)


def test_what_is_not_a_product_counts_no_operations() -> None:
    pooling = "pooling,jit:avx512_core,backward_data,src:f32,,alg:pooling_max,mb100ic64_ih7oh3kh2sh2dh0ph0_iw7ow3,0.25"
    reorder = "reorder,jit:uni,undef,src:f32 dst:f32,,,64x32x3x3,0.125"
    assert onednn.parse(HEAD + pooling) == Primitive("pooling, gradient of the input", 0.25, 0)
    assert onednn.parse(HEAD + reorder) == Primitive("reorder", 0.125, 0)


def test_a_version_with_fewer_fields_before_exec_is_read_too() -> None:
    assert onednn.parse(CONVOLUTION.replace("v1,primitive,", "")) == onednn.parse(CONVOLUTION)


@pytest.mark.parametrize(
    "line",
    ["", "train: epoch 1 of 5", "onednn_verbose,v1,info,cpu,isa:Intel AVX-512", CONVOLUTION.replace("exec", "create")],
)
def test_other_lines_are_none_of_its_business(line: str) -> None:
    assert onednn.parse(line) is None


def test_executions_are_averaged_over_the_steps_and_the_longest_comes_first() -> None:
    executions = [Primitive("reorder", 1.0, 0), Primitive("matrix products", 3.0, 4_000_000)] * 2
    assert onednn.sum_by_name(executions, steps=2) == [
        Primitive("matrix products", 3.0, 4_000_000),
        Primitive("reorder", 1.0, 0),
    ]


def test_speed_is_operations_over_time() -> None:
    assert Primitive("matrix products", 2.0, 3_000_000_000).gflops == pytest.approx(1500)
