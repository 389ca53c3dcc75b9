"""The projectors on CUDA: time, share of the memory-bandwidth limit, and against ASTRA's CUDA projectors.

    python bench/gpu.py [--rounds N] [--small]

Each row is the least of some rounds by CUDA's own clock, for the whole stack. The limit is the time to read the
argument and write the result once, at the bandwidth of a copy measured here: no projector can be faster. Without a
GPU it says so and ends well.
"""

import argparse
import importlib.metadata
from collections.abc import Callable

import torch
from torch import Tensor

from bonectl.core.geometry import Geometry
from bonectl.errors import UnavailableError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection.astra_gpu import library
from bonectl.projection.projector import Projector

VOXEL = 0.01  # mm
AWAY = {"sod": 50.0, "sdd": 100.0}
# Values that are copied to measure bandwidth.
COPIED = 1 << 26


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--small", action="store_true", help="sizes for a first look")
    chosen = options.parse_args()
    if not torch.cuda.is_available():
        print("bench/gpu.py: torch sees no CUDA device; nothing is measured")
        return
    packages = ("bonectl", "torch", "astra-toolbox")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    values = torch.zeros(COPIED, device="cuda")
    copied = torch.empty_like(values)
    bandwidth = 8 * COPIED / least(lambda: copied.copy_(values), chosen.rounds)
    print(f"{torch.cuda.get_device_name()}, copy {bandwidth / 1e9:.0f} GB/s\n")
    print("| geometry | what | ms | share of the bandwidth limit | ASTRA CUDA ms | ratio |")
    print("|---|---|---|---|---|---|")
    for name, geometry in geometries(small=chosen.small).items():
        measure(name, geometry, chosen.rounds, bandwidth)


def geometries(*, small: bool) -> dict[str, Geometry]:
    """What is measured."""
    size, views, slices, depth = (64, 96, 8, 32) if small else (512, 768, 32, 256)
    return {
        f"parallel {size}², {views}, {slices}": parallel(size, slices, VOXEL, views=views),
        f"fan {size}², {views}, {slices}": fan(size, slices, VOXEL, views=views, **AWAY),
        f"cone {depth}³, {views // 2}": cone(depth, depth, VOXEL, views=views // 2, **AWAY),
    }


def measure(name: str, geometry: Geometry, rounds: int, bandwidth: float) -> None:
    """Print the rows of a geometry."""
    x = torch.rand(geometry.volume_shape, device="cuda")
    y = Projector(geometry)(x)
    models = ("strip", "bandlimited", "joseph") if geometry.kind == "parallel" else ("joseph",)
    peers = peer(geometry, x, y, rounds)
    for model in models:
        A = Projector(geometry, model=model)
        tell(name, f"{model} FP", least(lambda A=A: A(x), rounds), x, y, bandwidth, peers.get("FP"))
        tell(name, f"{model} transpose", least(lambda A=A: A.T(y), rounds), x, y, bandwidth, peers.get("BP"))
    A, method = Projector(geometry), fbp if geometry.kind == "parallel" else fdk
    tell(name, method.__name__, least(lambda: method(A, y), rounds), x, y, bandwidth, None)


def peer(geometry: Geometry, x: Tensor, y: Tensor, rounds: int) -> dict[str, float]:
    """ASTRA's times [s]; none where it does not load."""
    try:
        library()
    except UnavailableError as error:
        print(f"(no peer: {error})")
        return {}
    B = Projector(geometry, backend="astra")
    return {"FP": least(lambda: B(x), rounds), "BP": least(lambda: B.T(y), rounds)}


def least(call: Callable[[], object], rounds: int) -> float:
    """The least time of a call on the GPU [s], after one that compiles."""
    call()
    times = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return min(times)


def tell(name: str, what: str, time: float, x: Tensor, y: Tensor, bandwidth: float, other: float | None) -> None:
    """Print a row."""
    limit = 4 * (x.numel() + y.numel()) / bandwidth
    versus = "| |" if other is None else f"| {other * 1e3:.2f} | {other / time:.1f} |"
    print(f"| {name} | {what} | {time * 1e3:.2f} | {limit / time:.1%} {versus}", flush=True)


if __name__ == "__main__":
    main()
