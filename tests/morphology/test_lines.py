"""Counts along lines against plain arrays; surface that the border of the volume of interest cuts."""

from math import pi

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.made import labelled

from bonectl.morphology import lines
from bonectl.morphology.cells import BONE, OUTSIDE
from bonectl.morphology.lines import STEPS
from bonectl.morphology.minkowski import surface_area

CUBIC = (1.0, 1.0, 1.0)


def area(mask, voi=None):
    return surface_area(lines.count([labelled(mask, voi)]), CUBIC)


def at(values, step):
    """The value a step farther on, False beyond the array's rim of one."""
    return np.roll(values, [-s for s in step], (0, 1, 2))


@pytest.mark.parametrize("shape", [(5, 6, 64), (4, 7, 65), (9, 8, 130), (1, 1, 1), (2, 1, 63)])
def test_crossings_ends_and_lone_voxels_are_what_they_are_called(shape):
    rng = np.random.default_rng(sum(shape))
    labels = np.pad(labelled(rng.random(shape) < 0.4, rng.random(shape) < 0.8), 1)
    inside, bone = labels != OUTSIDE, labels == BONE
    found = lines.count([labels])
    for i, step in enumerate(STEPS):
        back = tuple(-s for s in step)
        after = inside & at(inside, step) & (bone != at(bone, step))
        before = inside & at(inside, back) & (bone != at(bone, back))
        ended = (bone & after & ~at(inside, back)).sum() + (bone & before & ~at(inside, step)).sum()
        assert found.crossings[i] == after.sum()
        assert found.ends[i] == ended
        assert found.lone[i] == (before & after).sum()


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_the_cut_into_slabs_is_nobodys_business(size):
    labels = labelled(np.random.default_rng(1).random((37, 10, 9)) < 0.3)
    pieces = lines.count(labels[i : i + size] for i in range(0, len(labels), size))
    assert np.array_equal(pieces.number, lines.count([labels]).number)


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_column_is_crossed_as_often_in_each_slice_however_few_there_are(turn):
    """Half a step is seen beyond the outermost slices: without it 16 slices lacked 4 % of their surface."""
    section = np.pad(np.random.default_rng(3).random((30, 30)) < 0.3, 1)

    def crossed(height):
        column = np.ascontiguousarray(np.broadcast_to(section, (height, *section.shape)).transpose(turn))
        found = lines.count([labelled(column)])
        return found.crossings + found.ends

    assert np.array_equal(4 * crossed(16), crossed(64))


def test_a_column_in_a_smaller_volume_of_interest_has_the_side_that_is_inside():
    y, x = np.mgrid[:40, :40] - 19.3
    column = np.broadcast_to(y * y + x * x < 64, (30, 40, 40))
    voi = np.zeros(column.shape, bool)
    voi[5:21] = True
    assert area(column, voi) == pytest.approx(area(column[:16]), rel=1e-12)


@pytest.mark.parametrize("diameter", [4.0, 8.0])
def test_rods_through_two_faces_have_their_side(tilted_rod, diameter):
    """In any direction of the three; mean over places and over tilts of up to 30 degrees."""
    found = []
    for seed in range(24):
        rod, tilt = tilted_rod(seed, 32, diameter)
        found.append(area(rod) / (pi * diameter * 32 / np.cos(tilt)) - 1)
    assert np.mean(found) == pytest.approx(0, abs=0.01)


def test_random_bone_has_its_surface_in_small_volumes_of_interest(share_in_pieces):
    """Without ends 10 % were missing."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(160,) * 3), 6.0, mode="wrap")
    bone = np.abs(field) < np.quantile(np.abs(field), 0.3)
    assert share_in_pieces(area, bone) == pytest.approx(1, rel=0.01)


def test_a_rim_of_marrow_around_a_shape_changes_nothing():
    mask = np.pad(np.random.default_rng(2).random((9, 10, 8)) < 0.3, 1)
    assert area(np.pad(mask, 3)) == pytest.approx(area(mask), rel=1e-12)
