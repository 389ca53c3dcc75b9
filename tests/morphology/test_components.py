"""Components, cavities and purification."""

import numpy as np
import pytest
from tests.made import labelled

from bonectl.morphology.cells import BONE, OUTSIDE, count
from bonectl.morphology.components import pieces


def shell(n=12):
    mask = np.zeros((n, n, n), bool)
    mask[2:-2, 2:-2, 2:-2] = True
    mask[4:-4, 4:-4, 4:-4] = False
    return mask


def test_a_shell_has_one_cavity_which_purifying_fills():
    there = pieces(labelled(shell()))
    assert (there.components, there.cavities) == (1, 1)
    assert np.array_equal(there.labels == BONE, shell() | np.pad(np.ones((4, 4, 4), bool), 4))
    assert count([there.labels]).euler == 1


def test_only_the_largest_component_stays_and_specks_in_cavities_go():
    mask = shell()
    mask[0, 0, 0] = mask[5, 5, 5] = True
    there = pieces(labelled(mask))
    assert (there.components, there.cavities) == (3, 1)
    assert not (there.labels == BONE)[0, 0, 0]
    assert count([there.labels]).euler == 1


def test_components_join_over_corners_and_cavities_do_not():
    mask = np.zeros((6, 6, 6), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert pieces(labelled(mask)).components == 1
    holes = pieces(labelled(np.pad(~mask, 1)))
    assert holes.cavities == 2


def test_marrow_that_reaches_the_border_is_no_cavity_even_in_two_pieces():
    """All that touches the border is one piece: two channels that do not meet are both open."""
    mask = np.ones((7, 7, 7), bool)
    mask[1, 1, :3] = mask[5, 5, 4:] = False
    assert pieces(labelled(mask)).cavities == 0


def test_marrow_next_to_what_lies_outside_the_volume_of_interest_is_open():
    mask, voi = np.ones((7, 7, 7), bool), np.ones((7, 7, 7), bool)
    mask[3, 3, 3] = False
    assert pieces(labelled(mask, voi)).cavities == 1
    voi[3, 3, 4:] = False
    there = pieces(labelled(mask & voi, voi))
    assert there.cavities == 0
    assert ((there.labels == OUTSIDE) == ~voi).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.85])
def test_connectivity_of_the_purified_mask_is_its_number_of_tunnels(share):
    """χ = components + cavities - tunnels, and a purified mask has one component and no cavity."""
    mask = np.random.default_rng(0).random((12, 11, 13)) < share
    there = pieces(labelled(mask))
    again = pieces(there.labels)
    assert (again.components, again.cavities) == (1, 0)
    assert count([there.labels]).euler <= 1
    assert np.array_equal(again.labels, there.labels)


def test_no_bone_is_no_component():
    there = pieces(labelled(np.zeros((4, 4, 4), bool)))
    assert (there.components, there.cavities) == (0, 0)
    assert not (there.labels == BONE).any()


def test_small_pieces_are_specks_and_the_largest_is_none():
    mask = np.zeros((20, 30, 40), bool)
    mask[:, :10, :], mask[:, 20:24, :4] = True, True  # 8000 voxels, and 320 of them: no speck
    mask[3, 15, 20], mask[9:13, 14:18, 30:33] = True, True  # 1 and 48
    there = pieces(labelled(mask))
    assert (there.components, there.specks) == (4, 2)
    alone = np.zeros((5, 5, 5), bool)
    alone[2, 2, 2] = True
    assert pieces(labelled(alone)).specks == 0
