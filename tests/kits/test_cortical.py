"""Cortical numbers, the shaft phantom whose answers are known, and the regions."""

from math import pi

import numpy as np
import pytest
import tifffile
from skimage.measure import euler_number
from tests import made
from tests.made import measured

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold
from bonectl.phantoms._grid import Grid
from bonectl.phantoms.shaft import shaft


def region(text, *flows):
    return kit.bind("regions", parse(text))(*flows)


def specimen(stack, cut=550.0):
    grey = stack.collect()
    return made.specimen(grey > cut, stack.header.spacing, grey, "mgHA/cm3", cut=cut)


def test_the_shaft_holds_what_it_says():
    stack = shaft(Grid((12, 150, 160), 0.02), canal=0.12)
    known, grey = stack.header.answers, stack.collect()
    assert grey.sum(dtype=float) / 1100 * 0.02**3 == pytest.approx(known["bv_mm3"], rel=2e-3)
    assert euler_number(grey > 550, 3) == known["chi"] == -12
    assert known["ttar_mm2"] == pytest.approx(pi * 1.2**2)
    assert known["ctar_mm2"] + known["maar_mm2"] == pytest.approx(known["ttar_mm2"])
    coat = 1e-4  # d(volume)/d(thickness of a coat) is the surface
    near = shaft(Grid((12, 150, 160), 0.02), diameter=2.4 + coat, wall=0.4 + coat, canal=0.12 - coat).header.answers
    assert (near["bv_mm3"] - known["bv_mm3"]) / (coat / 2) == pytest.approx(known["bs_mm2"], rel=2e-3)
    assert shaft(Grid((4, 64, 64), 0.02), canals=0).header.answers["ctpo"] == 0


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"diameter": 9.0}, "does not fit"),
        ({"wall": 0.9}, "the wall of a shaft"),
        ({"canal": 0.5}, "a canal"),
        ({"canals": 500}, "500 canals"),
        ({"canals": -1}, "-1 canals"),
    ],
)
def test_a_shaft_that_cannot_be_is_refused(knobs, message):
    with pytest.raises(UsageError, match=message):
        shaft(Grid((4, 64, 64), 0.02), **knobs)


def test_the_shaft_measures_as_it_is():
    stack = shaft(Grid((20, 150, 160), 0.02), canal=0.12, canals=16)
    known, there = stack.header.answers, specimen(stack)
    found = measured("cortical", there) | measured("ctth", there)
    assert found["ttar"] == pytest.approx(known["ttar_mm2"], rel=2e-3)
    assert found["ctar"] == pytest.approx(known["ctar_mm2"], rel=5e-3)
    assert found["maar"] == pytest.approx(known["maar_mm2"], rel=5e-3)
    assert found["ctar_ttar"] == pytest.approx(known["ctar_ttar"], rel=5e-3)
    assert found["ctpo"] == pytest.approx(known["ctpo"], rel=0.05)
    assert found["ctth"] == pytest.approx(known["ctth_mm"], abs=0.2 * 0.02)  # a fifth of a voxel
    assert found["ctth_sd"] < 0.01


def test_cortical_thickness_needs_cubic_voxels_and_areas_do_not():
    bone = np.zeros((6, 60, 60), bool)
    bone[:, 8:52, 8:52] = True
    bone[:, 20:40, 20:40] = False
    labels = np.where(bone, BONE, MARROW).astype(np.uint8)
    there = Specimen(labels, (0.04, 0.02, 0.02), "label", Threshold(0.5, "label", "test"))
    assert measured("cortical", there)["ttar"] == pytest.approx((44 * 0.02) ** 2)
    with pytest.raises(UsageError, match="cubic voxels"):
        measured("ctth", there)


# ---- regions --------------------------------------------------------------------------------------------------


def test_compartments_tile_the_bone():
    stack = shaft(Grid((8, 150, 160), 0.02))
    bone = stack.collect() > 550
    total, cortex, marrow = (region(name, bone, (0.02,) * 3) for name in ("total", "cortical", "trabecular"))
    assert (total == (cortex ^ marrow)).all()
    assert not (cortex & marrow).any()


def test_the_field_of_view_is_what_is_not_padding():
    y, x = np.mgrid[:61, :67] - np.array([29.5, 34.2])[:, None, None]
    disc = y**2 + x**2 < 27.3**2
    noise = np.random.default_rng(0).normal(0, 9, (4, 61, 67))
    values = np.where(disc, noise.round(), 0.0)  # some voxels inside are 0 as well
    found = region("auto", values)
    assert (values[:, disc] == 0).any()
    # The hull of a digital disc from which a few border pixels are missing.
    assert (found & ~disc).sum() == 0
    assert found.sum() == pytest.approx(4 * disc.sum(), rel=3e-3)
    assert (region("auto", np.where(disc, values, -1000.0)) == disc).all()


def test_a_volume_without_padding_is_all_inside_and_an_empty_slice_is_not():
    values = np.random.default_rng(1).normal(size=(3, 20, 21))
    assert region("auto", values).all()
    values[1] = 7
    assert region("auto", values).any((1, 2)).tolist() == [True, False, True]


@pytest.mark.parametrize("seed", range(3))
def test_the_hull_is_scikit_images(seed):
    from skimage.morphology import convex_hull_image

    rng = np.random.default_rng(seed)
    plane = np.zeros((40, 50))
    plane[rng.integers(3, 37, 12), rng.integers(3, 47, 12)] = 1
    ours = region("auto", plane[None])[0]
    theirs = convex_hull_image(plane > 0, offset_coordinates=False)
    assert (ours == theirs).mean() > 0.995  # pixels whose centre lies on an edge


def test_the_cylinder_is_inscribed():
    stack = region("cylinder", Header(shape=(2, 20, 30), dtype="|u1", spacing=(0.1, 0.1, 0.1), unit="label"))
    assert stack.collect().sum() == pytest.approx(2 * pi * 100, rel=0.02)


def test_the_field_of_view_of_real_bone_is_the_published_cylinder(shared_data):
    values = tifffile.imread(shared_data / "lhdl2923_cylinder_z000-256_19p5um_u8.tif")
    assert region("auto", values).sum() * 0.0195**3 == pytest.approx(97.39, rel=5e-3)  # fitted by ciclope [mm³]
