"""What it costs to start: help beside the import of typer, commands on a small specimen beside that of numpy and numba.

    python bench/startup.py [--rounds N] [--before SRC]

Medians of interleaved runs of whole processes, CPU seconds and wall seconds. Every result is looked at. With --before
the same command lines run in another source tree too, in the same rounds. Kernels have been compiled by the first
round, which does not count.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

BONECTL = (sys.executable, "-m", "bonectl")
SMALL = {
    "info": ("info bone.npy --json", "unit"),
    "convert": ("convert bone.npy -f -o new.npy", "new.npy"),
    "phantom": ("phantom iliac --shape 16,64,64 --voxel-size 0.02 -f -o new.npy", "new.npy"),
    "measure -m bvtv": ("measure fbp.npy -m bvtv --json", "bvtv"),
    "measure": ("measure fbp.npy --json", "bvtv"),
    "simulate, 60 views": ("simulate bone.npy --views 60 -f -o new.npy", "new.npy"),
    "reconstruct": ("reconstruct scan.npy -f -o new.npy", "new.npy"),
    "reconstruct, sirt(iterations=3)": ("reconstruct scan.npy --method sirt(iterations=3) -f -o new.npy", "new.npy"),
    "reconstruct --dry-run": ("reconstruct scan.npy --dry-run --json -o none.npy", "memory_bytes"),
    "denoise, gaussian": ("denoise fbp.npy --model gaussian(sigma=1) -f -o new.npy", "new.npy"),
    "denoise, a network": ("denoise fbp.npy --model net.safetensors -f -o new.npy", "new.npy"),
}
MADE = (
    "phantom iliac --shape 16,64,64 --voxel-size 0.02 --seed 1 -o bone.npy",
    "simulate bone.npy --views 60 --seed 1 -o scan.npy",
    "reconstruct scan.npy --unit mgHA/cm3 -o fbp.npy",
    "train fbp.npy -t bone.npy --model unet2d(width=4) --steps 1 --patch 16 -o net.safetensors",
)


def cost(argv: tuple[str, ...], folder: Path, source: str | None) -> tuple[float, float, str]:
    """CPU and wall seconds of a process, and what it printed."""
    world = os.environ | ({"PYTHONPATH": source} if source else {})
    before, start = children(), time.perf_counter()
    said = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=folder, env=world).stdout
    return children() - before, time.perf_counter() - start, said


def children() -> float:
    """CPU seconds of all ended processes that this one started; finer than the hundredths that `os.times` counts."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check(name: str, wanted: str, said: str, folder: Path) -> None:
    """A run that made nothing has taken no time."""
    if wanted.endswith(".npy"):
        values = np.load(folder / wanted)
        ok = bool(np.isfinite(values).all() and values.any())
        (folder / wanted).unlink()
    elif wanted == "Usage":
        ok = said.startswith("Usage: bonectl")
    else:
        ok = not wanted or wanted in json.dumps(json.loads(said))
    if not ok:
        sys.exit(f"{name} did not do its work; its time means nothing")


def lines(before: str | None) -> dict[str, tuple[tuple[str, ...], str, str | None]]:
    """Command lines by name, what to look for in their results, and the tree that they run in."""
    python = (sys.executable, "-c")
    found: dict[str, tuple[tuple[str, ...], str, str | None]] = {
        "python -c 'import typer'": ((*python, "import typer"), "", None),
        "python -c 'import numpy, numba'": ((*python, "import numpy, numba"), "", None),
        "python -c 'import torch'": ((*python, "import torch"), "", None),
    }
    for tree in (None, before) if before else (None,):
        mark = "" if tree is None else ", before"
        found[f"--help{mark}"] = ((*BONECTL, "--help"), "Usage", tree)
        found[f"train --help{mark}"] = ((*BONECTL, "train", "--help"), "Usage", tree)
        for name, (line, wanted) in SMALL.items():
            found[f"{name}{mark}"] = ((*BONECTL, *line.split(" "), "-q"), wanted, tree)
    return found


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--before", metavar="SRC", help="folder that holds another bonectl")
    given = options.parse_args()
    runs: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for line in MADE:
            cost((*BONECTL, *line.split(" "), "-q"), folder, None)
        for index in range(given.rounds + 1):
            for name, (argv, wanted, tree) in lines(given.before).items():
                cpu, wall, said = cost(argv, folder, tree)
                check(name, wanted, said, folder)
                if index:
                    runs.setdefault(name, []).append((cpu, wall))
    middle = {name: (median(cpu for cpu, _ in each), median(wall for _, wall in each)) for name, each in runs.items()}
    typer, arrays, torch = (middle[name][0] for name in list(middle)[:3])
    print("| what | CPU s | wall s | over numpy, numba | × typer | × torch |\n|---|---|---|---|---|---|")
    for name, (cpu, wall) in middle.items():
        print(f"| {name} | {cpu:.3f} | {wall:.3f} | {cpu - arrays:+.2f} | {cpu / typer:.2f} | {cpu / torch:.2f} |")


if __name__ == "__main__":
    main()
