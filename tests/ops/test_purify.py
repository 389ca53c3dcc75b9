"""Purified, a volume with specks and cavities measures as the bone that is left."""

import numpy as np
import pytest
from tests import made

from bonectl.errors import DataError
from bonectl.measuring.report import caption
from bonectl.measuring.request import Request, usual
from bonectl.measuring.tables import PURE
from bonectl.metrics import _local
from bonectl.ops import measure as ops
from bonectl.ops.measure import measure, thickness_map

SIZE, VOXEL = 48, 0.02


def examine(volume, **asked):
    """The numbers, and the volumes that they were measured in."""
    return ops.examine(volume, Request(keep=True, **asked))


def clean():
    """Three thick plates that cross."""
    bone = np.zeros((SIZE,) * 3, bool)
    bone[18:27] = bone[:, 20:29] = bone[:, :, 16:25] = True
    return bone


def dirty():
    """With specks in the marrow (one at the border), a single marrow voxel and a larger cavity in the bone."""
    bone = clean()
    bone[8, 8, 8] = bone[40:42, 40:42, 40] = bone[0, 0, 0] = True
    bone[22, 5, 40] = bone[21:24, 23:25, 20] = False
    return bone


def stack(mask, unit):
    values = mask.astype(np.uint8) if unit == "label" else np.where(mask, 900, 100).astype(np.float32)
    return made.stack(values, unit, spacing=(VOXEL,) * 3)


@pytest.mark.parametrize("unit", ["label", "mgHA/cm3"])
def test_every_number_of_structure_is_that_of_what_is_left(unit):
    threshold = None if unit == "label" else 500.0
    left = made.numbers(measure(stack(clean(), unit), metrics=usual(dense=False, compared=False), threshold=threshold))
    whole = made.numbers(measure(stack(dirty(), unit), metrics="bvtv + components", threshold=threshold))
    assert (whole["components"], whole["cavities"]) == (4, 2)
    table = measure(stack(dirty(), unit), metrics=usual(dense=False, compared=False), threshold=threshold, purify=True)
    assert made.numbers(table) == pytest.approx(left, nan_ok=True)
    assert table.conditions["purification"] == PURE


def test_density_counts_what_was_filled_and_not_what_was_removed():
    found = made.numbers(measure(stack(dirty(), "mgHA/cm3"), metrics="tmd", threshold=500.0, purify=True))
    filled = np.count_nonzero(clean() & ~dirty())
    assert found["tmd"] == pytest.approx(900 - 800 * filled / np.count_nonzero(clean()))


def test_volume_and_reference_are_purified_alike():
    found = examine(stack(dirty(), "label"), reference=stack(clean(), "label"), metrics="bvtv + dice", purify=True)
    assert made.numbers(found.table)["dice"] == 1
    assert np.array_equal(found.specimen.bone, found.reference.bone)


@pytest.mark.parametrize("what", ["tbth", "tbsp"])
def test_maps_are_of_what_is_left(what):
    pure = thickness_map(stack(dirty(), "label"), what=what, purify=True).collect()
    assert np.array_equal(pure, thickness_map(stack(clean(), "label"), what=what).collect())


def test_separation_on_a_coarser_grid_does_not_see_specks():
    there = [
        examine(stack(mask, "mgHA/cm3"), metrics="bvtv", threshold=500.0, purify=pure).specimen
        for mask, pure in ((clean(), False), (dirty(), True))
    ]
    left, pure = (_local.marrow_grid(one, "subvoxel", 4, "open")[0] for one in there)
    assert np.array_equal(left, pure)


def test_the_caption_of_a_picture_says_so():
    for purify in (True, False):
        found = examine(stack(dirty(), "label"), metrics="bvtv", purify=purify)
        assert (f"Purified: {PURE}" in caption(found)) == purify


def test_bone_that_encloses_all_marrow_is_nothing_but_bone():
    mask = np.ones((8,) * 3, bool)
    mask[3:5, 3:5, 3:5] = False
    with pytest.raises(DataError, match="the volume, purified, is nothing but bone"):
        measure(stack(mask, "label"), metrics="bvtv", purify=True)


def test_without_it_the_conditions_say_so():
    assert measure(stack(dirty(), "label"), metrics="bvtv").conditions["purification"] == "none"
