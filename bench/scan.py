"""A whole scan from HDF5 to TIFF: flats, FBP and writing, against the disk and against the kernels alone.

    python bench/scan.py [--rows 1024] [--size 1024] [--views 1500] [--steps "flats"]

A scan of an ellipse, a little denser in every row, is written as a beamline leaves it (uint16 counts with flats, darks
and angles; 3.1 GB at the defaults, below TMPDIR, removed again). Printed are seconds and MB/s of scan of

- the command, `bonectl reconstruct SCAN.h5 --prepare STEPS -o OUT.tif`, as the user types it;
- the disk: a copy of the scan and of the volume by `cp`, synced;
- the kernels: FBP of as many rows that lie in memory already, with the same threads.

Peak memory stands beside what `--dry-run` said. Ends with status 1 where the middle of a slice is not what it must be;
the control, the same scan taken without its darks, must be further off than that.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import tifffile
import torch
from memory import VOXEL, ellipse
from truth import Judge

from bonectl.core import threads
from bonectl.core.geometry import Geometry
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp
from bonectl.projection.projector import Projector

DARK, BEAM = 3000, 40000
RIGHT = 0.01


def write_scan(path: Path, geometry: Geometry) -> None:
    """Projections, flats, darks and angles; every row a little denser than the one before."""
    row = ellipse(geometry)[0]
    rows, views, columns = geometry.shape
    density = 1 + np.arange(rows, dtype=np.float32)[:, None] / rows
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", (views, rows, columns), "<u2", chunks=(1, rows, columns))
        for view in range(views):
            data[view] = np.rint(DARK + BEAM * np.exp(-row[view] * density))
        file["exchange/data_white"] = np.full((4, rows, columns), DARK + BEAM, "<u2")
        file["exchange/data_dark"] = np.full((4, rows, columns), DARK, "<u2")
        file["exchange/theta"] = geometry.angles.degrees
        file["measurement/instrument/detection_system/objective/resolution"] = VOXEL * 1e3


def timed(words: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak resident bytes and output of a command."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        if status:
            sys.exit(f"{' '.join(words)} ended with status {os.waitstatus_to_exitcode(status)}")
        return time.perf_counter() - begun, usage.ru_maxrss * 1024, said.read()


def kernels(geometry: Geometry, rows: int = 16) -> float:
    """Seconds of FBP of all rows, from some that lie in memory."""
    block = geometry.replace(rows=rows)
    lines = torch.from_numpy(np.repeat(ellipse(geometry), rows, axis=0))
    projector = Projector(block)
    fbp(projector, lines)  # compiles
    begun = time.perf_counter()
    fbp(projector, lines)
    return (time.perf_counter() - begun) * geometry.rows / rows


def middle(path: Path, row: int) -> float:
    """Mean of the middle of one slice of a volume."""
    values = tifffile.imread(path, key=row)
    side = len(values) // 20
    centre = len(values) // 2
    return float(values[centre - side : centre + side, centre - side : centre + side].mean())


def main() -> None:
    """Print the table; 1 where a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--views", type=int, default=1500)
    parser.add_argument("--steps", default="flats")
    given = parser.parse_args()
    geometry = parallel(given.size, given.rows, VOXEL, views=given.views, columns=given.size)
    judge = Judge()
    bonectl = [sys.executable, "-m", "bonectl", "reconstruct"]
    with tempfile.TemporaryDirectory() as name:
        scan, volume = Path(name) / "scan.h5", Path(name) / "volume.tif"
        write_scan(scan, geometry)
        size = scan.stat().st_size
        line = [*bonectl, str(scan), "--prepare", given.steps, "--centre", str(geometry.centre), "-o", str(volume)]
        told = json.loads(timed([*line, "--dry-run", "--json"])[2])["memory_bytes"]
        command, peak, _ = timed(line)
        copied = timed(["sh", "-c", f"cp {scan} {scan}.2 && cp {volume} {volume}.2 && sync"])[0]
        alone = kernels(geometry)
        rows = [0, given.rows // 2, given.rows - 1]
        error = max(abs(middle(volume, row) / (2 * (1 + row / given.rows)) - 1) for row in rows)
        print(f"{given.rows} rows x {given.views} views x {given.size}, {size / 1e9:.2f} GB, {threads.count()} threads")
        print(f"{'':26}{'s':>9}{'MB/s':>9}  error")
        for what, seconds in (("the command", command), ("cp of scan and volume", copied), ("kernels alone", alone)):
            cell = judge("the command", error, RIGHT) if what == "the command" else ""
            print(f"{what:26}{seconds:9.1f}{size / 1e6 / seconds:9.0f}  {cell}")
        print(f"the command takes {command / max(copied, alone):.2f} x the slower of the two")
        print(f"peak memory {peak / 2**30:.2f} GiB, told {told / 2**30:.2f} GiB")
        with h5py.File(scan, "a") as file:
            del file["exchange/data_dark"]
        timed([*line[:-1], str(volume), "--force"])
        judge.refuse("without its darks", abs(middle(volume, rows[1]) / (2 * (1 + rows[1] / given.rows)) - 1), RIGHT)
    judge.close()


if __name__ == "__main__":
    main()
