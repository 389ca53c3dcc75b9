"""Cells at the border of the volume of interest against plain arrays; curvature of bone that the border cuts."""

from math import pi

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.made import labelled

from bonectl.morphology import cells, rim
from bonectl.morphology.cells import BONE, CORNERS, OUTSIDE
from bonectl.morphology.minkowski import mean_curvature

CUBIC = (1.0, 1.0, 1.0)


def curvature(mask, voi=None):
    labels = labelled(mask, voi)
    return mean_curvature(cells.count([labels]), rim.count([labels]), CUBIC)


def corners(values):
    """The eight corners of each cell, (z - 1, y - 1, x - 1, 8)."""
    upto = [n - 1 for n in values.shape]
    return np.stack([values[tuple(slice(a, a + n) for a, n in zip(at, upto, strict=True))] for at in CORNERS], -1)


@pytest.mark.parametrize("shape", [(5, 6, 64), (4, 7, 65), (9, 8, 130), (1, 1, 1), (2, 2, 63)])
@pytest.mark.parametrize("share", [1.0, 0.97])
def test_a_cell_at_the_rim_is_one_next_to_which_a_cell_is_not_all_inside(shape, share):
    rng = np.random.default_rng(sum(shape))
    labels = labelled(rng.random(shape) < 0.4, rng.random(shape) < share)
    framed = np.pad(labels, 2)
    inside = corners(framed != OUTSIDE).all(-1)
    code = (corners(framed == BONE) << np.arange(8)).sum(-1)
    found = rim.count([labels]).number
    for side, (axis, end) in enumerate(rim.SIDES):
        at_rim = inside & ~np.roll(inside, -1 if end else 1, axis)
        assert np.array_equal(found[side], np.bincount(code[at_rim], minlength=256))


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_the_cut_into_slabs_is_nobodys_business(size):
    rng = np.random.default_rng(1)
    labels = labelled(rng.random((37, 10, 9)) < 0.3, rng.random((37, 10, 9)) < 0.98)
    pieces = rim.count(labels[i : i + size] for i in range(0, len(labels), size))
    assert np.array_equal(pieces.number, rim.count([labels]).number)


@pytest.mark.parametrize("axis", range(3))
def test_a_column_has_so_much_curvature_per_slice_however_few_there_are(axis):
    """Without what lies beyond the outermost centres 8 slices lacked an eighth."""
    y, x = np.mgrid[:30, :30] - 14.5
    section = y * y + x * x < 81

    def per_slice(height):
        return curvature(np.moveaxis(np.broadcast_to(section, (height, 30, 30)), 0, axis)) / height

    assert per_slice(8) == pytest.approx(per_slice(64), rel=1e-9)
    assert per_slice(64) == pytest.approx(pi, rel=0.08)  # 13 directions, and a rod along one of them


@pytest.mark.parametrize("diameter", [4.0, 8.0])
def test_rods_through_two_faces_have_their_curvature(tilted_rod, diameter):
    """In any direction of the three; mean over places and over tilts of up to 30 degrees."""
    found = []
    for seed in range(24):
        rod, tilt = tilted_rod(seed, 16, diameter)
        found.append(curvature(rod) / (pi * 16 / np.cos(tilt)) - 1)
    assert np.mean(found) == pytest.approx(0, abs=0.02)


def test_random_bone_has_its_curvature_in_small_volumes_of_interest(share_in_pieces):
    """Without the rim 6 % is missing."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(160,) * 3), 4.0, mode="wrap")
    bone = field > np.quantile(field, 0.8)
    assert share_in_pieces(curvature, bone, shifts=(0, 20)) == pytest.approx(1, rel=0.01)


def test_a_rim_of_marrow_around_a_shape_changes_nothing():
    mask = np.pad(np.random.default_rng(2).random((9, 10, 8)) < 0.3, 1)
    assert curvature(np.pad(mask, 3)) == pytest.approx(curvature(mask), rel=1e-12)


def test_a_shape_that_ends_at_the_border_is_the_same_from_either_side():
    half = np.pad(np.random.default_rng(3).random((6, 9, 8)) < 0.3, ((0, 1), (1, 1), (1, 1)))
    assert curvature(half[::-1]) == pytest.approx(curvature(half), rel=1e-12)
