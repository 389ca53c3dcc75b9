"""Peak memory and time of a large reconstruction, against what `bonectl reconstruct --dry-run` said before.

    python bench/memory.py [--slices 64] [--size 2048] [--views 1500] [--max-memory 6G]

The scan of an ellipse (0.8 GB at the defaults) is written below TMPDIR and removed again. Ends with status 1 where the
middle of any slice is not what it must be.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from truth import Judge

from bonectl.core.geometry import Geometry
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import chain
from bonectl.geometries.parallel import parallel
from bonectl.io import npy

VOXEL = 0.01


def ellipse(geometry: Geometry) -> np.ndarray:
    """Exact line integrals (1, view, col) of an ellipse of 2 1/cm that fills 0.8 × 0.6 of the grid."""
    angles = geometry.angles.radians[:, None]
    s = (np.arange(geometry.columns) - geometry.centre)[None] * VOXEL
    a, b = 0.4 * geometry.size * VOXEL, 0.3 * geometry.size * VOXEL
    squared = (a * np.cos(angles)) ** 2 + (b * np.sin(angles)) ** 2
    chord = 2 * a * b / squared * np.sqrt(np.maximum(0, squared - s**2))
    return (2 * chord / 10)[None].astype(np.float32)


def write_scan(path: Path, geometry: Geometry) -> None:
    """The same ellipse in every row, each a little denser."""
    row = ellipse(geometry)
    spacing = (VOXEL, None, VOXEL)
    header = Header(shape=geometry.shape, axes=SINOGRAMS, spacing=spacing, unit="line integral", geometry=geometry)

    def slabs() -> Iterator[np.ndarray]:
        for index in range(geometry.rows):
            yield row * np.float32(1 + index / geometry.rows)

    with path.open("wb") as file:
        npy.write(chain(header, slabs()), file)


def run(arguments: list[str]) -> tuple[float, float, float]:
    """Peak resident memory [GiB], wall and CPU seconds of a bonectl command."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "bonectl", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"bonectl {' '.join(arguments)} ended with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 2**20, time.perf_counter() - begun, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Write a scan, say what is expected, reconstruct it, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--views", type=int, default=1500)
    parser.add_argument("--max-memory", default="6G")
    given = parser.parse_args()
    geometry = parallel(given.size, given.slices, VOXEL, views=given.views, columns=given.size)
    with tempfile.TemporaryDirectory(prefix="bonectl-bench-") as folder:
        scan, volume = Path(folder, "scan.npy"), Path(folder, "volume.npy")
        write_scan(scan, geometry)
        command = ["reconstruct", str(scan), "-o", str(volume), "--max-memory", given.max_memory]
        plan = [sys.executable, "-m", "bonectl", *command, "--dry-run"]
        said = subprocess.run(plan, check=True, capture_output=True, text=True).stdout
        peak, wall, cpu = run(command)
        slices, half = np.load(volume, mmap_mode="r"), given.size // 2
        middle = np.array([values[half - 8 : half + 8, half - 8 : half + 8].mean() for values in slices])
    for line in said.splitlines():
        if line.split("\t")[0] in ("block", "memory", "time"):
            print("said before:", line.replace("\t", " "))
    print(f"FBP of {given.slices} slices of {given.size}² from {given.views} views:", end=" ")
    judge, right = Judge(), 2 * (1 + np.arange(given.slices) / given.slices)
    error = judge("the middle of every slice", float(np.abs(middle / right - 1).max()), 0.002)
    print(
        f"peak {peak:.2f} GiB, {wall:.0f} s, {cpu:.0f} CPU seconds; 2 1/cm in the middle came out as {middle[0]:.4f},"
    )
    print(f"and the middles of all slices are right to {error}")
    judge.close()


if __name__ == "__main__":
    main()
