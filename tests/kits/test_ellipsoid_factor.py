"""Ellipsoid factor of balls, rods, plates and ellipsoids, tilted and off the grid."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.core.table import Histogram
from bonectl.errors import UsageError
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold

SIDE = 44


def factor(mask, spacing=(0.02,) * 3, knobs="points=40"):
    labels = np.where(mask, BONE, MARROW).astype(np.uint8)
    there = kit.bind("metrics", parse(f"ellipsoid_factor({knobs})"))(
        Specimen(labels, spacing, "label", Threshold(0.5, "label", "test"))
    )
    histogram = next(found for found in there if isinstance(found, Histogram))
    values = {found.name: found.value for found in there if not isinstance(found, Histogram)}
    assert sum(histogram.counts) == round(values["ef_filled"] * min(40, np.count_nonzero(mask)))
    return values


def pose(seed):
    """Coordinates along three axes at right angles in random directions, from a random point near the middle."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    place = np.mgrid[:SIDE, :SIDE, :SIDE] - (SIDE / 2 + rng.uniform(-1, 1, 3))[:, None, None, None]
    return np.tensordot(axes, place, 1)


@pytest.mark.parametrize(("seed", "radius"), [(0, 3.0), (1, 5.0), (2, 4.0)])
def test_a_rod_is_near_plus_one(seed, radius):
    u, v, _ = pose(seed)
    there = factor(u * u + v * v < radius**2)
    assert there["ef_median"] == pytest.approx(1 - 1 / 6, abs=0.08)
    assert there["ef_filled"] > 0.7


@pytest.mark.parametrize(("seed", "thickness"), [(0, 5.0), (1, 7.0)])
def test_a_plate_is_near_minus_one(seed, thickness):
    u, _, _ = pose(seed)
    there = factor(np.abs(u) < thickness / 2)
    assert there["ef_median"] == pytest.approx(1 / 6 - 1, abs=0.06)
    assert there["ef_filled"] > 0.85


def test_a_ball_is_zero():
    u, v, w = pose(0)
    there = factor(u * u + v * v + w * w < 11.4**2)
    assert there["ef_median"] == pytest.approx(0, abs=0.05)
    assert there["ef_sd"] < 0.03


@pytest.mark.parametrize(("a", "b", "c"), [(5, 5, 20), (4, 8, 16), (6, 18, 20)])
def test_an_ellipsoid_has_the_factor_of_its_axes(a, b, c):
    u, v, w = pose(7)
    there = factor((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2 < 1)
    assert there["ef_median"] == pytest.approx(a / b - b / c, abs=0.08)


def test_the_reach_is_where_it_ends_and_the_seed_is_all_that_is_drawn():
    u, v, _ = pose(1)
    rod = u * u + v * v < 3.5**2
    assert factor(rod, knobs="points=40, reach=3")["ef_median"] == pytest.approx(1 - 1 / 3, abs=0.08)
    assert factor(rod, spacing=(1.0,) * 3) == factor(rod)


def test_another_draw_finds_the_same_structure():
    field = gaussian_filter(np.random.default_rng(0).normal(size=(SIDE,) * 3), 3.5)
    labels = np.where(field > 0.02, BONE, MARROW).astype(np.uint8)
    there = Specimen(labels, (0.02,) * 3, "label", Threshold(0.5, "label", "test"))
    means = [kit.bind("metrics", parse(f"ellipsoid_factor(seed={seed})"))(there)[1].value for seed in (0, 1)]
    assert means[0] == pytest.approx(means[1], abs=0.05)


def test_a_speck_is_left_unfilled_and_nonsense_is_refused():
    mask = np.zeros((12, 12, 12), bool)
    mask[5, 5, 5] = True
    there = factor(mask)
    assert there["ef_filled"] == 0
    assert np.isnan(there["ef_median"])
    for knobs in ("points=0", "reach=1", "reach=50", "seed=-1"):
        with pytest.raises(UsageError, match="ellipsoid_factor"):
            factor(mask, knobs=knobs)
    with pytest.raises(UsageError, match="cubic"):
        factor(mask, spacing=(0.04, 0.02, 0.02))
