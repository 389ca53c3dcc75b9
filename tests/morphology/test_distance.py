"""Exact squared distances against SciPy and against all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from bonectl.morphology.distance import FAR, squared_distance


@given(arrays(bool, st.tuples(*[st.integers(1, 7)] * 3)))
def test_every_small_mask_agrees_with_all_pairs(mask):
    background = np.argwhere(~mask)
    wanted = np.zeros(mask.shape)
    for place in np.argwhere(mask):
        wanted[tuple(place)] = ((background - place) ** 2).sum(1).min() if len(background) else FAR
    assert np.array_equal(squared_distance(mask), wanted.astype(np.float32))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (4.0, 1.0, 2.25)])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97, 0.999])
def test_noise_agrees_with_scipy(share, weights):
    mask = np.random.default_rng(0).random((23, 31, 40)) < share
    wanted = distance_transform_edt(mask, sampling=np.sqrt(weights)) ** 2
    assert squared_distance(mask, weights) == pytest.approx(wanted, rel=1e-5)


def test_whole_numbers_are_exact_far_from_the_background():
    mask = np.ones((4, 5, 1200), bool)
    mask[0, 0, 0] = False
    z, y, x = np.indices(mask.shape)
    assert np.array_equal(squared_distance(mask), (z * z + y * y + x * x).astype(np.float32))


def test_without_background_everything_is_far():
    assert (squared_distance(np.ones((3, 4, 5), bool)) == FAR).all()
    assert not squared_distance(np.zeros((3, 4, 5), bool)).any()
