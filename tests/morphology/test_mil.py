"""Mean intercept lengths."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bonectl.morphology import mil


@pytest.mark.parametrize("spacing", [(0.02,) * 3, (0.05, 0.02, 0.03)])
@pytest.mark.parametrize(("shape", "sigma"), [((30, 30, 30), 1.0), ((14, 40, 25), 0.0), ((2, 30, 30), 1.0)])
def test_what_lies_between_voxels_changes_no_count(monkeypatch, shape, sigma, spacing):
    """Points of cells that are bone or marrow throughout are not interpolated: the same lengths as if all were."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=shape), 2.0)
    field = gaussian_filter((noise > 0).astype(np.float32), sigma) if sigma else (noise > 0).astype(np.float32)
    inside = mil.balls(shape, spacing)
    towards = mil.directions(40)
    found = mil.intercept_lengths(field, inside, spacing, towards, 200)
    cells = mil._between(field, inside)
    assert len(np.unique(cells)) > 2  # else nothing is compared
    monkeypatch.setattr(mil, "_between", lambda field, voi: np.full_like(cells, mil._ASK))
    np.testing.assert_array_equal(mil.intercept_lengths(field, inside, spacing, towards, 200), found)
