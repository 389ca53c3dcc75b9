"""Our projectors against ASTRA and scikit-image, in one process, interleaved: CPU seconds and wall seconds.

    python bench/projector.py [--large] [--divergent] [--rounds N] [--threads N]

Each row is the least of some rounds, per slice. Ratios are the peer's time over ours; those of CPU seconds compare
kernels, and move little on a busy machine; those of wall time are what a user sees on this machine. ASTRA's CPU
kernels and scikit-image use one thread. RTK is compared where it is installed (the extra `bench`), in a process of its
own; BONECTL_RTK_PYTHON may name another Python that has it.

Every row looks at its result: discs, balls and their scans in closed form, for the peer as for us; the run ends with
status 1 where one is wrong.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import astra
import numpy as np
import torch
from numba import njit
from skimage.transform import iradon
from truth import Ball, Judge, apart, bodies, look, rasterised, scan, solid, versions, worst

from bonectl.core import threads
from bonectl.core.geometry import Geometry
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods._variation import step as tv_step
from bonectl.methods._variation import step_there
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection import divergent
from bonectl.projection.numba import cone as cone_kernels
from bonectl.projection.numba.vectors import LANES, add, fma, load, store
from bonectl.projection.projector import Projector

VOXEL = 0.01


@dataclass
class Case:
    """A call, for how many slices, how wrong its result is, and the least times of it so far [s per slice].

    Parameters
    ----------
    error : callable
        From the result to its relative error.
    most : float
        The error of a result that is right.
    """

    name: str
    call: Callable[[], Any]
    slices: int
    rounds: int
    error: Callable[[Any], float]
    most: float
    cpu: float = float("inf")
    wall: float = float("inf")
    result: Any = None

    def run(self) -> None:
        """Time it once."""
        self.result = None  # or two results lie in memory
        wall, cpu = time.perf_counter(), time.process_time()
        self.result = self.call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu, self.wall = min(self.cpu, cpu / self.slices), min(self.wall, wall / self.slices)

    def judged(self, judge: Judge, what: str) -> str:
        """The error of the last result, as a cell."""
        return judge(f"{what}: {self.name}", self.error(self.result), self.most)


class Astra:
    """ASTRA's CPU projector of one slice, its transpose, and (of a parallel beam) its FBP; lengths in voxels."""

    def __init__(self, geometry: Geometry, slice_: np.ndarray, sinogram: np.ndarray) -> None:
        self.volumes = astra.create_vol_geom(geometry.size, geometry.size)
        beam = (geometry.pitch / geometry.voxel, geometry.columns, geometry.angles.radians.copy())
        if geometry.kind == "fan":
            away = (geometry.sod / geometry.voxel, (geometry.sdd - geometry.sod) / geometry.voxel)
            self.rays = astra.create_proj_geom("fanflat", *beam, *away)
        else:
            self.rays = astra.create_proj_geom("parallel", *beam)
        kernel = "line_fanflat" if geometry.kind == "fan" else "linear"
        self.projector = astra.create_projector(kernel, self.rays, self.volumes)
        self.slice = astra.data2d.create("-vol", self.volumes, slice_)
        self.sinogram = astra.data2d.create("-sino", self.rays, sinogram)

    def _run(self, name: str, scan: int, volume: int) -> None:
        settings = astra.astra_dict(name)
        settings["ProjectorId"] = self.projector
        settings["ProjectionDataId"] = scan
        settings["ReconstructionDataId" if name != "FP" else "VolumeDataId"] = volume
        key = astra.algorithm.create(settings)
        astra.algorithm.run(key)
        astra.algorithm.delete(key)

    def forward(self) -> np.ndarray:
        """Project."""
        return self._made("FP", astra.data2d.create("-sino", self.rays), self.slice)

    def back(self) -> np.ndarray:
        """Back-project."""
        return self._made("BP", self.sinogram, astra.data2d.create("-vol", self.volumes))

    def fbp(self) -> np.ndarray:
        """Filter and back-project."""
        return self._made("FBP", self.sinogram, astra.data2d.create("-vol", self.volumes))

    def _made(self, name: str, scan: int, volume: int) -> np.ndarray:
        """Run an algorithm, take its result over, and forget it."""
        self._run(name, scan, volume)
        out = scan if name == "FP" else volume
        result: np.ndarray = astra.data2d.get(out)
        astra.data2d.delete(out)
        return result


class Scene:
    """Discs, their slices and their scan in closed form, repeated for some slices; and what a right result is.

    ASTRA counts in voxels and has y upwards: its line integrals are ours times 10 / voxel, and its pictures mirrored.
    """

    def __init__(self, geometry: Geometry, slices: int) -> None:
        self.discs = bodies(geometry.size)
        self.slice = rasterised(geometry.size, self.discs)[0]
        self.lines = scan(geometry.replace(rows=1), self.discs)[0]
        self.x = torch.from_numpy(np.repeat(self.slice[None], slices, axis=0))
        self.y = torch.from_numpy(np.repeat(self.lines[None], slices, axis=0))
        self.length = geometry.voxel / 10
        # < A x, y > for the closed-form A x: what < x, A.T y > must be for every slice
        self.product = float((self.lines.astype(np.float64) ** 2).sum())

    def lines_off(self, lines: torch.Tensor) -> float:
        """Of a forward projection."""
        return max(apart(row, self.lines) for row in lines.numpy())

    def back_off(self, volume: torch.Tensor) -> float:
        """Of a transpose, by its product with the slice."""
        products = (volume.double() * self.x[: len(volume)].double()).sum(dim=(1, 2)).numpy()
        return float(np.abs(products / self.product - 1).max())

    def discs_off(self, volume: torch.Tensor) -> float:
        """Of a reconstruction."""
        return max(worst(slice_[None], self.discs) for slice_ in volume.numpy())

    def astra(self, geometry: Geometry) -> Astra:
        """The peer's projector of the same slice."""
        return Astra(geometry, self.slice[::-1].copy(), self.lines / np.float32(self.length))

    def astra_lines_off(self, lines: np.ndarray) -> float:
        """Of the peer's forward projection."""
        return apart(lines * self.length, self.lines)

    def astra_back_off(self, volume: np.ndarray) -> float:
        """Of the peer's transpose."""
        return abs(float((volume[::-1].astype(np.float64) * self.slice).sum()) * self.length**2 / self.product - 1)

    def astra_discs_off(self, volume: np.ndarray) -> float:
        """Of the peer's reconstruction."""
        return worst(volume[::-1][None], self.discs)


# Errors of right results: line integrals of pixels that are discs only nearly, their transposes, means inside discs.
LINES, BACK, DISCS = 0.015, 0.002, 0.005


def compare(size: int, views: int, slices: int, rounds: int, *, every: bool) -> list[tuple[str, Case, Case]]:
    """Time one size; pairs (what, ours, peer's)."""
    geometry = parallel(size, slices, VOXEL, views=views, columns=size)
    A = {model: Projector(geometry, model=model) for model in ("bandlimited", "strip", "joseph")}
    scene = Scene(geometry, slices)
    theirs = scene.astra(geometry)
    peer = {
        "FP": Case("ASTRA linear FP", theirs.forward, 1, 2, scene.astra_lines_off, LINES),
        "BP": Case("ASTRA linear BP", theirs.back, 1, 2, scene.astra_back_off, BACK),
        "FBP": Case("ASTRA FBP", theirs.fbp, 1, 2, scene.astra_discs_off, DISCS),
    }
    ours = Case("fbp", lambda: fbp(A["bandlimited"], scene.y), slices, rounds, scene.discs_off, DISCS)
    pairs = [("FBP", ours, peer["FBP"])]
    if every:
        degrees = geometry.angles.degrees
        sinogram = np.ascontiguousarray(scene.lines.T) / np.float32(scene.length)
        peer["iradon"] = Case("skimage iradon", lambda: iradon(sinogram, degrees), 1, 1, scene.astra_discs_off, DISCS)
        for model, count in (("bandlimited", rounds), ("strip", rounds), ("joseph", 2)):
            B = A[model]
            pairs += [
                ("FP", Case(model, partial(B, scene.x), slices, count, scene.lines_off, LINES), peer["FP"]),
                ("BP", Case(model, partial(B.T, scene.y), slices, count, scene.back_off, BACK), peer["BP"]),
            ]
        one = Case("bandlimited", lambda: A["bandlimited"](scene.x[:1]), 1, rounds, scene.lines_off, LINES)
        alone = Case("fbp", lambda: fbp(A["bandlimited"], scene.y[:1]), 1, rounds, scene.discs_off, DISCS)
        pairs += [("FP of one slice", one, peer["FP"]), ("FBP of one slice", alone, peer["FBP"])]
        pairs += [("FBP", ours, peer["iradon"])]
    race(pairs, rounds)
    return pairs


def race(pairs: list[tuple[str, Case, Case]], rounds: int) -> None:
    """Run all cases of some pairs in turn, each as often as it says."""
    cases = [*{id(c): c for _, ours, other in pairs for c in (ours, other)}.values()]
    for ours in (pair[1] for pair in pairs):
        ours.call()  # compiles, and makes the plan
    for turn in range(rounds):
        for case in cases:
            if turn < case.rounds:
                case.run()


def compare_fan(rounds: int) -> list[tuple[str, Case, Case]]:
    """Fan beam, 256², 384 views, 320 columns, 64 slices; pairs (what, ours, ASTRA's)."""
    side, slices = 256, 64
    away = {"sod": 3.0 * side * VOXEL, "sdd": 4.5 * side * VOXEL}
    A = Projector(fan(side, slices, VOXEL, views=384, columns=320, **away))
    scene = Scene(A.geometry, slices)
    theirs = scene.astra(A.geometry)
    forward = Case("line_fanflat FP", theirs.forward, 1, 2, scene.astra_lines_off, LINES)
    back = Case("line_fanflat BP", theirs.back, 1, 2, scene.astra_back_off, BACK)
    pairs = [
        ("fan FP", Case("joseph", partial(A, scene.x), slices, rounds, scene.lines_off, LINES), forward),
        ("fan adjoint", Case("joseph", partial(A.T, scene.y), slices, rounds, scene.back_off, BACK), back),
        ("fan FBP, against BP", Case("fdk", lambda: fdk(A, scene.y), slices, rounds, scene.discs_off, DISCS), back),
    ]
    race(pairs, rounds)
    return pairs


def time_cone(side: int, views: int, rounds: int) -> list[tuple[Case, float]]:
    """Cone beam, detector of 1.25 times the side; (case, voxel updates per call)."""
    away = {"sod": 3.0 * side * VOXEL, "sdd": 4.5 * side * VOXEL}
    geometry = cone(side, side, VOXEL, views=views, columns=side * 5 // 4, rows=side * 5 // 4, **away)
    A, plan = Projector(geometry), divergent.tables_of(geometry)
    ball = (Ball(0.1 * side, -0.06 * side, 0.2 * side, 2.0),)
    x = torch.from_numpy(solid((side,) * 3, ball[0])[0])
    lines = scan(geometry, ball)
    y = torch.from_numpy(lines)
    product = float((lines.astype(np.float64) ** 2).sum())
    ones = np.ones_like(lines)
    cases = [
        Case("back-projection of FDK", lambda: cone_kernels.collect(plan, ones), 1, rounds, ones_off, 0.005),
        Case("FDK", lambda: fdk(A, y), 1, rounds, lambda volume: abs(look(volume.numpy(), ball[0]).value - 1), 0.01),
        Case("FP", lambda: A(x), 1, rounds, lambda made: apart(made.numpy(), lines), LINES),
        Case("adjoint", lambda: A.T(y), 1, rounds, lambda v: abs(float((v * x).double().sum()) / product - 1), BACK),
    ]
    race([("", case, case) for case in cases], rounds)
    return [(case, float(side) ** 3 * views) for case in cases]


def ones_off(volume: np.ndarray) -> float:
    """Of a cone's back-projection of ones, 3 sides from the source: of what it is at a distance over that at the axis.

    A voxel at r from the axis gets (1 - (r / sod)^2)^(-3/2) per view on the mean over a turn: the integral of the
    weight (sod / (sod - r cos t))^2.
    """
    side = len(volume)
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    share = np.hypot(row, column) / (3.0 * side)
    middle = volume[side // 2]
    right = (1 - share**2) ** -1.5
    inside = share < 0.45 / 3
    found = middle / middle[share < 2 / 3 / side].mean()
    return float(np.abs(found - right / right[share < 2 / 3 / side].mean())[inside].max())


def time_variation(rounds: int) -> tuple[Case, Case]:
    """A fused step of total variation, and a projector pair: 256², 384 views, 32 slices."""
    A = Projector(parallel(256, 32, VOXEL, views=384, columns=256))
    x = torch.from_numpy(np.random.default_rng(0).random((32, 256, 256), dtype=np.float32))
    sizes = (0.01, 1.0, 0.01)

    def start() -> list[torch.Tensor]:
        return [x.clone(), x.clone(), torch.zeros(32, 256, 256, 2), 0.1 * x]

    state = [part.numpy() for part in start()]
    by_torch, by_kernel = start(), start()

    def off(_: object) -> float:
        """Of three steps from the start, against torch's operators."""
        for _ in range(3):
            step_there(*by_torch, sizes, 0.0)  # type: ignore[arg-type]
            tv_step(*(part.numpy() for part in by_kernel), sizes, 0.0)  # type: ignore[arg-type]
        return apart(by_kernel[0].numpy(), by_torch[0].numpy())

    step = Case("TV step", lambda: tv_step(*state, sizes, 0.0), 32, rounds, off, 1e-5)  # type: ignore[arg-type]
    y = A(x)
    product = float((y.double() ** 2).sum())
    pair = Case(
        "A and A.T", lambda: A.T(A(x)), 32, rounds, lambda v: abs(float((v * x).double().sum()) / product - 1), 1e-4
    )
    race([("", step, pair)], rounds)
    return step, pair


@njit(nogil=True, fastmath=True)
def _reads(values: np.ndarray, times: int) -> float:
    """Sum of an array, several times over."""
    total = np.float32(0.0)
    for k in range(times):
        values[k % values.size] = np.float32(k)  # or the compiler would read once
        for i in range(values.size):
            total += values[i]
    return float(total)


@njit(nogil=True)
def _multiplications(lanes: tuple[float, ...], times: int, out: np.ndarray) -> None:
    """Twelve chains of multiply-adds of eight floats: enough to hide what one waits for the one before."""
    a = b = c = d = e = f = g = h = i = j = k = m = load(lanes, out, 0)
    one, small = np.float32(0.999), load(lanes, out, 8)
    for _ in range(times):
        a, b, c, d = fma(a, one, small), fma(b, one, small), fma(c, one, small), fma(d, one, small)
        e, f, g, h = fma(e, one, small), fma(f, one, small), fma(g, one, small), fma(h, one, small)
        i, j, k, m = fma(i, one, small), fma(j, one, small), fma(k, one, small), fma(m, one, small)
    store(out, 0, add(add(add(a, b), add(c, d)), add(add(add(e, f), add(g, h)), add(add(i, j), add(k, m)))))


def limits() -> dict[str, float]:
    """What one thread of this machine does at best: multiply-adds [1e9/s], reads from cache and memory [GB/s]."""
    found = {}
    out, times = np.ones(16, np.float32), 20_000_000
    _multiplications(LANES[8], 1, out)
    limit = (lambda _: 0.0, 0.0)  # nothing comes out of these but a time
    chains = Case("FMA", lambda: _multiplications(LANES[8], times, out), 1, 3, *limit)
    for _ in range(3):
        chains.run()
    found["FMA"] = 12 * 8 * times / chains.cpu / 1e9
    for name, kib in (("L1 read", 16), ("DRAM read", 256 << 10)):
        values = np.ones(kib << 8, np.float32)
        times = max(2, (512 << 20) // values.nbytes)
        _reads(values, 1)
        case = Case(name, lambda values=values, times=times: _reads(values, times), 1, 3, *limit)
        for _ in range(3):
            case.run()
        found[name] = values.nbytes * times / case.cpu / 1e9
    return found


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--large", action="store_true", help="also 1024² and 2048² of 1500 views")
    options.add_argument("--divergent", action="store_true", help="leave the parallel beam out")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=0)
    chosen = options.parse_args()
    threads.choose(chosen.threads)
    print(versions("astra-toolbox", "scikit-image", "numba", "scipy", "torch", "numpy"))
    print(f"{platform.machine()}, {threads.available()} processors, {threads.count()} threads used\n")
    machine = limits()
    units = {"FMA": "1e9 multiply-adds/s"}
    print("; ".join(f"{name}, one thread: {rate:.0f} {units.get(name, 'GB/s')}" for name, rate in machine.items()))
    print(f"ceiling of linear interpolation, one thread: {ceiling(machine) / 1e9:.1f} GUPS\n")
    print(
        "| size, views, slices | what | ours | CPU ms | wall ms | error | peer | CPU ms | wall ms | error | CPU ratio "
        "| wall ratio | GUPS per core | of ceiling |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    judge = Judge()
    sizes = [(512, 768, 32, True)] + ([(1024, 1500, 16, False), (2048, 1500, 8, False)] if chosen.large else [])
    for size, views, slices, every in sizes if not chosen.divergent else []:
        updates = float(size) ** 2 * views
        pairs = compare(size, views, slices, chosen.rounds, every=every)
        tell(f"{size}², {views}", pairs, updates, ceiling(machine), judge)
    tell("256², 384", compare_fan(chosen.rounds), 256.0**2 * 384, ceiling(machine), judge)
    step, pair = time_variation(chosen.rounds)
    print(
        f"\nTV step: {step.cpu * 1e3:.2f} CPU ms per slice, {step.cpu / pair.cpu:.2f} of a projector pair; errors "
        f"{step.judged(judge, 'TV')}, {pair.judged(judge, 'TV')}\n"
    )
    cones = time_cone(128, 180, chosen.rounds)
    print("| cone | what | CPU s | wall s | error | GUPS by wall | GUPS by CPU, 2 cores | of ceiling |")
    print("|---|---|---|---|---|---|---|---|")
    for case, updates in cones:
        share = updates / case.cpu / ceiling(machine)
        print(
            f"| 128³, 180 | {case.name} | {case.cpu:.2f} | {case.wall:.2f} | {case.judged(judge, 'cone')} "
            f"| {updates / case.wall / 1e9:.2f} | {2 * updates / case.cpu / 1e9:.2f} | {share:.0%} |",
            flush=True,
        )
    tell_rtk(*cones[0], chosen.rounds, judge)
    judge.close()


def tell_rtk(ours: Case, updates: float, rounds: int, judge: Judge) -> None:
    """Print RTK's row, and how many times faster our back-projection is; it runs by itself, see bench/rtk.py."""
    python = os.environ.get("BONECTL_RTK_PYTHON")
    if not python and importlib.util.find_spec("itk") is None:
        print("\nRTK: not compared; install bonectl[bench]")
        return
    python = python or sys.executable
    line = [python, str(Path(__file__).with_name("rtk.py")), "128", "180", str(rounds)]
    peer = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    error = judge("itk-rtk", abs(peer["at_40"] / peer["on_axis"] / peer["right"] - 1), 0.005)
    print(
        f"| 128³, 180 | itk-rtk {peer['version']}: back-projection of FDK | {peer['cpu']:.2f} | {peer['wall']:.2f} "
        f"| {error} | {updates / peer['wall'] / 1e9:.2f} | {2 * updates / peer['cpu'] / 1e9:.2f} | |"
    )
    print(f"\nours against RTK: {peer['cpu'] / ours.cpu:.1f} by CPU, {peer['wall'] / ours.wall:.1f} by wall")


def ceiling(machine: dict[str, float]) -> float:
    """Updates of linear interpolation per second that one thread could do: two multiply-adds, two floats read."""
    return min(machine["FMA"] / 2, machine["L1 read"] / 8) * 1e9


def tell(what: str, pairs: list[tuple[str, Case, Case]], updates: float, most: float, judge: Judge) -> None:
    """Print rows of the table.

    Parameters
    ----------
    updates : float
        (Pixel, view) pairs per slice: what a spatial method does, and what a Fourier method stands for, which is why
        the latter's share of the ceiling can exceed 1.
    most : float
        The ceiling [updates/s].
    judge : Judge
        Told what is wrong.
    """
    for name, ours, peer in pairs:
        rate = updates / ours.cpu
        print(
            f"| {what}, {ours.slices} | {name} | {ours.name} | {ours.cpu * 1e3:.2f} | {ours.wall * 1e3:.2f} "
            f"| {ours.judged(judge, what)} | {peer.name} | {peer.cpu * 1e3:.0f} | {peer.wall * 1e3:.0f} "
            f"| {peer.judged(judge, what)} | {peer.cpu / ours.cpu:.0f} | {peer.wall / ours.wall:.0f} "
            f"| {rate / 1e9:.2f} | {rate / most:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
