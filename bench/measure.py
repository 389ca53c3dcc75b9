"""Speed and memory of the bone metrics beside other tools, on one volume in one run.

    python bench/measure.py [SIDE] [THREADS]

Prints a Markdown table. Peers that are not installed (edt, localthickness) are left out; the first call of each of
our kernels compiles it and is not counted. Times are the best of a few runs, memory is what the process grew by at
its highest.
"""

import importlib
import resource
import sys
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
from bonectl.metrics import anisotropy, tbsp
from bonectl.morphology import cells
from bonectl.morphology.components import pieces
from bonectl.morphology.cut import Cut
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.minkowski import mean_curvature, surface_area
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.thickness import radius, squared_radius

Work = Callable[[], Any]
CUBIC = (1.0, 1.0, 1.0)


def bone(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sheets between two level sets of a Gaussian field at BV/TV 0.2: mask and grey values (bone above 0.5)."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(side,) * 3).astype(np.float32), side / 21)
    edge = np.quantile(np.abs(field[::4, ::4, ::4]), 0.2)
    slope = np.abs(np.gradient(field, axis=0)).mean() * 2
    grey = np.clip(0.5 + (edge - np.abs(field)) / slope / 2, 0, 1).astype(np.float32)
    return grey > 0.5, grey


def peak_mib() -> float:
    """Memory of this process now [MiB]."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def measured(work: Work, repeats: int) -> tuple[float, float]:
    """Best time [s] and highest growth [MiB]."""
    before, highest, done = peak_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], peak_mib() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    done.set()
    watcher.join()
    return min(times), highest[0]


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
            "bonectl (with BV, BS, curvature)": lambda: cells.count([labels], parts=count).euler,
            "scikit-image euler_number": lambda: euler_number(mask, 3),
        },
        "bone surface": {
            "bonectl (Crofton)": lambda: surface_area(cells.count([labels], parts=count), CUBIC),
            "scikit-image marching cubes": lambda: mesh_surface_area(*marching_cubes(mask.view(np.uint8), 0.5)[:2]),
        },
        "SMI from counts": {"bonectl": lambda: mean_curvature(counted, CUBIC)},
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


def main(side: int = 256, count: int = 0) -> None:
    """Measure and print."""
    threads.choose(count)
    count = min(threads.count(), numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(count)
    for tools in cases(*bone(24), count).values():
        for name, work in tools.items():
            if name.startswith("bonectl"):
                work()
    mask, grey = bone(side)
    print(f"{side}³ voxels, BV/TV {mask.mean():.3f}, {count} threads\n")
    print("| task | tool | s | MiB | times ours |\n|---|---|---|---|---|")
    for task, tools in cases(mask, grey, count).items():
        first = 0.0
        for name, work in tools.items():
            seconds, memory = measured(work, 3 if first < 2 else 1)
            first = first or seconds
            print(f"| {task} | {name} | {seconds:.3f} | {memory:.0f} | {seconds / first:.1f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
