"""What must not change a bone number, for every metric of the kit: turning, mirroring, padding, finer slices, units.

The metrics are those that the kit has, so that a new one is held to the same; what it may do instead is in the tables
below, with the reason.
"""

import inspect
from functools import cache
from math import isnan

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bonectl.core import kit
from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.cells import BONE, MARROW, OUTSIDE
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold

# Numbers of a bone with a cortex, which this specimen has not.
METRICS = [name for name in kit.names("metrics") if name not in ("cortical", "ctth")]
KNOBS = {"ellipsoid_factor": {"points": 60}}  # fewer than by default, for the time it takes

SIDE = 0.02
RIM = 3
THRESHOLD = 525.0

# Relative change that is allowed instead of rounding, by row or else by metric.
ROUNDING = 1e-5
BALLS = {"tbth": 1e-3, "tbsp": 1e-3, "tbn": 1e-3}  # where two surfaces are equally near, the first moves a ball
TURNED = BALLS | {
    "tbth_distance": 0.05,  # between two maps that are 0.1 voxel apart
    "da": 0.04,  # 512 directions by the golden angle
    "da_ratio": 0.01,
    "da_tilt": 0.05,
}
PADDED = {"concavity": 1e-3}  # a filter that is mirrored at the border of the stack
FINER = {
    # Doubled slices are stairs that no finer scan has: 5 % more surface and 4 % more curvature. Of slices that are
    # really finer: tests/morphology/test_minkowski.py.
    "surface": 0.06,
    "smi": 0.09,
    "tbpf": 0.04,
    "da": 0.15,  # within what isotropic bone reads; lines through a mask smoothed less along z
    "da_ratio": 0.03,
}

# What means something else after a change, by definition: metrics, or rows of one.
DRAWN = "points are drawn, others in a turned volume"
NOT_SWAPPED = {"da_tilt": "an angle to the z axis", "ellipsoid_factor": DRAWN}
NOT_MIRRORED = {"fractal": "boxes from the corner of the stack", "ellipsoid_factor": DRAWN}
NOT_PADDED = {
    "fsc": "of the whole stack, tapered towards its border",
    "ssim": "without the voxels near the border of the stack",
    "fractal": "boxes by the size of the stack, from its corner",
}
NOT_FINER = {
    "ssim": "a window of voxels",
    "tmd_eroded": "layers of voxels",
    "surface_distance": "between surface voxels",
    "da_tilt": "of a nearly isotropic structure",
}

POWERS = {"1": 0, "voxels": 0, "dB": 0, "degree": 0, "mgHA/cm3": 0, "um": 1, "mm": 1, "mm2": 2, "mm3": 3}
POWERS |= {f"1/{unit}": -power for unit, power in POWERS.items() if power}


def blobs():
    """A structure thick enough for every metric, without noise and with; inside a rim that is not looked at."""
    rng = np.random.default_rng(3)
    field = gaussian_filter(rng.normal(size=(56, 56, 56)), 4.5)
    clean = (1050 / (1 + np.exp(-(field - field.std() * 0.3) / field.std() * 9))).astype(np.float32)
    return clean, clean + rng.normal(0, 60, clean.shape).astype(np.float32)


CLEAN, NOISY = blobs()


def pair(change=lambda array: array, spacing=(SIDE,) * 3, pad=0):
    """The noisy specimen and its reference after `change`, in a rim of `pad` more voxels."""
    voi = np.zeros(CLEAN.shape, bool)
    voi[RIM:-RIM, RIM:-RIM, RIM:-RIM] = True
    inside = np.pad(change(voi), pad)

    def specimen(grey):
        grey = np.ascontiguousarray(np.pad(change(grey), pad))
        labels = np.where(grey > THRESHOLD, BONE, MARROW).astype(np.uint8)
        labels[~inside] = OUTSIDE
        return Specimen(labels, spacing, "mgHA/cm3", Threshold(THRESHOLD, "mgHA/cm3", "test"), grey)

    return specimen(NOISY), specimen(CLEAN)


def numbers(name, specimens):
    """Value and unit by row; one line instead where the metric refuses."""
    function = kit.load("metrics", name)
    ours, theirs = specimens
    given = {"sums": ours.sums, "specimen": ours, "reference": theirs}
    flows = [p for p in inspect.signature(function).parameters.values() if p.kind != p.KEYWORD_ONLY]
    try:
        found = function(*(given[p.name] for p in flows), **KNOBS.get(name, {}))
    except UsageError as error:
        return str(error)
    return {number.name: (number.value, number.unit) for number in found if isinstance(number, Number)}


@cache
def plain(name):
    """The numbers of a metric of the specimen as it lies."""
    return numbers(name, as_it_lies())


@cache
def as_it_lies():
    """One pair for all metrics: what one works out, another need not."""
    return pair()


def check_same(name, before, after, tolerances, exempt=(), factor=lambda unit: 1.0):
    assert isinstance(before, dict), f"{name} refuses the specimen of this test: {before}"
    assert isinstance(after, dict), f"{name} refuses the changed specimen: {after}"
    assert before.keys() == after.keys()
    for row, (value, unit) in before.items():
        if row in exempt or isnan(value):
            continue
        rel = tolerances.get(row, tolerances.get(name, ROUNDING))
        assert after[row][0] == pytest.approx(value * factor(unit), rel=rel, abs=rel), row


@pytest.mark.parametrize("name", METRICS)
def test_it_gives_numbers_of_an_ordinary_specimen(name):
    assert isinstance(plain(name), dict), plain(name)
    assert not all(isnan(value) for value, _ in plain(name).values())


def held_to(exempt):
    return pytest.mark.parametrize("name", [name for name in METRICS if name not in exempt])


@held_to(NOT_SWAPPED)
def test_axes_may_be_swapped(name):
    turned = numbers(name, pair(lambda a: a.transpose(2, 0, 1)))
    check_same(name, plain(name), turned, TURNED, NOT_SWAPPED)


@held_to(NOT_MIRRORED)
def test_it_may_be_mirrored(name):
    check_same(name, plain(name), numbers(name, pair(lambda a: a[:, ::-1])), TURNED)


@held_to(NOT_PADDED)
def test_what_lies_outside_the_volume_of_interest_may_be_more(name):
    check_same(name, plain(name), numbers(name, pair(pad=4)), PADDED)


@held_to({})
def test_lengths_scale_every_number_by_its_unit(name):
    scaled = numbers(name, pair(spacing=(3 * SIDE,) * 3))
    check_same(name, plain(name), scaled, {}, factor=lambda unit: 3.0 ** POWERS[unit])


@held_to(NOT_FINER)
def test_slices_of_half_the_distance_change_nothing_or_are_refused(name):
    """Every slice twice: the same bone on voxels that are not cubes."""
    finer = numbers(name, pair(lambda a: a.repeat(2, axis=0), (SIDE / 2, SIDE, SIDE)))
    if isinstance(finer, str):
        assert "cubic voxels" in finer
    else:
        doubled = {"voxels": 2.0}
        check_same(name, plain(name), finer, FINER, NOT_FINER, lambda unit: doubled.get(unit, 1.0))
