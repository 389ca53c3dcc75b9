"""The cortex against tubes whose radii and pores are known, tilted, off the grid, on voxels that are not cubic."""

from math import cos, pi, tan

import numpy as np
import pytest

from bonectl.errors import DataError, UsageError
from bonectl.morphology.cortex import compartments

KNOBS = {"gap": 0.5, "pore": 0.2, "strut": 0.4}


def tube(outer, wall, spacing=(0.02, 0.02, 0.02), tilt=0.0, shift=(0.0, 0.0), canal=0.0, lattice=None, planes=30):
    """A tube [mm] about an axis tilted from z towards y, with canals of that radius in 5 % of its wall.

    `lattice` is the period and diameter of rods in the marrow. Also the share of canals, and the axis distance.
    """
    side = 2 * (outer + 0.35)
    shape = (planes, round(side / spacing[1]), round(side / spacing[2]))
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
    )
    y, x = (y - shift[0] - tan(tilt) * z) * cos(tilt), x - shift[1]
    distance = np.hypot(y, x)
    shell = (distance < outer) & (distance > outer - wall)
    bone, share = shell.copy(), 0.0
    if canal:
        ring = outer**2 - (outer - wall) ** 2
        count = int(0.05 * ring / canal**2)
        for angle in (np.arange(count) + 0.3) * 2 * pi / count:
            centre = (outer - wall / 2) * np.array([np.cos(angle), np.sin(angle)])
            bone &= np.hypot(y - centre[0], x - centre[1]) >= canal
        share = count * canal**2 / ring
    if lattice:
        period, diameter = lattice
        a, b, c = (np.square((v + period / 2) % period - period / 2) for v in (z, y, x))
        rods = np.minimum(np.minimum(a + b, a + c), b + c) < diameter**2 / 4
        bone |= rods & (distance <= outer - wall)
    return bone, share, distance


def areas(mask, spacing):
    return np.count_nonzero(mask) * spacing[1] * spacing[2] / len(mask)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(0.02, 0.02, 0.02), (0.04, 0.02, 0.025)])
def test_a_porous_tube_anywhere_has_its_areas_and_porosity(seed, spacing):
    rng = np.random.default_rng(seed)
    outer, wall, tilt = rng.uniform(1.0, 1.5), rng.uniform(0.2, 0.4), rng.uniform(0, 0.3)
    bone, porosity, _ = tube(outer, wall, spacing, tilt, rng.uniform(-0.04, 0.04, 2), canal=0.06)
    there = compartments(bone, spacing, **KNOBS)
    oblique = cos(tilt)  # a section normal to z is wider by this
    assert areas(there.total, spacing) * oblique == pytest.approx(pi * outer**2, rel=2e-3)
    assert areas(there.cortex, spacing) * oblique == pytest.approx(pi * (outer**2 - (outer - wall) ** 2), rel=0.01)
    found = np.count_nonzero(there.cortex & ~bone) / np.count_nonzero(there.cortex)
    assert found == pytest.approx(porosity, abs=0.003)


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_trabeculae_are_not_cortex(tilt):
    spacing = (0.02, 0.02, 0.02)
    bone, _, distance = tube(1.5, 0.3, spacing, tilt, (0.03, -0.02), lattice=(0.6, 0.15))
    there = compartments(bone, spacing, **KNOBS)
    true = (distance < 1.5) & (distance > 1.2)
    # The fillets where rods meet the wall are narrower than a pore: 2 to 3 % of this cortex.
    assert np.count_nonzero(there.cortex) == pytest.approx(np.count_nonzero(true), rel=0.03)
    assert not (there.cortex & (distance < 1.0)).any()


def test_axes_across_may_be_swapped_and_mirrored():
    bone, _, _ = tube(1.2, 0.25, tilt=0.1, shift=(0.03, 0.01), canal=0.06, lattice=(0.6, 0.15), planes=16)
    plain = compartments(bone, (0.02,) * 3, **KNOBS)
    swapped = compartments(bone.transpose(0, 2, 1)[:, ::-1], (0.02,) * 3, **KNOBS)
    assert (swapped.total == plain.total.transpose(0, 2, 1)[:, ::-1]).all()
    assert (swapped.medulla == plain.medulla.transpose(0, 2, 1)[:, ::-1]).all()


def test_room_around_the_bone_and_another_unit_change_nothing():
    bone, _, _ = tube(1.0, 0.25, canal=0.06, planes=8)
    plain = compartments(bone, (0.02,) * 3, **KNOBS)
    wide = compartments(np.pad(bone, [(0, 0), (9, 4), (0, 13)]), (0.02,) * 3, **KNOBS)
    assert (wide.medulla[:, 9:-4, :-13] == plain.medulla).all()
    assert np.count_nonzero(wide.total) == np.count_nonzero(plain.total)
    larger = compartments(bone, (0.2,) * 3, **{name: 10 * value for name, value in KNOBS.items()})
    assert (larger.cortex == plain.cortex).all()


def test_a_slit_is_bridged_and_specks_and_a_second_bone_are_left_out():
    bone, _, _ = tube(1.2, 0.3, planes=12)
    closed = compartments(bone, (0.02,) * 3, **KNOBS)
    slit = bone.copy()
    slit[:, 70:82, :40] = False  # 0.24 mm
    slit[4, 2, 2] = True
    opened = compartments(slit, (0.02,) * 3, **KNOBS)
    assert np.count_nonzero(opened.total) == pytest.approx(np.count_nonzero(closed.total), rel=0.01)
    assert not opened.total[4, 2, 2]
    small = np.zeros_like(bone)
    small[:, 10:40, 10:40] = True
    beside = np.concatenate([bone, small], axis=2)
    assert not compartments(beside, (0.02,) * 3, **KNOBS).total[:, :, bone.shape[2] :].any()


def test_bone_without_marrow_and_nonsense_are_refused():
    solid = np.zeros((6, 40, 40), bool)
    solid[:, 8:32, 8:32] = True
    with pytest.raises(DataError, match="no marrow wider than"):
        compartments(solid, (0.02,) * 3, **KNOBS)
    with pytest.raises(DataError, match="no marrow wider than"):
        compartments(np.zeros_like(solid), (0.02,) * 3, **KNOBS)
    with pytest.raises(UsageError, match="pore=0 mm"):
        compartments(solid, (0.02,) * 3, gap=0.5, pore=0, strut=0.4)


def flat(*circles, planes=20, side=0.02, width=(160, 260)):
    """Slices all alike: discs are added and taken away in order, (y, x, radius, bone) [mm]."""
    y, x = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * side for n in width), indexing="ij", sparse=True)
    plane = np.zeros(width, bool)
    for up, right, radius, bone in circles:
        plane[np.hypot(y - up, x - right) < radius] = bone
    return np.repeat(plane[None], planes, 0)


def bored(canal):
    ring = ((1.1 * np.sin(a), 1.1 * np.cos(a), canal / 2, False) for a in np.arange(6) * pi / 3)
    return flat((0, 0, 1.4, True), (0, 0, 0.8, False), *ring)


def test_canals_that_are_counted_as_marrow_are_said_and_their_width_counts_them():
    bone = bored(canal=0.3)
    wrong = compartments(bone, (0.02,) * 3, **KNOBS)
    assert "pore=0.2 mm" in wrong.doubts[0]
    right = compartments(bone, (0.02,) * 3, **KNOBS | {"pore": 0.32})
    pores = np.count_nonzero(right.cortex & ~bone) / np.count_nonzero(right.cortex)
    assert pores == pytest.approx(6 * 0.15**2 / (1.4**2 - 0.8**2), rel=0.02)
    assert right.doubts == ()
    assert compartments(bored(canal=0.16), (0.02,) * 3, **KNOBS).doubts == ()


@pytest.mark.parametrize("other", [0.5, 1.0])
def test_two_bones_that_the_gap_closes_into_one_are_said(other):
    left, right = -1.1, 0.1 + other
    bone = flat((0, left, 1, True), (0, left, 0.7, False), (0, right, other, True), (0, right, other - 0.3, False))
    (line,) = compartments(bone, (0.02,) * 3, **KNOBS).doubts
    assert "2 pieces of bone less than gap=0.5 mm apart" in line
    apart = compartments(bone, (0.02,) * 3, **KNOBS | {"gap": 0.15})
    assert apart.doubts == ()
    assert areas(apart.total, (0.02,) * 3) == pytest.approx(pi, rel=5e-3)


def test_a_porous_tube_with_trabeculae_raises_no_doubt():
    bone, _, _ = tube(1.2, 0.25, tilt=0.1, shift=(0.03, 0.01), canal=0.06, lattice=(0.6, 0.15), planes=16)
    assert compartments(bone, (0.02,) * 3, **KNOBS).doubts == ()
