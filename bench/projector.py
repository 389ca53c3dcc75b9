"""Our projectors against ASTRA and scikit-image, in one process, interleaved: CPU seconds and wall seconds.

    python bench/projector.py [--large] [--rounds N] [--threads N]

Each row is the least of some rounds, per slice. Ratios are the peer's time over ours; those of CPU seconds compare
kernels, and move little on a busy machine; those of wall time are what a user sees on this machine. ASTRA's CPU
kernels and scikit-image use one thread.
"""

import argparse
import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import astra
import numpy as np
import torch
from skimage.transform import iradon

from bonectl.core import threads
from bonectl.core.projector import Projector
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp

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
    """ASTRA's CPU projector of one slice, its transpose, and its FBP."""

    def __init__(self, size: int, views: int, slice_: np.ndarray, sinogram: np.ndarray) -> None:
        self.volumes = astra.create_vol_geom(size, size)
        self.rays = astra.create_proj_geom("parallel", 1.0, size, np.linspace(0, np.pi, views, endpoint=False))
        self.projector = astra.create_projector("linear", self.rays, self.volumes)
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
    theirs = Astra(size, views, x[0].numpy(), y[0].numpy())
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
    cases = [*{id(c): c for _, ours, other in pairs for c in (ours, other)}.values()]
    for ours in (pair[1] for pair in pairs):
        ours.call()  # compiles, and makes the plan
    for turn in range(rounds):
        for case in cases:
            if turn < case.rounds:
                case.run()
    return pairs


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--large", action="store_true", help="also 1024 x 1024, 1500 views")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=0)
    chosen = options.parse_args()
    threads.choose(chosen.threads)
    packages = ("bonectl", "astra-toolbox", "scikit-image", "numba", "scipy", "torch", "numpy")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    print(f"{platform.machine()}, {threads.available()} processors, {threads.count()} threads used\n")
    print("| size, views, slices | what | ours | CPU ms | wall ms | peer | CPU ms | wall ms | CPU ratio | wall ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    sizes = [(512, 768, 32, True)] + ([(1024, 1500, 16, False)] if chosen.large else [])
    for size, views, slices, every in sizes:
        for what, ours, peer in compare(size, views, slices, chosen.rounds, every=every):
            print(
                f"| {size}², {views}, {ours.slices} | {what} | {ours.name} | {ours.cpu * 1e3:.2f} "
                f"| {ours.wall * 1e3:.2f} | {peer.name} | {peer.cpu * 1e3:.0f} | {peer.wall * 1e3:.0f} "
                f"| {peer.cpu / ours.cpu:.0f} | {peer.wall / ours.wall:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
