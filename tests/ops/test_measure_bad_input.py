"""Bad input, for every metric of the kit: one clear line of a documented status, or numbers; never anything else."""

import inspect
import re

import numpy as np
import pytest
from tests import made
from tests.made import stack

from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import BonectlError, DataError, UsageError
from bonectl.ops.measure import measure

METRICS = kit.names("metrics")
SHAPE = (20, 22, 24)


def compares(name):
    flows = inspect.signature(kit.load("metrics", name)).parameters
    return "reference" in flows


def asked(name, volume, **options):
    """The table of one metric, beside a good reference where it needs one."""
    shape = volume.header.shape
    reference = stack(made.bone(shape), spacing=volume.header.spacing) if compares(name) else None
    return measure(volume, metrics=name, reference=reference, **options)


def refusal(kind, work):
    """The one line that something is refused with."""
    with pytest.raises(kind) as caught:
        work()
    line = str(caught.value)
    assert "\n" not in line
    assert line
    assert caught.value.status in (2, 65)
    return line


def numbers_or_one_line(work):
    """For what some metrics can measure and others not."""
    try:
        table = work()
    except BonectlError as error:
        assert isinstance(error, UsageError | DataError), error
        assert "\n" not in str(error)
        assert re.match(r"[a-z0-9 (]", str(error))
        return
    assert table.rows


@pytest.mark.parametrize("name", METRICS)
def test_no_bone(name):
    assert "holds no bone" in refusal(DataError, lambda: asked(name, stack(np.zeros(SHAPE, np.float32))))


@pytest.mark.parametrize("name", METRICS)
def test_nothing_but_bone(name):
    assert "nothing but bone" in refusal(DataError, lambda: asked(name, stack(np.full(SHAPE, 900, np.float32))))


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_mask(name):
    nowhere = stack(np.zeros(SHAPE, np.uint8), "label")
    assert "mask is empty" in refusal(DataError, lambda: asked(name, stack(made.bone(SHAPE)), mask=nowhere))


@pytest.mark.parametrize("name", METRICS)
def test_a_mask_of_another_shape(name):
    other = stack(np.ones((20, 22, 23), np.uint8), "label")
    assert "(20, 22, 23)" in refusal(UsageError, lambda: asked(name, stack(made.bone(SHAPE)), mask=other))


@pytest.mark.parametrize("unit", ["mgHA/cm3", "grey"])
@pytest.mark.parametrize("threshold", [None, "otsu", "laplace_hamming", "400"])
def test_an_empty_mask_before_any_threshold_is_looked_for(unit, threshold):
    nowhere = stack(np.zeros(SHAPE, np.uint8), "label")
    line = refusal(DataError, lambda: measure(stack(made.bone(SHAPE), unit), mask=nowhere, threshold=threshold))
    assert "mask is empty" in line


def test_a_mask_of_another_voxel_size():
    other = stack(np.ones(SHAPE, np.uint8), "label", spacing=(0.02, 0.02, 0.04))
    line = refusal(UsageError, lambda: measure(stack(made.bone(SHAPE)), mask=other, metrics="bvtv"))
    assert line == "the mask has voxels of 0.04 mm along x, the volume of 0.02 mm"
    alike = stack(np.ones(SHAPE, np.uint8), "label", spacing=(0.02, None, 0.020001))
    assert measure(stack(made.bone(SHAPE)), mask=alike, metrics="bvtv")["bvtv"] > 0


@pytest.mark.parametrize("role", ["mask", "reference"])
def test_a_scan_is_neither_mask_nor_reference(role):
    scan = Stack.of(np.ones(SHAPE, np.float32), Header(shape=SHAPE, axes=SINOGRAMS, unit="grey"))
    line = refusal(UsageError, lambda: measure(stack(made.bone(SHAPE), "grey"), metrics="bvtv", **{role: scan}))
    assert line == f"the {role} is a scan; a volume with the voxels of the measured one is needed"


def test_a_mask_that_is_not_finite():
    inside = np.ones(SHAPE, np.float32)
    inside[3, 4, 5] = np.nan
    line = refusal(
        DataError, lambda: measure(stack(made.bone(SHAPE)), mask=stack(inside, "grey"), metrics="components")
    )
    assert "the mask: 1 value is NaN or infinite, the first at (3, 4, 5)" in line


@pytest.mark.parametrize("role", ["volume", "reference"])
def test_values_beyond_float32(role):
    """Sums of their squares overflowed: a traceback, or numbers that are infinite."""
    header = Header(shape=SHAPE, dtype="<f8", spacing=(0.02,) * 3, unit="mgHA/cm3")
    wide = Stack.of(made.bone(SHAPE).astype(np.float64) * 1e300, header)
    both = (wide, None) if role == "volume" else (stack(made.bone(SHAPE)), wide)
    line = refusal(DataError, lambda: measure(both[0], reference=both[1], threshold=525))
    assert line.startswith(f"the {role}: 10560 values are beyond float32")


def test_densities_beyond_float32():
    law = Calibration(1e6, 0.0, "rods")
    line = refusal(DataError, lambda: measure(stack(made.bone(SHAPE) * np.float32(1e33), "1/cm", calibration=law)))
    assert "beyond float32" in line


def test_densities_of_two_calibrations_are_told():
    laws = [Calibration(slope, 0.0, name) for slope, name in ((400, "rods a"), (420, "rods b"), (400, "rods c"))]
    ours, theirs, like_ours = (lambda law=law: stack(made.bone(SHAPE) / 400, "1/cm", calibration=law) for law in laws)
    told = measure(ours(), reference=theirs(), metrics="bvtv", intervals="none").warnings
    assert "density: the volume is calibrated by rods a, the reference by rods b" in told
    quiet = measure(ours(), reference=like_ours(), metrics="bvtv", intervals="none").warnings
    assert not [line for line in quiet if "calibrated" in line]


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
@pytest.mark.parametrize("name", METRICS)
def test_values_that_are_not_finite(name, wrong):
    grey = made.bone(SHAPE)
    grey[17, 3, 4] = wrong
    assert "the first at (17, 3, 4)" in refusal(DataError, lambda: asked(name, stack(grey)))


@pytest.mark.parametrize("unit", ["counts", "transmission", "line integral"])
@pytest.mark.parametrize("name", METRICS)
def test_a_unit_that_no_volume_has(name, unit):
    assert unit in refusal(UsageError, lambda: asked(name, stack(made.bone(SHAPE), unit)))


@pytest.mark.parametrize("name", METRICS)
def test_a_scan(name):
    header = Header(shape=SHAPE, axes=SINOGRAMS, unit="line integral")
    line = refusal(UsageError, lambda: measure(Stack.of(np.zeros(SHAPE, np.float32), header), metrics=name))
    assert "bonectl reconstruct" in line


@pytest.mark.parametrize("name", METRICS)
def test_one_voxel(name):
    numbers_or_one_line(lambda: asked(name, stack(np.full((1, 1, 1), 1000, np.float32))))


@pytest.mark.parametrize("name", METRICS)
def test_one_bone_voxel(name):
    grey = np.zeros(SHAPE, np.float32)
    grey[9, 10, 11] = 1000
    numbers_or_one_line(lambda: asked(name, stack(grey)))


@pytest.mark.parametrize("name", METRICS)
def test_one_slice(name):
    numbers_or_one_line(lambda: asked(name, stack(made.bone((1, 24, 24)))))


@pytest.mark.parametrize("name", METRICS)
def test_one_voxel_of_interest(name):
    """Bone; there is marrow elsewhere."""
    grey, inside = made.bone(SHAPE), np.zeros(SHAPE, np.uint8)
    inside[tuple(np.argwhere(grey > 525)[0])] = 1
    numbers_or_one_line(lambda: asked(name, stack(grey), mask=stack(inside, "label")))


@pytest.mark.parametrize("name", METRICS)
def test_voxels_that_are_no_cubes(name):
    numbers_or_one_line(lambda: asked(name, stack(made.bone(SHAPE), spacing=(0.05, 0.02, 0.02))))


@pytest.mark.parametrize("name", METRICS)
def test_a_mask_without_grey_values(name):
    numbers_or_one_line(lambda: asked(name, stack((made.bone(SHAPE) > 525).astype(np.uint8), "label")))
