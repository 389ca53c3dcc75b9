"""`measure` of a pipe: the numbers of sums in memory that does not grow with the volume."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tests import made

SHORT, LONG = 64, 512
SIDE = 160

# The longer volume has 46 MB more than the shorter one, and so has its mask: either would show if it were collected.
ROOM_KB = 20_000

NUMBERS = '--metrics "bvtv + surface + euler" --json --quiet'
RUNS = {
    "plain": "--threshold 500",
    "mask in a file": "--threshold 500 --mask {mask}",
    "Gaussian before a fixed threshold": '--threshold "fixed(value=500, sigma=1)"',
    "both": '--threshold "fixed(value=500, sigma=1)" --mask {mask}',
}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """An upright cylinder of bone, and a wider one as its volume of interest, of so many slices each: folder."""
    folder = tmp_path_factory.mktemp("stacks")
    middle = np.arange(SIDE) - (SIDE - 1) / 2
    square = middle[:, None] ** 2 + middle**2
    for name, unit, radius, inside in (("bone", "mgHA/cm3", 0.4, 1000), ("mask", "grey", 0.45, 1)):
        disc = np.where(square < (radius * SIDE) ** 2, np.float32(inside), np.float32(0))
        for slices in (SHORT, LONG):
            values = np.broadcast_to(disc, (slices, SIDE, SIDE))
            made.store(folder / f"{name}_{slices}.npy", values, unit=unit)
    return folder


def measured(folder, options, slices):
    """Numbers, and peak resident memory [kB], of `measure` at the end of a pipe of `slices` slices."""
    script = "import resource, sys; from bonectl.cli.boundary import run; status = run(sys.argv[1:]); "
    script += "sys.stdout.flush(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); "
    script += "sys.exit(status)"
    options = options.format(mask=f"mask_{slices}.npy")
    line = f'cat bone_{slices}.npy | {sys.executable} -c "{script}" measure {options} {NUMBERS}'
    run = subprocess.run(["bash", "-c", line], cwd=folder, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {row["name"]: row["value"] for row in json.loads(run.stdout)["rows"]}, int(run.stderr.split()[-1])


@pytest.mark.parametrize("options", RUNS.values(), ids=list(RUNS))
def test_memory_does_not_grow_with_the_volume(stacks, options):
    (few, before), (many, after) = (measured(stacks, options, slices) for slices in (SHORT, LONG))
    assert after - before < ROOM_KB, (before, after)
    # the same slice eight times as often, cut flat at both ends: one solid cylinder either way
    assert many["bv_voxels"] == LONG / SHORT * few["bv_voxels"]
    assert many["tv"] == pytest.approx(LONG / SHORT * few["tv"])
    assert (few["chi"], many["chi"]) == (1, 1)
