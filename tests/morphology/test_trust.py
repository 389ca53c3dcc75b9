"""Warnings appear on their side of each limit, and never for numbers that are not there."""

import numpy as np
import pytest

from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.trust import doubts
from bonectl.morphology.voi import Extent

GOOD = {"tbsp": 0.8, "da": 0.5, "tbth": 0.2, "components": 1, "specks": 0, "cavities": 2, "chi_purified": -250}


def judge(**changes):
    return doubts(GOOD | changes, voxel=0.02, width=4.1)


def test_good_numbers_and_none_raise_no_doubt():
    assert judge() == ()
    assert doubts({}, voxel=0.02, width=0.0) == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tbsp": 0.83}, "4.9 Tb.Sp wide"),
        ({"da": 0.099}, "DA 0.099 is under 0.1"),
        ({"tbth": 0.059}, "2.9 voxels"),
        ({"components": 20, "specks": 19, "cavities": 8}, "19 specks and 8 cavities"),
    ],
)
def test_each_limit_has_its_line(changes, line):
    (only,) = judge(**changes)
    assert line in only


@pytest.mark.parametrize("changes", [{"tbsp": 0.81}, {"da": 0.1}, {"tbth": 0.061}, {"specks": 19, "cavities": 6}])
def test_the_good_side_of_each_limit_is_silent(changes):
    assert judge(**changes) == ()


def test_the_unfiltered_real_bone_of_the_notes_is_warned_of():
    """LHDL 3155 without a filter: 40 components, 32 cavities."""
    assert "39 specks" in judge(components=40, specks=39, cavities=32, chi_purified=-314)[0]


def test_bone_in_pieces_is_no_noise():
    assert judge(components=20, specks=0, cavities=0, chi_purified=1) == ()


def test_numbers_that_are_not_defined_raise_no_doubt():
    nan = float("nan")
    assert judge(tbsp=nan, da=nan, tbth=nan) == ()


STREAMED = {"bvtv": 0.2, "bstv": 2.0, "bsbv": 10.0, "chi": -30}


def test_good_streamed_numbers_raise_no_doubt():
    assert doubts(STREAMED, voxel=0.02, width=4.1) == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"bstv": 1.9}, "4.9 plate-model Tb.Sp wide"),
        ({"bsbv": 70.0}, "Tb.Th is at most 2.9 voxels"),
        ({"chi": 11}, "the raw Euler number is 11"),
    ],
)
def test_bounds_from_surface_and_volume_stand_in_for_thickness_that_was_not_measured(changes, line):
    (only,) = doubts(STREAMED | changes, voxel=0.02, width=4.1)
    assert line in only


def test_what_was_measured_goes_before_its_bounds():
    measured = {"tbsp": 0.8, "tbth": 0.2, "components": 1, "specks": 0, "cavities": 0, "chi_purified": -30}
    assert doubts(STREAMED | {"bstv": 0.1, "bsbv": 90.0, "chi": 900} | measured, voxel=0.02, width=4.1) == ()


def test_a_scan_that_was_cut_off_is_named():
    (line,) = doubts({}, voxel=0.02, width=4.1, cut_off=("the reference",))
    assert "the scan of the reference was cut off" in line
    assert "absolute density" in line


def extent(bone):
    found = Extent(bone.shape)
    for start in range(0, len(bone), 16):
        found.add(np.where(bone[start : start + 16], BONE, MARROW).astype(np.uint8))
    return found


def test_an_empty_shell_around_bone_that_was_cut_is_said_with_its_crop():
    bone = np.random.default_rng(0).random((30, 34, 38)) < 0.2
    assert extent(bone).shell == 0
    assert extent(np.pad(bone, 1)).shell == 1
    assert extent(np.pad(bone, [(2, 3), (4, 2), (5, 5)])).shell == 2
    assert extent(np.pad(bone, [(1, 1), (1, 1), (0, 1)])).shell == 0
    (line,) = doubts({}, voxel=0.02, width=4.1, shell=2)
    assert "--crop 2:-2,2:-2,2:-2" in line


def test_what_ends_by_itself_has_no_shell():
    z, y, x = np.mgrid[:40, :40, :40] - 19.5
    for bone in (z * z + y * y + x * x < 15**2, np.hypot(np.hypot(y, x) - 11, z) < 4, np.zeros((9, 9, 9), bool)):
        assert extent(bone).shell == 0
