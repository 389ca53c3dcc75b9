"""Missing values: what neighbours say of them, and nothing else changes."""

import numpy as np
import pytest
from tests import made

from bonectl.core.header import SINOGRAMS
from bonectl.errors import DataError, UsageError
from bonectl.scanning.gaps import bridged, filled
from bonectl.stacks.screening import zero_filled

Z, Y, X = np.mgrid[:3, :8, :9].astype("f4")
PLANE = 100 + 3 * Y - 2 * X + 10 * Z  # in every slice linear along both axes, so that any mean of lines is exact


def stack(array, size=3, unit="counts", axes=SINOGRAMS):
    return made.bare(array, slab=size, unit=unit, axes=axes)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "gap",
    [
        np.s_[1, 3, 4],  # a pixel
        np.s_[0, :, 3:5],  # columns, in all views
        np.s_[2, 2:4, :],  # views, in all columns
        np.s_[1, 2:6, 3:6],  # a blot
    ],
)
def test_a_linear_slice_is_restored_exactly(gap, size):
    values = PLANE.copy()
    values[gap] = np.inf
    np.testing.assert_allclose(filled(stack(values, size), "x").collect(), PLANE, rtol=1e-6)


def test_the_shorter_gap_weighs_more_and_where_two_gaps_cross_all_is_filled():
    values = np.zeros((1, 9, 9), "f4")
    values[0, :, 3], values[0, :, 5] = 1, 1
    values[0, 1:8, 4] = np.nan  # 8 apart along the column, between two zeros; 2 apart across, between two ones
    done = filled(stack(values), "x").collect()
    np.testing.assert_allclose(done[0, 1:8, 4], (1 / 2**2) / (1 / 2**2 + 1 / 8**2), rtol=1e-6)
    values[:] = 5
    values[0, 3], values[0, :, 4] = np.nan, np.nan
    np.testing.assert_array_equal(filled(stack(values), "x").collect(), np.full_like(values, 5))
    corner = np.array([[[np.nan, 2.0], [4.0, 6.0]]], "f4")
    np.testing.assert_array_equal(filled(stack(corner), "x").collect()[0, 0], [3, 2])


def test_a_slice_of_nothing_is_refused_and_counts_of_zero_are_no_answer():
    values = PLANE.copy()
    values[1] = np.nan
    with pytest.raises(DataError, match=r"x: slice 1 has no value that is finite"):
        filled(stack(values, 1), "x").collect()
    for unit in ("counts", "transmission"):
        with pytest.raises(UsageError, match="full absorption; --nan fill"):
            zero_filled(stack(values, unit=unit), "x")


def test_columns_are_bridged_in_all_views():
    lines = np.array([[0.0, 9, 9, 3, 4], [0, 9, 9, 6, 9]])
    gone = np.array([False, True, True, False, False])
    np.testing.assert_allclose(bridged(lines, gone), [[0, 1, 2, 3, 4], [0, 2, 4, 6, 9]])
    ends = np.array([True, False, False, False, True])
    np.testing.assert_allclose(bridged(lines, ends), [[9, 9, 9, 3, 3], [9, 9, 9, 6, 6]])
