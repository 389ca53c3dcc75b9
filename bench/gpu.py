"""One GPU in under ten minutes: agreement with the CPU, times of the projectors, training and denoising.

    python bench/gpu.py [--sizes 512,1024,2048] [--rounds N] [--seconds S]
    python bench/gpu.py --device cpu --sizes 32

In this order, so that what matters most is there when time is up:

1. Forward, transpose, FBP and FDK against the compiled kernels of the CPU, at most 1e-5 apart.
2. Times at each size: parallel, fan and cone beams, beside ASTRA's CUDA projectors where they load, and the share of
   the bandwidth limit (argument read and result written once, at the speed of a copy measured here).
3. The largest cube from memory to memory by FBP, some blocks of slices and the rest reckoned, beside what tomocupy
   publishes for 2048³ on an A100 from disk to disk: 15 s (fourierrec) and 8.5 s (lprec).
4. A network trained and denoising, eager and compiled, in the precision that the device has (bfloat16 on a GPU).

Each time is the least of some rounds. Every row looks at its result, against a closed form or the CPU. What no longer
fits the time or the memory is marked so. Without the device it says so in one line and ends with status 69. With
`--device cpu` torch's operators stand in for the GPU: for the script's own sake, its times say nothing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from truth import Ball, Judge, apart, scan, solid, versions

import bonectl
from bonectl.core.geometry import Geometry
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import UnavailableError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.io import npy
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection.astra.library import library
from bonectl.projection.projector import Projector
from bonectl.projection.system import System

VOXEL = 0.01  # mm
SMALL = 48
# Values that are copied to measure bandwidth, slices of a parallel and a fan beam, and blocks of slices that are timed.
COPIED, SLICES, BLOCKS = 1 << 26, 32, 4
# Errors of right results: line integrals of voxels that are a ball only nearly (more so where voxels are large), their
# transposes, means inside the ball; and engines among each other.
LINES, BACK, INSIDE, AGREE = 0.015, 0.002, 0.01, 1e-5
# What tomocupy publishes for 2048³ [s].
PUBLISHED = {"fourierrec": 15.0, "lprec": 8.5}

Timed = tuple[float, float]


@dataclass
class Run:
    """Where, how often and until when; and what was wrong."""

    where: torch.device
    rounds: int
    end: float
    judge: Judge

    @property
    def backend(self) -> str:
        """Of the projectors: on a CPU that of torch, so that there is something to compare."""
        return "reference" if self.where.type == "cpu" else "auto"

    def projector(self, geometry: Geometry, model: str | None = None) -> Projector:
        """On the device."""
        return Projector(geometry, model=model, backend=self.backend)

    def least(self, call: Callable[[], Tensor], error: Callable[[Tensor], float]) -> Timed:
        """The least time of a call [s], after one that compiles, whose result is looked at."""
        wrong, times = error(call()), []
        for _ in range(self.rounds):
            self.wait()
            begun = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - begun)
        return min(times), wrong

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.where.type == "cuda":
            torch.cuda.synchronize()

    def row(self, what: str, cells: Callable[[], str]) -> None:
        """Print a row, or why there is none."""
        if time.monotonic() > self.end:
            print(f"| {what} | not measured: time is up |", flush=True)
            return
        try:
            told = cells()
        except torch.OutOfMemoryError:
            told = "does not fit the device's memory"
            torch.cuda.empty_cache()
        print(f"| {what} | {told} |", flush=True)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options.add_argument("--sizes", default="512,1024,2048")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=540, help="no row begins later")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("bench/gpu.py: torch sees no CUDA device; --device cpu tries the script itself", file=sys.stderr)
        return UnavailableError.status
    sizes = [int(size) for size in chosen.sizes.split(",")]
    run = Run(torch.device(chosen.device), chosen.rounds, time.monotonic() + chosen.seconds, Judge())
    name = torch.cuda.get_device_name() if chosen.device == "cuda" else "a CPU in place of a GPU"
    print(f"{versions('torch', 'astra-toolbox')}; {name}\n\n| agreement with the CPU at {SMALL} | error |\n|---|---|")
    agreement(run)
    bandwidth = copied(run)
    print(
        f"\ncopy {bandwidth / 1e9:.0f} GB/s\n\n| geometry, what | ms | error | share of the limit | ASTRA ms | error |"
    )
    print("|---|---|---|---|---|---|")
    for size in sizes:
        for geometry in geometries(size):
            measure(geometry, run, bandwidth)
    print("\n| from memory to memory | s | error | tomocupy, published |\n|---|---|---|---|")
    run.row(f"FBP {sizes[-1]}³, {sizes[-1]} views", lambda: cube(sizes[-1], run))
    print(
        "\n| network | training [patches/s] | error after, over before | denoising [10^6 voxels/s] |\n|---|---|---|---|"
    )
    for compiled in (False, True):
        run.row(
            "compiled" if compiled else "eager", lambda compiled=compiled: network(run, sizes[0], compiled=compiled)
        )
    run.judge.close()
    return 0


def copied(run: Run) -> float:
    """Bytes read and written a second by a copy."""
    values = torch.zeros(COPIED, device=run.where)
    result = torch.empty_like(values)
    return 8 * COPIED / run.least(lambda: result.copy_(values), lambda _: 0.0)[0]


def geometries(size: int) -> list[Geometry]:
    """What is measured at a size."""
    views, away = size * 3 // 2, {"sod": 3 * size * VOXEL, "sdd": 4.5 * size * VOXEL}
    return [
        parallel(size, SLICES, VOXEL, views=views, columns=size),
        fan(size, SLICES, VOXEL, views=views, **away),
        cone(size, size, VOXEL, views=size // 2, **away),
    ]


def agreement(run: Run) -> None:
    """Rows of random values through both."""
    random = np.random.default_rng(0)
    for geometry in geometries(SMALL):
        x, y = (random.standard_normal(shape, dtype=np.float32) for shape in (geometry.volume_shape, geometry.shape))
        method = fbp if geometry.kind == "parallel" else fdk
        for model in ("strip", "bandlimited", "joseph") if geometry.kind == "parallel" else ("joseph",):
            A, B = System(geometry, model=model), run.projector(geometry, model)
            pairs = {"forward": (A, B, x), "transpose": (A.T, B.T, y)}
            if model != "bandlimited":
                pairs[method.__name__] = (partial(method, A), partial(method, B), y)
            for what, (ours, there, values) in pairs.items():
                found = there(torch.from_numpy(values).to(run.where)).cpu().numpy()
                name = f"{geometry.kind} {model} {what}"
                print(f"| {name} | {run.judge(name, apart(found, ours(values)), AGREE)} |", flush=True)


class Scene:
    """A ball, or a cylinder along the axis, and its scan in closed form on the device; what a right result is."""

    def __init__(self, geometry: Geometry, where: torch.device) -> None:
        side = geometry.size
        self.ball = Ball(0.1 * side, -0.06 * side, 0.2 * side, 2.0)
        volume, self.away = body(geometry, self.ball, where)
        self.x = volume.expand(geometry.volume_shape).contiguous()
        if geometry.kind == "cone":
            self.y = chords(geometry, self.ball, where)
        else:
            lines = scan(geometry.replace(rows=1), (self.ball,))
            self.y = torch.from_numpy(lines).to(where).expand(geometry.shape).contiguous()
        self.product = products(self.y, self.y)

    def lines_off(self, made: Tensor) -> float:
        """Of a forward projection."""
        return (sum(float((a - b).square().sum()) for a, b in zip(made, self.y, strict=True)) / self.product) ** 0.5

    def back_off(self, made: Tensor) -> float:
        """Of a transpose, by its product with the volume."""
        return abs(products(made, self.x) / self.product - 1)

    def volume_off(self, made: Tensor) -> float:
        """Of a reconstruction, by the mean inside the ball in the middle slice."""
        middle = made[len(made) // 2].cpu().numpy()
        return abs(float(middle[self.away < 0.6 * self.ball.radius].mean()) / self.ball.value - 1)


def products(a: Tensor, b: Tensor) -> float:
    """The sum of products, slice by slice in double precision."""
    return sum(float((one.double() * other.double()).sum()) for one, other in zip(a, b, strict=True))


def body(geometry: Geometry, ball: Ball, where: torch.device) -> tuple[Tensor, np.ndarray]:
    """A ball, or of a cylinder the one slice that all are; and the distance from its middle in the slice looked at."""
    if geometry.kind != "cone":
        volume, away = solid((1, *geometry.volume_shape[1:]), ball, cylinder=True)
        return torch.from_numpy(volume).to(where), np.broadcast_to(away, volume.shape)[0]
    place = torch.arange(geometry.size, device=where, dtype=torch.float32) - (geometry.size - 1) / 2
    flat = (place[:, None] - ball.y) ** 2 + (place - ball.x) ** 2
    volume = torch.empty(geometry.volume_shape, device=where)
    middle = (len(volume) - 1) / 2
    for z, slice_ in enumerate(volume):
        slice_.copy_(ball.value * (ball.radius - (flat + (z - middle - ball.z) ** 2).sqrt() + 0.5).clamp(0, 1))
    return volume, (flat + (len(volume) // 2 - middle - ball.z) ** 2).sqrt().cpu().numpy()


def chords(geometry: Geometry, ball: Ball, where: torch.device) -> Tensor:
    """Line integrals (row, view, column) of a ball in a cone beam, by the ray to each pixel's middle."""
    result = torch.empty(geometry.shape, device=where)
    u = (torch.arange(geometry.columns, device=where, dtype=torch.float64) - geometry.centre) * geometry.pitch
    v = (torch.arange(geometry.rows, device=where, dtype=torch.float64) - geometry.principal_row) * geometry.row_pitch
    x, y, z, radius = (value * geometry.voxel for value in (ball.x, ball.y, ball.z, ball.radius))
    for view, angle in enumerate(geometry.angles.radians):
        along, toward = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle) + geometry.sod
        length = u**2 + geometry.sdd**2 + v[:, None] ** 2
        nearest = (along * u + toward * geometry.sdd + z * v[:, None]) ** 2 / length
        squared = radius**2 - (along**2 + toward**2 + z**2 - nearest)
        result[:, view] = (ball.value / 10 * 2 * squared.clamp_min(0).sqrt()).float()
    return result


def measure(geometry: Geometry, run: Run, bandwidth: float) -> None:
    """Print the rows of a geometry."""
    size = geometry.size
    name = f"{geometry.kind} {size}{'³' if geometry.kind == 'cone' else f'², {SLICES} slices'}, {geometry.views} views"
    held: list[Scene] = []

    def scene() -> Scene:
        if not held:
            held.append(Scene(geometry, run.where))
        return held[0]

    def cells(what: str, model: str) -> str:
        A, here = run.projector(geometry, model), scene()
        method = fbp if geometry.kind == "parallel" else fdk
        calls: dict[str, tuple[Callable[[], Tensor], Callable[[Tensor], float], float]] = {
            "forward": (partial(A, here.x), here.lines_off, LINES * max(1, 256 / size)),
            "transpose": (partial(A.T, here.y), here.back_off, BACK * max(1, 256 / size)),
            "reconstruction": (partial(method, A, here.y), here.volume_off, INSIDE * max(1, 128 / size)),
        }
        call, error, most = calls[what]
        took, wrong = run.least(call, error)
        share = 4 * (here.x.numel() + here.y.numel()) / bandwidth / took
        told = f"{took * 1e3:.2f} | {run.judge(f'{name}, {what}', wrong, most)} | {share:.1%}"
        return f"{told} | {astra(geometry, run, here, what)}"

    for model in ("strip", "bandlimited", "joseph") if geometry.kind == "parallel" else ("joseph",):
        for what in ("forward", "transpose"):
            run.row(f"{name}, {what}, {model}", lambda what=what, model=model: cells(what, model))
    run.row(f"{name}, reconstruction", lambda: cells("reconstruction", "joseph"))


def astra(geometry: Geometry, run: Run, scene: Scene, what: str) -> str:
    """The cells of ASTRA's CUDA projector; why there are none where it does not load."""
    if what == "reconstruction":
        return " | "
    try:
        library()
    except UnavailableError:
        return "not there | "
    B = Projector(geometry, model="joseph", backend="astra")
    took, wrong = (
        run.least(partial(B, scene.x), scene.lines_off)
        if what == "forward"
        else run.least(partial(B.T, scene.y), scene.back_off)
    )
    return f"{took * 1e3:.2f} | {wrong:.1e}"


def cube(size: int, run: Run) -> str:
    """FBP of size³ from memory to memory: copied there, reconstructed, and back, block by block."""
    geometry = parallel(size, SLICES, VOXEL, views=size, columns=size)
    ball = Ball(0.1 * size, -0.06 * size, 0.2 * size, 2.0)
    lines = np.repeat(scan(geometry.replace(rows=1), (ball,)), SLICES, axis=0)
    A, away = run.projector(geometry, "bandlimited"), body(geometry, ball, run.where)[1]
    result = torch.empty(geometry.volume_shape)

    def block() -> Tensor:
        return result.copy_(fbp(A, torch.from_numpy(lines).to(run.where)))

    def off(made: Tensor) -> float:
        return abs(float(made[-1].numpy()[away < 0.6 * ball.radius].mean()) / ball.value - 1)

    took, wrong = run.least(lambda: [block() for _ in range(BLOCKS)][-1], off)
    whole = took / BLOCKS * size / SLICES
    published = ", ".join(f"{name} {seconds} s" for name, seconds in PUBLISHED.items())
    peer = f"{published} (from disk, A100)" if size == 2048 else "for 2048³ alone"
    return f"{whole:.2f}, reckoned from {BLOCKS * SLICES} slices | {run.judge('cube', wrong, INSIDE)} | {peer}"


def network(run: Run, size: int, *, compiled: bool) -> str:
    """Train a network for some steps, and denoise what it was trained on."""
    steps, batch, thick, patch = (200, 4, 4, 64) if run.where.type == "cuda" else (40, 2, 2, 16)
    side = min(size, 256)
    _, row, column = np.mgrid[:4, :side, :side]
    clean = (1000.0 * (np.sin(row / 2.5) * np.sin(column / 3) > 0.2)).astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 300, clean.shape).astype(np.float32)
    header = Header(shape=clean.shape, unit="mgHA/cm3", spacing=(0.02,) * 3)
    knobs = {"batch": batch, "run": thick, "patch": patch, "model": "unet25d(width=8, scales=2)", "loss": "l1"}
    with tempfile.TemporaryDirectory(prefix="bonectl-bench-") as folder:
        paths = []
        for name, values in (("noisy", noisy), ("clean", clean)):
            paths.append(Path(folder) / f"{name}.npy")
            with paths[-1].open("wb") as file:
                npy.write(Stack.of(values, header), file)
        made, times = Path(folder) / "net.safetensors", []
        for count in (1, 1, 1 + steps):  # the first compiles; what a start takes is in the other two
            begun = time.perf_counter()
            try:
                bonectl.train(
                    paths[:1], paths[1:], output=made, steps=count, every=count, picture=False, force=True,
                    device_name=run.where.type, compiled=compiled, **knobs,
                )  # fmt: skip
            except UnavailableError as error:
                return f"{error} | | "
            run.wait()
            times.append(time.perf_counter() - begun)
        stack = partial(Stack.of, noisy, header)
        denoised: list[np.ndarray] = []

        def call() -> Tensor:
            denoised.append(bonectl.denoise(stack(), made, device_name=run.where.type, anyway=True).collect())
            return torch.empty(0)

        took, _ = run.least(call, lambda _: 0.0)
    share = apart(denoised[-1], clean) / apart(noisy, clean)
    speed = steps * batch * thick / max(times[2] - times[1], 1e-3)
    return f"{speed:.0f} | {run.judge('denoising', share, 0.999)} | {noisy.size / took / 1e6:.1f}"


if __name__ == "__main__":
    sys.exit(main())
