"""Surface area and integral of mean curvature against closed forms, tilted and off the grid."""

from math import pi

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.made import labelled

from bonectl.morphology import cells, lines, rim
from bonectl.morphology.minkowski import STEPS, line_weights, mean_curvature, planar_euler, surface_area

CUBIC = (1.0, 1.0, 1.0)


def counted(mask):
    return cells.count([labelled(mask)])


def area_of(mask, spacing=CUBIC):
    return surface_area(lines.count([labelled(mask)]), spacing)


def curvature_of(mask, spacing=CUBIC):
    return mean_curvature(counted(mask), rim.count([labelled(mask)]), spacing)


def grid(shape, spacing, centre):
    axes = [(np.arange(n) - c) * s for n, s, c in zip(shape, spacing, centre, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def smi(mask, spacing):
    return 12 * mask.sum() * np.prod(spacing) * curvature_of(mask, spacing) / area_of(mask, spacing) ** 2


def test_the_weights_of_cubic_voxels_are_the_published_ones():
    published = {1: 0.045778, 2: 0.036981, 3: 0.035196}
    for step, weight in zip(STEPS, line_weights(CUBIC), strict=True):
        assert weight / 2 == pytest.approx(published[sum(map(abs, step))], abs=1e-6)
    assert sum(line_weights((1.0, 0.5, 2.0))) == pytest.approx(1)


@pytest.mark.parametrize("spacing", [CUBIC, (1.0, 0.5, 1.0), (2.0, 1.0, 0.7)])
@pytest.mark.parametrize("radius", [8.0, 11.3])
def test_a_ball_anywhere(radius, spacing):
    rng = np.random.default_rng(int(radius))
    shape = tuple(int(2 * radius / s) + 6 for s in spacing)
    z, y, x = grid(shape, spacing, [n / 2 + rng.uniform(-1, 1) for n in shape])
    there = z * z + y * y + x * x < radius * radius
    assert area_of(there, spacing) == pytest.approx(4 * pi * radius**2, rel=0.01)
    assert curvature_of(there, spacing) == pytest.approx(4 * pi * radius, rel=0.015)
    assert smi(there, spacing) == pytest.approx(4, abs=0.08)


@pytest.mark.parametrize("seed", range(3))
def test_a_tilted_rod_has_the_surface_and_index_of_a_rod(seed):
    """A capsule is subtracted from a longer one, so that the ends cancel."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    z, y, x = grid((72, 72, 72), CUBIC, 35 + rng.uniform(0, 1, 3))

    def capsule(length):
        along = np.clip(z * axis[0] + y * axis[1] + x * axis[2], -length / 2, length / 2)
        return (z - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (x - along * axis[2]) ** 2 < 16

    short, long = capsule(20), capsule(48)
    area = area_of(long) - area_of(short)
    curvature = curvature_of(long, CUBIC) - curvature_of(short, CUBIC)
    volume = int(long.sum()) - int(short.sum())
    assert area == pytest.approx(2 * pi * 4 * 28, rel=0.03)
    assert curvature == pytest.approx(pi * 28, rel=0.04)
    assert 12 * volume * curvature / area**2 == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize("axis", range(3))
def test_a_plate_has_no_curvature(axis):
    mask = np.zeros((30, 30, 30), bool)
    mask[(slice(None),) * axis + (slice(12, 17),)] = True
    assert curvature_of(mask) == pytest.approx(0, abs=1e-9)


def test_bone_and_marrow_have_opposite_curvature():
    mask = np.random.default_rng(0).random((12, 13, 11)) < 0.4
    for step in STEPS:
        assert planar_euler(counted(mask), step) == pytest.approx(-planar_euler(counted(~mask), step), abs=1e-9)


def test_scaling_lengths_scales_area_and_curvature():
    mask = np.random.default_rng(1).random((12, 13, 11)) < 0.3
    small, large = (1.0, 0.5, 2.0), (3.0, 1.5, 6.0)
    assert area_of(mask, large) == pytest.approx(9 * area_of(mask, small))
    assert curvature_of(mask, large) == pytest.approx(3 * curvature_of(mask, small))


def test_slices_of_a_third_of_the_distance_have_the_same_surface_and_curvature():
    """Of random bone that runs out of the stack: half a voxel at its border is not the same depth in both."""
    found = []
    for seed in range(4):
        field = gaussian_filter(np.random.default_rng(seed).normal(size=(180, 60, 60)), (13.5, 4.5, 4.5), mode="wrap")
        fine = field > np.quantile(field, 0.75)
        thin = (1 / 3, 1.0, 1.0)
        found.append([measured(fine, thin) / measured(fine[1::3], CUBIC) for measured in (area_of, curvature_of)])
    area, curvature = np.mean(found, axis=0)
    assert area == pytest.approx(1, abs=0.005)
    assert curvature == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("turn", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_axis_swap_mirror_and_padding_change_nothing(turn):
    mask = np.pad(np.random.default_rng(2).random((9, 10, 8)) < 0.3, 1)
    spacing = (1.0, 0.5, 2.0)
    turned = np.ascontiguousarray(np.pad(mask, 2).transpose(turn)[::-1])
    sides = tuple(spacing[i] for i in turn)
    assert area_of(turned, sides) == pytest.approx(area_of(mask, spacing))
    assert curvature_of(turned, sides) == pytest.approx(curvature_of(mask, spacing))
