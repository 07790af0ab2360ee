"""The lines that oneDNN prints under ONEDNN_VERBOSE=1: which primitive ran, how long, and how much arithmetic that is.

    onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_training,src:f32::blocked:acdb::f0
    wei:...,attr-scratchpad:user,alg:convolution_direct,mb100_ic32oc64_ih14oh14kh3sh1dh0ph1_iw14ow14kw3sw1dw0pw1,6.69

See "Verbose mode" in oneDNN's developer guide for the fields.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SIZES = re.compile(r"(mb|ic|oc|ih|iw|oh|ow|kh|kw)(\d+)")  # of a problem with images or channels
MATRICES = re.compile(r"(\d+)x(\d+):\d+x(\d+)")  # m x k times k x n
MATRIX_PRODUCTS = ("inner_product", "matmul", "gemm_api")  # dense layers and their gradients


@dataclass(frozen=True)
class Primitive:
    """A primitive's share of a step: milliseconds, and floating-point operations where it is made of products."""

    name: str
    milliseconds: float
    operations: int

    @property
    def gflops(self) -> float:
        """1e9 floating-point operations a second."""
        return self.operations / self.milliseconds / 1e6


def parse(line: str) -> Primitive | None:
    """Return what one line tells of an execution, or None where it tells of anything else."""
    fields = line.strip().split(",")
    if fields[0] != "onednn_verbose" or "exec" not in fields:
        return None
    # Versions differ in what comes before `exec`; after it come engine, kind, kernel and direction.
    at = fields.index("exec")
    kind, direction, problem, milliseconds = fields[at + 2], fields[at + 4], fields[-2], float(fields[-1])
    if kind == "convolution":
        size = {name: int(number) for name, number in SIZES.findall(problem)}
        shape = f"{size['ih']}x{size['iw']}x{size['ic']} to {size['oh']}x{size['ow']}x{size['oc']}"
        return Primitive(f"convolution {shape}, {_plain(direction)}", milliseconds, convolution_operations(size))
    if kind == "pooling":
        return Primitive(f"pooling, {_plain(direction)}", milliseconds, 0)
    if kind in MATRIX_PRODUCTS:
        return Primitive("matrix products", milliseconds, product_operations(problem))
    return Primitive(kind, milliseconds, 0)


def convolution_operations(size: dict[str, int]) -> int:
    """Return a multiplication and an addition for each product of a convolution, as wide as its padding makes it.

    Either gradient, that of the input and that of the weights, takes as many as the convolution itself.
    """
    products = size["mb"] * size["oc"] * size["oh"] * size["ow"] * size["ic"] * size["kh"] * size["kw"]
    return 2 * products


def product_operations(problem: str) -> int:
    """Return those of a dense layer (`mb100ic576oc128`) or of two matrices (`100x64:64x128`)."""
    if matrices := MATRICES.fullmatch(problem):
        rows, inner, columns = map(int, matrices.groups())
        return 2 * rows * inner * columns
    size = {name: int(number) for name, number in SIZES.findall(problem)}
    return 2 * size["mb"] * size["ic"] * size["oc"]


def sum_by_name(executions: Iterable[Primitive], steps: int) -> list[Primitive]:
    """Return one primitive a name, averaged over `steps` steps, the longest first."""
    sums: dict[str, Primitive] = {}
    for each in executions:
        other = sums.get(each.name, Primitive(each.name, 0.0, 0))
        sums[each.name] = Primitive(
            each.name, other.milliseconds + each.milliseconds, other.operations + each.operations
        )
    averages = (Primitive(each.name, each.milliseconds / steps, each.operations // steps) for each in sums.values())
    return sorted(averages, key=lambda each: -each.milliseconds)


def _plain(direction: str) -> str:
    """Say in words what oneDNN calls a direction."""
    return {
        "forward_training": "forward",
        "backward_data": "gradient of the input",
        "backward_weights": "gradient of the weights",
    }.get(direction, direction)
