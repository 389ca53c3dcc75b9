"""Speed and memory of the bone metrics beside other tools, on one volume in one run.

    python bench/measure.py [SIDE] [--threads N]
    python bench/measure.py 512 --one-call

Prints a Markdown table, in which every row has the error of its result; ends with status 1 where one is wrong. Peers
that are not installed (edt, localthickness) are left out; the first call of each of our kernels compiles it and is not
counted. Times are the best of a few runs, memory is what the process grew by at its highest. CPU seconds are those of
all threads together: on a machine that others use they say more than the wall.

With --one-call all numbers of the bone's structure are measured once, in one call of `measure` on grey values, and
the memory is the highest of the whole process, the volume itself included.
"""

import argparse
import importlib
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import euler_number, label, marching_cubes, mesh_surface_area
from truth import Judge, versions

from bonectl.core import threads
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.core.table import Number
from bonectl.measuring.request import usual
from bonectl.metrics import anisotropy, tbsp
from bonectl.morphology import cells, lines, rim
from bonectl.morphology.components import pieces
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.minkowski import mean_curvature, surface_area
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.thickness import radius, squared_radius
from bonectl.morphology.threshold import Threshold
from bonectl.ops.measure import measure

Work = Callable[[], Any]
CUBIC = (1.0, 1.0, 1.0)


@dataclass
class Task:
    """What several tools do, ours first.

    Parameters
    ----------
    tools : mapping
        From names to calls.
    error : callable
        From a tool's result to its relative error, against an independent tool or a closed form.
    most : float
        The error of a result that is right.
    """

    tools: dict[str, Work]
    error: Callable[[Any], float]
    most: float


# Every number of structure that is measured of one volume alone.
EVERYTHING = (
    f"{usual(dense=False, compared=False)} + tbn_direct + concavity + porosity + fractal + tbpf + ellipsoid_factor"
)


def bone(side: int, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Sheets between two level sets of a Gaussian field at BV/TV 0.2: mask and grey values (bone above 0.5).

    Stretched along z, an isotropic field has a degree of anisotropy of 1 - 1 / stretch^2.
    """
    size = max(side / 21, 6 if stretch == 1 else 3)
    noise = np.random.default_rng(0).normal(size=(side,) * 3).astype(np.float32)
    field = gaussian_filter(noise, (stretch * size, size, size))
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


def measured(work: Work, repeats: int) -> tuple[float, float, float, Any]:
    """Least wall and CPU time [s], highest growth [MiB], and the last result."""
    before, highest, done = resident_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], resident_mib() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    walls, cpus, result = [], [], None
    for _ in range(repeats):
        result = None  # or two results lie in memory
        wall, cpu = time.perf_counter(), cpu_seconds()
        result = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
    done.set()
    watcher.join()
    return min(walls), min(cpus), highest[0], result


def peer(name: str) -> ModuleType | None:
    """A package that may not be here."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def largest_ball(distance: np.ndarray, point: np.ndarray) -> float:
    """The radius of the largest ball that holds a voxel, by the definition: over all centres near enough [voxel]."""
    reach = int(distance.max()) + 1
    low = np.maximum(point - reach, 0)
    near = distance[tuple(slice(start, middle + reach + 1) for start, middle in zip(low, point, strict=True))]
    z, y, x = np.ogrid[: near.shape[0], : near.shape[1], : near.shape[2]]
    away = np.sqrt((z + low[0] - point[0]) ** 2 + (y + low[1] - point[1]) ** 2 + (x + low[2] - point[2]) ** 2)
    return float(near[away < near].max())


def cases(mask: np.ndarray, grey: np.ndarray, count: int) -> dict[str, Task]:
    """Each task with ours first."""
    labels = np.where(mask, cells.BONE, cells.MARROW).astype(np.uint8)
    specimen = Specimen(labels, CUBIC, "label", Threshold(0.5, "label", "bench"))
    long = np.where(bone(len(mask), stretch=2)[0], cells.BONE, cells.MARROW).astype(np.uint8)
    stretched = Specimen(long, CUBIC, "label", Threshold(0.5, "label", "bench"))
    away = np.sqrt(((np.indices(mask.shape) - (len(mask) - 1) / 2) ** 2).sum(axis=0))
    ball = np.where(away < 0.4 * len(mask), cells.BONE, cells.MARROW).astype(np.uint8)
    counted = cells.count([ball], parts=count)
    chi = euler_number(mask, 3)
    squared = distance_transform_edt(mask) ** 2
    widest = 2 * float(distance_transform_edt(~mask).max())
    mesh = mesh_surface_area(*marching_cubes(grey, 0.5)[:2])  # of the grey values: its stairs are no surface
    where = np.argwhere(mask)[np.random.default_rng(1).choice(int(mask.sum()), 300, replace=False)].T
    letter = np.array([2 * largest_ball(np.sqrt(squared), point) for point in where.T])
    tasks = {
        "Euler number": Task(
            {
                "bonectl (with BV)": lambda: cells.count([labels], parts=count).euler,
                "scikit-image euler_number": lambda: euler_number(mask, 3),
            },
            lambda found: abs(found - chi),
            0.0,
        ),
        "bone surface": Task(
            {
                "bonectl (Crofton)": lambda: surface_area(lines.count([labels]), CUBIC),
                "scikit-image marching cubes": lambda: mesh_surface_area(*marching_cubes(mask.view(np.uint8), 0.5)[:2]),
            },
            lambda found: abs(found / mesh - 1),
            0.12,  # marching cubes of a mask reads 8 % high on any surface
        ),
        "mean curvature beside it": Task(
            {"bonectl (of a ball)": lambda: mean_curvature(counted, rim.count([ball]), CUBIC)},
            lambda found: abs(found / (4 * np.pi * 0.4 * len(mask)) - 1),
            0.05,
        ),
        "squared EDT": Task(
            {"bonectl": lambda: squared_distance(mask), "SciPy": lambda: distance_transform_edt(mask) ** 2},
            lambda found: float(np.abs(found - squared).max()),
            1e-3,
        ),
        "local thickness of bone": Task(
            {
                "bonectl (bonej's balls)": lambda: 2 * np.sqrt(squared_radius(mask, threads=count)),
                "bonectl (subvoxel)": lambda: 2 * radius(mask, grey, 0.5, threads=count),
            },
            lambda found: abs(np.asarray(found)[*where].mean() / letter.mean() - 1),
            0.1,  # of conventions: surfaces between the voxels are a voxel nearer to each other than voxels beyond them
        ),
        "Tb.Sp by the rule": Task(
            {"bonectl": lambda: tbsp.tbsp(Specimen(labels, CUBIC, "label", specimen.threshold))},
            lambda found: abs(
                {one.name: one.value for one in found if isinstance(one, Number)}["tbsp_max"] / widest - 1
            ),
            0.02,
        ),
        "components and purification": Task(
            {"bonectl": lambda: pieces(labels)},
            lambda found: abs(found.components - label(mask, connectivity=3, return_num=True)[1]),
            0.0,
        ),
        "anisotropy, 512 x 1000 lines": Task(
            {"bonectl (stretched twice)": lambda: anisotropy.anisotropy(stretched)},
            lambda found: abs({one.name: one.value for one in found if isinstance(one, Number)}["da"] - 0.75),
            0.15,  # of few trabeculae, and what smoothing the mask costs
        ),
    }
    if (edt := peer("edt")) is not None:
        tasks["squared EDT"].tools["edt"] = lambda: edt.edtsq(mask, parallel=count)
    if (local := peer("localthickness")) is not None:
        tools = tasks["local thickness of bone"].tools
        tools["localthickness"] = lambda: 2 * local.local_thickness(mask)
        tools["localthickness scale 0.5"] = lambda: 2 * local.local_thickness(mask, scale=0.5)
    return tasks


def compare(side: int, count: int) -> None:
    """Each task by each tool."""
    for task in cases(*bone(24), count).values():
        for name, work in task.tools.items():
            if name.startswith("bonectl"):
                work()
    mask, grey = bone(side)
    peers = [name for name in ("edt", "localthickness") if peer(name) is not None]
    print(versions("scikit-image", "scipy", "numba", *peers))
    print(f"{side}³ voxels, BV/TV {mask.mean():.3f}, {count} threads\n")
    print(
        "| task | tool | wall, s | CPU, s | MiB | error | wall / ours | CPU / ours |\n|---|---|---|---|---|---|---|---|"
    )
    judge = Judge()
    for what, task in cases(mask, grey, count).items():
        ours: tuple[float, float] | None = None
        for name, work in task.tools.items():
            wall, cpu, memory, result = measured(work, 3 if ours is None or ours[0] < 2 else 1)
            ours = ours or (wall, cpu)
            ratios = f"{wall / ours[0]:.1f} | {cpu / ours[1]:.1f}"
            error = judge(f"{what}: {name}", task.error(result), task.most)
            print(f"| {what} | {name} | {wall:.3f} | {cpu:.3f} | {memory:.0f} | {error} | {ratios} |", flush=True)
    judge.close()


def one_call(side: int) -> None:
    """All numbers of one volume at once."""
    mask, grey = bone(side)
    density = 1050 * grey
    header = Header(shape=density.shape, dtype="<f4", spacing=(0.02,) * 3, unit="mgHA/cm3")
    wall, cpu = time.perf_counter(), cpu_seconds()
    table = measure(Stack.of(density, header), metrics=EVERYTHING)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    print(f"{side}³ voxels, {threads.count()} threads, compiling where nothing is cached: {len(table.rows)} numbers\n")
    print("| metrics | wall, s | CPU, s | peak of the process, GB | error of BV/TV |\n|---|---|---|---|---|")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    judge, known = Judge(), {row.number.name: row.number.value for row in table.rows}
    error = judge("BV/TV", abs(known["bvtv"] / mask.mean() - 1), 0.01)
    judge("the Euler number", abs(known["chi"] - euler_number(grey > 0.5, 3)), 0.0)
    print(f"| {EVERYTHING} | {wall:.0f} | {cpu:.0f} | {peak:.2f} | {error} |")
    judge.close()


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
