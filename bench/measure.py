"""Speed and memory of the bone metrics beside other tools, on one volume in one run.

    python bench/measure.py [SIDE] [--threads N]
    python bench/measure.py 512 --one-call

Prints a Markdown table. Peers that are not installed (edt, localthickness) are left out; the first call of each of
our kernels compiles it and is not counted. Times are the best of a few runs, memory is what the process grew by at
its highest. CPU seconds are those of all threads together: on a machine that others use they say more than the wall.

With --one-call all numbers of the bone's structure are measured once, in one call of `measure` on grey values, and
the memory is the highest of the whole process, the volume itself included.
"""

import argparse
import importlib
import importlib.metadata
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import euler_number, marching_cubes, mesh_surface_area

from bonectl.core import threads
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.metrics import anisotropy, tbsp
from bonectl.morphology import cells, lines, rim
from bonectl.morphology.components import pieces
from bonectl.morphology.cut import Cut
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.minkowski import mean_curvature, surface_area
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.thickness import radius, squared_radius
from bonectl.ops.measure import STRUCTURE, measure

Work = Callable[[], Any]
CUBIC = (1.0, 1.0, 1.0)

# Every number of structure that is measured of one volume alone.
EVERYTHING = f"{STRUCTURE} + tbn_direct + concavity + porosity + fractal + tbpf + ellipsoid_factor"


def bone(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sheets between two level sets of a Gaussian field at BV/TV 0.2: mask and grey values (bone above 0.5)."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(side,) * 3).astype(np.float32), side / 21)
    edge = np.quantile(np.abs(field[::4, ::4, ::4]), 0.2)
    slope = np.abs(np.gradient(field, axis=0)).mean() * 2
    grey = np.clip(0.5 + (edge - np.abs(field)) / slope / 2, 0, 1).astype(np.float32)
    return grey > 0.5, grey


def resident_mib() -> float:
    """Memory of this process now [MiB]."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def cpu_seconds() -> float:
    """CPU time of all threads of this process so far [s]."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(work: Work, repeats: int) -> tuple[float, float, float]:
    """Least wall and CPU time [s] and highest growth [MiB]."""
    before, highest, done = resident_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], resident_mib() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), cpu_seconds()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
    done.set()
    watcher.join()
    return min(walls), min(cpus), highest[0]


def peer(name: str) -> ModuleType | None:
    """A package that may not be here."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def cases(mask: np.ndarray, grey: np.ndarray, count: int) -> dict[str, dict[str, Work]]:
    """Each task with ours first."""
    labels = np.where(mask, cells.BONE, cells.MARROW).astype(np.uint8)
    specimen = Specimen(labels, CUBIC, "label", Cut(0.5, "label", "bench"))
    counted = cells.count([labels], parts=count)
    tasks: dict[str, dict[str, Work]] = {
        "Euler number": {
            "bonectl (with BV)": lambda: cells.count([labels], parts=count).euler,
            "scikit-image euler_number": lambda: euler_number(mask, 3),
        },
        "bone surface": {
            "bonectl (Crofton)": lambda: surface_area(lines.count([labels]), CUBIC),
            "scikit-image marching cubes": lambda: mesh_surface_area(*marching_cubes(mask.view(np.uint8), 0.5)[:2]),
        },
        "mean curvature beside it": {"bonectl": lambda: mean_curvature(counted, rim.count([labels]), CUBIC)},
        "squared EDT": {
            "bonectl": lambda: squared_distance(mask),
            "SciPy": lambda: distance_transform_edt(mask),
        },
        "local thickness of bone": {
            "bonectl (bonej's balls)": lambda: squared_radius(mask, threads=count),
            "bonectl (subvoxel)": lambda: radius(mask, grey, 0.5, threads=count),
        },
        "Tb.Sp by the rule": {"bonectl": lambda: tbsp.tbsp(Specimen(labels, CUBIC, "label", specimen.cut))},
        "components and purification": {"bonectl": lambda: pieces(labels)},
        "anisotropy, 512 x 1000 lines": {"bonectl": lambda: anisotropy.anisotropy(specimen)},
    }
    if (edt := peer("edt")) is not None:
        tasks["squared EDT"]["edt"] = lambda: edt.edtsq(mask, parallel=count)
    if (local := peer("localthickness")) is not None:
        tasks["local thickness of bone"]["localthickness"] = lambda: local.local_thickness(mask)
        tasks["local thickness of bone"]["localthickness scale 0.5"] = lambda: local.local_thickness(mask, scale=0.5)
    return tasks


def compare(side: int, count: int) -> None:
    """Each task by each tool."""
    for tools in cases(*bone(24), count).values():
        for name, work in tools.items():
            if name.startswith("bonectl"):
                work()
    mask, grey = bone(side)
    peers = [name for name in ("edt", "localthickness") if peer(name) is not None]
    packages = ("bonectl", "scikit-image", "scipy", "numba", *peers)
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    print(f"{side}³ voxels, BV/TV {mask.mean():.3f}, {count} threads\n")
    print("| task | tool | wall, s | CPU, s | MiB | wall / ours | CPU / ours |\n|---|---|---|---|---|---|---|")
    for task, tools in cases(mask, grey, count).items():
        ours: tuple[float, float] | None = None
        for name, work in tools.items():
            wall, cpu, memory = measured(work, 3 if ours is None or ours[0] < 2 else 1)
            ours = ours or (wall, cpu)
            ratios = f"{wall / ours[0]:.1f} | {cpu / ours[1]:.1f}"
            print(f"| {task} | {name} | {wall:.3f} | {cpu:.3f} | {memory:.0f} | {ratios} |", flush=True)


def one_call(side: int) -> None:
    """All numbers of one volume at once."""
    density = 1050 * bone(side)[1]
    header = Header(shape=density.shape, dtype="<f4", spacing=(0.02,) * 3, unit="mgHA/cm3")
    wall, cpu = time.perf_counter(), cpu_seconds()
    table = measure(Stack.of(density, header), metrics=EVERYTHING)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    print(f"{side}³ voxels, {threads.count()} threads, compiling where nothing is cached: {len(table.rows)} numbers\n")
    print("| metrics | wall, s | CPU, s | peak of the process, GB |\n|---|---|---|---|")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"| {EVERYTHING} | {wall:.0f} | {cpu:.0f} | {peak:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", nargs="?", type=int, default=256, help="of the cubic volume [voxel]")
    parser.add_argument("--threads", type=int, default=0, help="0 is all cores")
    parser.add_argument("--one-call", action="store_true", help="all numbers of structure in one call")
    asked = parser.parse_args()
    threads.choose(asked.threads)
    count = min(threads.count(), numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(count)
    if asked.one_call:
        one_call(asked.side)
    else:
        compare(asked.side, count)


if __name__ == "__main__":
    main()
