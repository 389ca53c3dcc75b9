"""The projectors on CUDA: time, share of the memory-bandwidth limit, and against ASTRA's CUDA projectors.

    python bench/gpu.py [--rounds N] [--small]

Each row is the least of some rounds by CUDA's own clock, for the whole stack. The limit is the time to read the
argument and write the result once, at the bandwidth of a copy measured here: no projector can be faster. Every row
looks at its result, against a closed form. Without a GPU it says so and ends well.
"""

import argparse
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from truth import Ball, Judge, apart, scan, solid

from bonectl.core.geometry import Geometry
from bonectl.errors import UnavailableError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection.astra.library import library
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
    print("| geometry | what | ms | error | share of the bandwidth limit | ASTRA CUDA ms | error | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    table = Rows(bandwidth, Judge())
    for name, geometry in geometries(small=chosen.small).items():
        measure(name, geometry, chosen.rounds, table)
    table.judge.close()


def geometries(*, small: bool) -> dict[str, Geometry]:
    """What is measured."""
    size, views, slices, depth = (128, 192, 8, 96) if small else (512, 768, 32, 256)
    return {
        f"parallel {size}², {views}, {slices}": parallel(size, slices, VOXEL, views=views),
        f"fan {size}², {views}, {slices}": fan(size, slices, VOXEL, views=views, **AWAY),
        f"cone {depth}³, {views // 2}": cone(depth, depth, VOXEL, views=views // 2, **AWAY),
    }


class Scene:
    """A ball, or a cylinder along the axis, and its scan in closed form; and what a right result is."""

    def __init__(self, geometry: Geometry) -> None:
        side = geometry.size
        self.ball = Ball(0.1 * side, -0.06 * side, 0.2 * side, 2.0)
        volume, self.away = solid(geometry.volume_shape, self.ball, cylinder=geometry.kind != "cone")
        self.lines = scan(geometry if geometry.kind == "cone" else geometry.replace(rows=1), (self.ball,))
        self.lines = np.broadcast_to(self.lines, geometry.shape)
        self.x = torch.from_numpy(volume).cuda()
        self.y = torch.from_numpy(self.lines.copy()).cuda()
        self.product = float((self.y.double() ** 2).sum())

    def lines_off(self, made: Tensor) -> float:
        """Of a forward projection."""
        return apart(made.cpu().numpy(), self.lines)

    def back_off(self, made: Tensor) -> float:
        """Of a transpose, by its product with the volume."""
        return abs(float((made.double() * self.x.double()).sum()) / self.product - 1)

    def volume_off(self, made: Tensor) -> float:
        """Of a reconstruction, by the mean inside the ball."""
        return abs(float(made.cpu().numpy()[self.away < 0.6 * self.ball.radius].mean()) / self.ball.value - 1)


# Errors of right results.
LINES, BACK, INSIDE = 0.015, 0.002, 0.005
Timed = tuple[float, float]


@dataclass
class Rows:
    """The table, row by row."""

    bandwidth: float
    judge: Judge

    def tell(self, what: str, ours: Timed, moved: int, other: Timed | None, most: float) -> None:
        """Print a row: time and error of ours, and of the peer; `moved` bytes are read and written."""
        time, error = ours
        versus = "| | |"
        if other is not None:
            versus = f"| {other[0] * 1e3:.2f} | {self.judge(f'ASTRA {what}', other[1], most)} | {other[0] / time:.1f} |"
        share = moved / self.bandwidth / time
        print(f"| {what} | {time * 1e3:.2f} | {self.judge(what, error, most)} | {share:.1%} {versus}", flush=True)


def measure(name: str, geometry: Geometry, rounds: int, table: Rows) -> None:
    """Print the rows of a geometry."""
    scene = Scene(geometry)
    moved = 4 * (scene.x.numel() + scene.y.numel())
    models = ("strip", "bandlimited", "joseph") if geometry.kind == "parallel" else ("joseph",)
    peers = peer(geometry, scene, rounds)
    for model in models:
        A = Projector(geometry, model=model)
        forward = least(partial(A, scene.x), scene.lines_off, rounds)
        table.tell(f"{name} | {model} FP", forward, moved, peers.get("FP"), LINES)
        back = least(partial(A.T, scene.y), scene.back_off, rounds)
        table.tell(f"{name} | {model} transpose", back, moved, peers.get("BP"), BACK)
    A, method = Projector(geometry), fbp if geometry.kind == "parallel" else fdk
    whole = least(lambda: method(A, scene.y), scene.volume_off, rounds)
    table.tell(f"{name} | {method.__name__}", whole, moved, None, INSIDE)


def peer(geometry: Geometry, scene: Scene, rounds: int) -> dict[str, Timed]:
    """ASTRA's times [s] and errors; none where it does not load."""
    try:
        library()
    except UnavailableError as error:
        print(f"(no peer: {error})")
        return {}
    B = Projector(geometry, backend="astra")
    forward = least(partial(B, scene.x), scene.lines_off, rounds)
    return {"FP": forward, "BP": least(partial(B.T, scene.y), scene.back_off, rounds)}


def least(call: Callable[[], Tensor], error: Callable[[Tensor], float], rounds: int) -> Timed:
    """The least time of a call on the GPU [s], after one that compiles, whose result is looked at."""
    wrong = error(call())
    times = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return min(times), wrong


if __name__ == "__main__":
    main()
