"""Our projectors against ASTRA and scikit-image, in one process, interleaved: CPU seconds and wall seconds.

    python bench/projector.py [--large] [--divergent] [--rounds N] [--threads N]

Each row is the least of some rounds, per slice. Ratios are the peer's time over ours; those of CPU seconds compare
kernels, and move little on a busy machine; those of wall time are what a user sees on this machine. ASTRA's CPU
kernels and scikit-image use one thread. RTK is compared where it is installed (the extra `bench`), in a process of its
own; BONECTL_RTK_PYTHON may name another Python that has it.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import astra
import numpy as np
import torch
from numba import njit
from skimage.transform import iradon

from bonectl.core import threads
from bonectl.core.geometry import Geometry
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods._variation import step as tv_step
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection import cone as cone_kernels
from bonectl.projection import divergent
from bonectl.projection.projector import Projector
from bonectl.projection.vectors import LANES, add, fma, load, store

VOXEL = 0.01


@dataclass
class Case:
    """A call, for how many slices, and the least times of it so far [s per slice]."""

    name: str
    call: Callable[[], object]
    slices: int
    rounds: int
    cpu: float = float("inf")
    wall: float = float("inf")

    def run(self) -> None:
        """Time it once."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu, self.wall = min(self.cpu, cpu / self.slices), min(self.wall, wall / self.slices)


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

    def forward(self) -> None:
        """Project."""
        out = astra.data2d.create("-sino", self.rays)
        self._run("FP", out, self.slice)
        astra.data2d.delete(out)

    def back(self) -> None:
        """Back-project."""
        out = astra.data2d.create("-vol", self.volumes)
        self._run("BP", self.sinogram, out)
        astra.data2d.delete(out)

    def fbp(self) -> None:
        """Filter and back-project."""
        out = astra.data2d.create("-vol", self.volumes)
        self._run("FBP", self.sinogram, out)
        astra.data2d.delete(out)


def compare(size: int, views: int, slices: int, rounds: int, *, every: bool) -> list[tuple[str, Case, Case]]:
    """Time one size; pairs (what, ours, peer's)."""
    random = np.random.default_rng(0)
    geometry = parallel(size, slices, VOXEL, views=views, columns=size)
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    inside = (np.hypot(row, column) < 0.45 * size).astype(np.float32)
    x = torch.from_numpy(random.random((slices, size, size), dtype=np.float32) * inside)
    A = {model: Projector(geometry, model=model) for model in ("bandlimited", "strip", "joseph")}
    y = A["strip"](x)
    theirs = Astra(geometry, x[0].numpy(), y[0].numpy())
    peer = {
        "FP": Case("ASTRA linear FP", theirs.forward, 1, 2),
        "BP": Case("ASTRA linear BP", theirs.back, 1, 2),
        "FBP": Case("ASTRA FBP", theirs.fbp, 1, 2),
    }
    pairs = [("FBP", Case("fbp", lambda: fbp(A["bandlimited"], y), slices, rounds), peer["FBP"])]
    if every:
        degrees = geometry.angles.degrees
        peer["iradon"] = Case("skimage iradon", lambda: iradon(y[0].numpy().T, degrees), 1, 1)
        pairs += [
            ("FP", Case("bandlimited", lambda: A["bandlimited"](x), slices, rounds), peer["FP"]),
            ("BP", Case("bandlimited", lambda: A["bandlimited"].T(y), slices, rounds), peer["BP"]),
            ("FP", Case("strip", lambda: A["strip"](x), slices, rounds), peer["FP"]),
            ("BP", Case("strip", lambda: A["strip"].T(y), slices, rounds), peer["BP"]),
            ("FP", Case("joseph", lambda: A["joseph"](x), slices, 2), peer["FP"]),
            ("BP", Case("joseph", lambda: A["joseph"].T(y), slices, 2), peer["BP"]),
            ("FP of one slice", Case("bandlimited", lambda: A["bandlimited"](x[:1]), 1, rounds), peer["FP"]),
            ("FBP", Case("fbp", lambda: fbp(A["bandlimited"], y), slices, rounds), peer["iradon"]),
        ]
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
    x = torch.from_numpy(np.random.default_rng(0).random((slices, side, side), dtype=np.float32))
    y = A(x)
    theirs = Astra(A.geometry, x[0].numpy(), y[0].numpy())
    forward, back = Case("line_fanflat FP", theirs.forward, 1, 2), Case("line_fanflat BP", theirs.back, 1, 2)
    pairs = [
        ("fan FP", Case("joseph", lambda: A(x), slices, rounds), forward),
        ("fan adjoint", Case("joseph", lambda: A.T(y), slices, rounds), back),
        ("fan FBP, against BP", Case("fdk", lambda: fdk(A, y), slices, rounds), back),
    ]
    race(pairs, rounds)
    return pairs


def time_cone(side: int, views: int, rounds: int) -> list[tuple[Case, float]]:
    """Cone beam, detector of 1.25 times the side; (case, voxel updates per call)."""
    away = {"sod": 3.0 * side * VOXEL, "sdd": 4.5 * side * VOXEL}
    geometry = cone(side, side, VOXEL, views=views, columns=side * 5 // 4, rows=side * 5 // 4, **away)
    A, plan = Projector(geometry), divergent.plan_of(geometry)
    x = torch.from_numpy(np.random.default_rng(0).random((side, side, side), dtype=np.float32))
    y = A(x)
    cases = [
        Case("back-projection of FDK", lambda: cone_kernels.collect(plan, y.numpy()), 1, rounds),
        Case("FDK", lambda: fdk(A, y), 1, rounds),
        Case("FP", lambda: A(x), 1, rounds),
        Case("adjoint", lambda: A.T(y), 1, rounds),
    ]
    race([("", case, case) for case in cases], rounds)
    return [(case, float(side) ** 3 * views) for case in cases]


def time_variation(rounds: int) -> tuple[Case, Case]:
    """A fused step of total variation, and a projector pair: 256², 384 views, 32 slices."""
    A = Projector(parallel(256, 32, VOXEL, views=384, columns=256))
    x = torch.from_numpy(np.random.default_rng(0).random((32, 256, 256), dtype=np.float32))
    ahead, pull, dual = x.numpy().copy(), 0.1 * x.numpy(), np.zeros((32, 256, 256, 2), np.float32)
    values = x.numpy().copy()
    step = Case("TV step", lambda: tv_step(values, ahead, dual, pull, (0.01, 1.0, 0.01), 0.0), 32, rounds)
    pair = Case("A and A.T", lambda: A.T(A(x)), 32, rounds)
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
    chains = Case("FMA", lambda: _multiplications(LANES[8], times, out), 1, 3)
    for _ in range(3):
        chains.run()
    found["FMA"] = 12 * 8 * times / chains.cpu / 1e9
    for name, kib in (("L1 read", 16), ("DRAM read", 256 << 10)):
        values = np.ones(kib << 8, np.float32)
        times = max(2, (512 << 20) // values.nbytes)
        _reads(values, 1)
        case = Case(name, lambda values=values, times=times: _reads(values, times), 1, 3)
        for _ in range(3):
            case.run()
        found[name] = values.nbytes * times / case.cpu / 1e9
    return found


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--large", action="store_true", help="also 1024 x 1024, 1500 views")
    options.add_argument("--divergent", action="store_true", help="leave the parallel beam out")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=0)
    chosen = options.parse_args()
    threads.choose(chosen.threads)
    packages = ("bonectl", "astra-toolbox", "scikit-image", "numba", "scipy", "torch", "numpy")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    print(f"{platform.machine()}, {threads.available()} processors, {threads.count()} threads used\n")
    machine = limits()
    units = {"FMA": "1e9 multiply-adds/s"}
    print("; ".join(f"{name}, one thread: {rate:.0f} {units.get(name, 'GB/s')}" for name, rate in machine.items()))
    print(f"ceiling of linear interpolation, one thread: {ceiling(machine) / 1e9:.1f} GUPS\n")
    print(
        "| size, views, slices | what | ours | CPU ms | wall ms | peer | CPU ms | wall ms | CPU ratio | wall ratio "
        "| GUPS per core | of ceiling |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    sizes = [(512, 768, 32, True)] + ([(1024, 1500, 16, False)] if chosen.large else [])
    for size, views, slices, every in sizes if not chosen.divergent else []:
        updates = float(size) ** 2 * views
        tell(f"{size}², {views}", compare(size, views, slices, chosen.rounds, every=every), updates, ceiling(machine))
    tell("256², 384", compare_fan(chosen.rounds), 256.0**2 * 384, ceiling(machine))
    step, pair = time_variation(chosen.rounds)
    print(f"\nTV step: {step.cpu * 1e3:.2f} CPU ms per slice, {step.cpu / pair.cpu:.2f} of a projector pair\n")
    cones = time_cone(128, 180, chosen.rounds)
    print("| cone | what | CPU s | wall s | GUPS by wall | GUPS by CPU, 2 cores | of ceiling |")
    print("|---|---|---|---|---|---|---|")
    for case, updates in cones:
        share = updates / case.cpu / ceiling(machine)
        print(
            f"| 128³, 180 | {case.name} | {case.cpu:.2f} | {case.wall:.2f} | {updates / case.wall / 1e9:.2f} "
            f"| {2 * updates / case.cpu / 1e9:.2f} | {share:.0%} |",
            flush=True,
        )
    tell_rtk(*cones[0], chosen.rounds)


def tell_rtk(ours: Case, updates: float, rounds: int) -> None:
    """Print RTK's row, and how many times faster our back-projection is; it runs by itself, see bench/rtk.py."""
    python = os.environ.get("BONECTL_RTK_PYTHON")
    if not python and importlib.util.find_spec("itk") is None:
        print("\nRTK: not compared; install bonectl[bench]")
        return
    python = python or sys.executable
    line = [python, str(Path(__file__).with_name("rtk.py")), "128", "180", str(rounds)]
    peer = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    print(
        f"| 128³, 180 | itk-rtk {peer['version']}: back-projection of FDK | {peer['cpu']:.2f} | {peer['wall']:.2f} "
        f"| {updates / peer['wall'] / 1e9:.2f} | {2 * updates / peer['cpu'] / 1e9:.2f} | |"
    )
    print(f"\nours against RTK: {peer['cpu'] / ours.cpu:.1f} by CPU, {peer['wall'] / ours.wall:.1f} by wall")


def ceiling(machine: dict[str, float]) -> float:
    """Updates of linear interpolation per second that one thread could do: two multiply-adds, two floats read."""
    return min(machine["FMA"] / 2, machine["L1 read"] / 8) * 1e9


def tell(what: str, pairs: list[tuple[str, Case, Case]], updates: float, most: float) -> None:
    """Print rows of the table.

    Parameters
    ----------
    updates : float
        (Pixel, view) pairs per slice: what a spatial method does, and what a Fourier method stands for, which is why
        the latter's share of the ceiling can exceed 1.
    most : float
        The ceiling [updates/s].
    """
    for name, ours, peer in pairs:
        rate = updates / ours.cpu
        print(
            f"| {what}, {ours.slices} | {name} | {ours.name} | {ours.cpu * 1e3:.2f} | {ours.wall * 1e3:.2f} "
            f"| {peer.name} | {peer.cpu * 1e3:.0f} | {peer.wall * 1e3:.0f} "
            f"| {peer.cpu / ours.cpu:.0f} | {peer.wall / ours.wall:.0f} | {rate / 1e9:.2f} | {rate / most:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
