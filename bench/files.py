"""From file to file: commands beside the work itself, beside `cp`, and a folder of slices beside a plain loop.

    python bench/files.py [--rounds N] [--before SRC] [--rows 64] [--views 1500] [--columns 1024] [--slices 3000]

Medians of interleaved runs, CPU seconds (user and system) and wall seconds of whole processes; every result is looked
at. "Kernels" is filtered back-projection of arrays in memory, without start-up. What `cp` and `cat` take says what the
disk does, or the memory that stands for it.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

import bonectl
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp
from bonectl.projection.system import System

LOOP = """
import sys, numpy, tifffile
from pathlib import Path
stack, folder = numpy.load(sys.argv[1], mmap_mode="r"), Path(sys.argv[2])
folder.mkdir()
for index, image in enumerate(stack):
    tifffile.imwrite(folder / f"s_{index:05d}.tif", image)
"""
IDLE = "import numpy, numba"


def used(who: int) -> float:
    """CPU seconds of this process, or of all children that ended."""
    now = resource.getrusage(who)
    return now.ru_utime + now.ru_stime


def run(argv: list[str], folder: Path, source: str | None = None) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    world = os.environ | ({"PYTHONPATH": source} if source else {})
    before, start = used(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, cwd=folder, env=world)
    return used(resource.RUSAGE_CHILDREN) - before, time.perf_counter() - start


def make(folder: Path, rows: int, views: int, columns: int, slices: int) -> None:
    """A scan of a cylinder that differs from row to row, a volume of it, and small slices."""
    g = parallel(columns, rows, 0.01, views=views, columns=columns)
    y, x = np.mgrid[:columns, :columns] - (columns - 1) / 2
    disc = (np.hypot(x, y) < 0.4 * columns).astype(np.float32)[None]
    row = System(g)(disc)
    header = Header(shape=g.shape, axes=SINOGRAMS, unit="line integral", geometry=g, spacing=(0.01, None, 0.01))
    bonectl.write(Stack(header, (row * np.float32(1 + n / rows) for n in range(rows))), folder / "scan.npy")
    noise = np.random.default_rng(0).integers(0, 60000, (slices, 256, 256), dtype=np.uint16)
    np.save(folder / "slices.npy", noise)


def kernels(folder: Path) -> tuple[float, float]:
    """Filtered back-projection of the scan in memory, block by block."""
    scan = bonectl.read(folder / "scan.npy")
    lines, A = scan.collect(), System(scan.header.geometry)
    before, start = used(resource.RUSAGE_SELF), time.perf_counter()
    for low in range(0, len(lines), A.block):
        fbp(A, lines[low : low + A.block])
    return used(resource.RUSAGE_SELF) - before, time.perf_counter() - start


def look(name: str, folder: Path, truth: dict[str, np.ndarray]) -> str:
    """What a row made, judged by what it should be; a wrong result ends the benchmark."""
    made = folder / "new"
    if name.startswith("reconstruct"):
        volume = np.load(made.with_suffix(".npy"), mmap_mode="r")
        middle = volume.shape[1] // 2
        found = np.asarray(volume[:, middle - 50 : middle + 50, middle - 50 : middle + 50]).mean(axis=(1, 2))
        error = float(np.abs(found - truth["rows"]).max())
        good, said = error < 2e-3, f"error in the middle {error:.1e}"
    elif "slices" in name or "loop" in name:
        import tifffile

        last = sorted(made.glob("s_*.tif"))[-1]
        good, said = np.array_equal(tifffile.imread(last), truth["last"]), "the last slice is right"
    elif name.startswith(("convert", "cp")):
        good = np.array_equal(np.load(made.with_suffix(".npy"), mmap_mode="r")[-1], truth["lines"])
        said = "the last slice is right"
    else:
        good, said = True, ""
    if not good:
        sys.exit(f"{name}: wrong result ({said})")
    for left in (made, made.with_suffix(".npy")):
        shutil.rmtree(left, ignore_errors=True)
        left.unlink(missing_ok=True)
    return said


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--before", metavar="SRC", help="folder that holds another bonectl")
    for name, usual in (("rows", 64), ("views", 1500), ("columns", 1024), ("slices", 3000)):
        options.add_argument(f"--{name}", type=int, default=usual)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        folder = Path(place)
        make(folder, given.rows, given.views, given.columns, given.slices)
        truth = {
            "rows": 1 + np.arange(given.rows, dtype=np.float64) / given.rows,
            "last": np.load(folder / "slices.npy", mmap_mode="r")[-1],
            "lines": np.load(folder / "scan.npy", mmap_mode="r")[-1],
        }
        ours = [sys.executable, "-m", "bonectl"]
        to_slices = ["convert", "slices.npy", "--voxel-size", "0.02", "--input-unit", "grey", "-o", "new/s_%05d.tif"]
        lines: dict[str, Callable[[], tuple[float, float]]] = {
            "python -c 'import numpy, numba'": lambda: run([sys.executable, "-c", IDLE], folder),
            "kernels: fbp in memory": lambda: kernels(folder),
            "cp of the scan": lambda: run(["cp", "scan.npy", "new.npy"], folder),
            "cat of the scan": lambda: run(["bash", "-c", "cat scan.npy > /dev/null"], folder),
            "loop of tifffile.imwrite": lambda: run([sys.executable, "-c", LOOP, "slices.npy", "new"], folder),
        }
        for tree in (None, given.before) if given.before else (None,):
            mark = "" if tree is None else ", before"
            for name, words in {
                "reconstruct scan.npy": ["reconstruct", "scan.npy", "-o", "new.npy"],
                "convert scan.npy": ["convert", "scan.npy", "-o", "new.npy"],
                "info scan.npy --stats": ["info", "scan.npy", "--stats"],
                "convert to a folder of slices": to_slices,
            }.items():
                lines[name + mark] = lambda words=words, tree=tree: run([*ours, *words, "-q"], folder, tree)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in lines}
        said: dict[str, str] = {}
        for _ in range(given.rounds):
            for name, work in lines.items():
                runs[name].append(work())
                said[name] = look(name, folder, truth)
    print("| what | CPU s | wall s | result |\n|---|---|---|---|")
    for name, each in runs.items():
        print(f"| {name} | {median(c for c, _ in each):.2f} | {median(w for _, w in each):.2f} | {said[name]} |")


if __name__ == "__main__":
    main()
