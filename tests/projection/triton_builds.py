"""Compiles every kernel for NVIDIA GPUs, which needs none: a script, prints the size of what it built as JSON."""

import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from bonectl.projection.triton import cone as triton_cone
from bonectl.projection.triton import fsp as triton_fsp
from bonectl.projection.triton import joseph as triton_joseph

# Compute capabilities 8.0 (A100) and 9.0 (H100).
CAPABILITIES = (80, 90)
FLOATS, DOUBLES, WHOLE, LONG = "*fp32", "*fp64", "*i32", "*i64"
POINTERS = {
    "starts": DOUBLES,
    "slopes": DOUBLES,
    "sources": DOUBLES,
    "rises": DOUBLES,
    "ends": DOUBLES,
    "seen": DOUBLES,
    "turned": WHOLE,
    "order": LONG,
    "offsets": LONG,
    "first": LONG,
}
FLOAT_POINTERS = ("grid", "lines", "lengths", "across", "along", "result", "values")
CONSTANTS = {"WIDTH": 32, "TAPS": 5, "POINTS": 16}
KERNELS = (
    triton_joseph.walk,
    triton_joseph.collect,
    triton_cone.walk_cone,
    triton_cone.collect_cone,
    triton_fsp.gather_cells,
    triton_fsp.gather_points,
)


def kind(name):
    if name in CONSTANTS:
        return "constexpr"
    return FLOATS if name in FLOAT_POINTERS else POINTERS.get(name, "i32")


def main():
    built = {}
    for kernel in KERNELS:
        signature = {name: kind(name) for name in kernel.arg_names}
        constants = {name: CONSTANTS[name] for name in signature if name in CONSTANTS}
        for capability in CAPABILITIES:
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
            done = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 1})
            built[f"{kernel.__name__} {capability}"] = len(done.asm["cubin"])
    sys.stdout.write(json.dumps(built))


if __name__ == "__main__":
    main()
