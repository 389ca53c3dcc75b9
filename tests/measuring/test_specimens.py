"""Whether the data go on beyond a region, so that what they show there bounds the structure inside."""

import numpy as np
import pytest

from bonectl.measuring.specimens import _goes_on


@pytest.mark.parametrize(("beyond", "told"), [(32, False), (33, True), (256, True), (0, False)])
def test_data_go_on_where_they_hold_a_quarter_of_the_bone_that_the_region_has(beyond, told):
    """Half of the region is bone; of as many voxels beyond it an eighth, or one more."""
    inside = np.zeros((8, 8, 8), bool)
    inside[:4] = True
    bone = np.zeros(inside.size, bool)
    bone[:128] = bone[256 : 256 + beyond] = True
    values = np.random.default_rng(0).normal(size=inside.shape)
    assert _goes_on(values, bone.reshape(inside.shape), inside) is told
    assert not _goes_on(np.zeros_like(values), bone.reshape(inside.shape), inside)  # blanked
