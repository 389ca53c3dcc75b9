"""The concave share of surfaces whose curvature is known."""

import numpy as np
import pytest

from bonectl.metrics.concavity import concavity
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold


def share(mask, sigma=1.5):
    labels = np.where(mask, BONE, MARROW).astype(np.uint8)
    return concavity(Specimen(labels, (0.02,) * 3, "label", Threshold(0.5, "label", "test")), sigma=sigma)[0].value


def torus(radius, ratio, seed=1):
    """Tube radius [voxel], ratio of the two radii; tilted. Also the share: |H| dA goes as |R + 2 r cos θ| dθ."""
    large = ratio * radius
    n = int(2 * (large + radius)) + 10
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    u, v, w = np.tensordot(axes, np.mgrid[:n, :n, :n] - (n / 2 - 0.3), 1)
    around = ratio + 2 * np.cos(np.linspace(0, np.pi, 100_001))
    return (np.hypot(u, v) - large) ** 2 + w**2 < radius**2, -around[around < 0].sum() / np.abs(around).sum()


@pytest.mark.parametrize("radius", [6, 9])
@pytest.mark.parametrize("ratio", [1.2, 1.5])
def test_a_torus_has_the_share_of_its_inner_side(radius, ratio):
    mask, true = torus(radius, ratio)
    assert share(mask) == pytest.approx(true, abs=0.02)


def test_the_staircase_is_read_as_concave_where_too_little_is_smoothed():
    mask, true = torus(9, 1.5)
    assert share(mask, 0.6) > share(mask, 0.8) > true + 0.04
    assert abs(share(mask, 1.5) - true) < 0.005


def test_on_real_bone_the_share_falls_with_the_scale(shared_data):
    import tifffile

    mask = tifffile.imread(shared_data / "lhdl3155_mask_gauss1_otsu.tif")[:64] > 0
    found = [share(mask, sigma) for sigma in (0.8, 1.5, 2.0)]
    assert found[0] > 1.2 * found[1] > 1.3 * found[2]
