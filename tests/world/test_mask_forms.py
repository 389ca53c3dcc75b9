"""One bone in the forms that files have: its numbers are the same, or the difference is stated here."""

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from tests import made
from tests.made import numbers

from bonectl import io
from bonectl.core.stack import Stack
from bonectl.ops.measure import measure

SIDE = 0.02
FEW = "bvtv + tbth + tbsp + tbn"


def structure(shape=(26, 24, 28)):
    """Struts and plates of random shape, 3 to 6 voxels thick and as far apart."""
    return gaussian_filter(np.random.default_rng(3).normal(size=shape), 1.6) > 0.02


def stack(values, unit="grey"):
    return made.stack(values, unit, spacing=(SIDE,) * 3)


def of_file(path, unit=None, **asked):
    """All default numbers of a file of which the voxel size is told."""
    with io.open(path) as found:
        header = found.header.replace(spacing=(SIDE,) * 3, unit=unit or found.header.unit)
        return measure(Stack(header, found.slabs), **asked)


@pytest.fixture(scope="module")
def truth():
    """All default numbers of the mask as a mask."""
    found = numbers(measure(stack(structure().astype(np.uint8), "label")))
    assert found["bvtv"] == structure().mean()
    assert {"tbth", "tbsp", "tbn", "connd", "smi", "da"} <= found.keys()
    return found


FORMS = {
    "truth values": lambda m: m,
    "0 and 1": lambda m: m.astype(np.uint8),
    "0 and 255": lambda m: 255 * m.astype(np.uint8),
    "16 bits": lambda m: 65535 * m.astype(np.uint16),
    "32 bits": lambda m: np.uint32(4294967295) * m.astype(np.uint32),
    "signed, below 0": lambda m: np.where(m, -1, -2).astype(np.int8),
    "all of a signed type": lambda m: np.where(m, 127, -128).astype(np.int8),
    "Hounsfield units": lambda m: np.where(m, 1500, -1000).astype(np.int16),
    "all of 16 signed bits": lambda m: np.where(m, 32767, -32768).astype(np.int16),
    "scaled, offset": lambda m: np.where(m, 0.3, 0.1).astype(np.float32),
    "double precision": lambda m: np.where(m, 1e-9, -1e-9),
    "big-endian": lambda m: (300 * m).astype(">u2"),
    "big-endian floats": lambda m: np.where(m, 2.5, 1.25).astype(">f4"),
    "Fortran order": lambda m: np.asfortranarray(255 * m.astype(np.uint8)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_has_its_numbers_whatever_its_type_and_levels(truth, tmp_path, form):
    """All default numbers of the commonest; of the others those that see more than the voxels that are bone."""
    asked = {} if form in ("truth values", "0 and 255") else {"metrics": FEW}
    np.save(tmp_path / "mask.npy", FORMS[form](structure()))
    found = numbers(of_file(tmp_path / "mask.npy", **asked))
    assert found == {name: truth[name] for name in found}
    assert asked or found.keys() == truth.keys()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_a_mask_has_its_numbers_as_tiff_and_as_a_folder_of_slices(truth, tmp_path, kind):
    values = (200 * structure()).astype(kind)
    tifffile.imwrite(tmp_path / "mask.tif", values, photometric="minisblack")
    found = numbers(of_file(tmp_path / "mask.tif", metrics=FEW))
    assert found == {name: truth[name] for name in found}
    (tmp_path / "slices").mkdir()
    for number, plane in enumerate(values):
        tifffile.imwrite(tmp_path / "slices" / f"mask_{number:04d}.tif", plane)
    assert numbers(of_file(tmp_path / "slices", metrics=FEW)) == found


@pytest.mark.parametrize("threshold", [None, 1, "254.9", "nonzero", "otsu", "midpoint"])
def test_any_threshold_between_two_levels_gives_the_same_numbers(truth, threshold):
    unit = "mgHA/cm3" if threshold == "midpoint" else "grey"
    values = (254 + structure()) if threshold == "254.9" else 255 * structure().astype(np.float32)
    if threshold == "midpoint":
        values = values * 4
    found = measure(stack(values.astype(np.float32), unit), threshold=threshold, metrics=FEW)
    assert numbers(found) == {name: truth[name] for name in numbers(found)}
    assert "mask" in found.conditions["threshold_rule"] or threshold == "nonzero"


def test_the_threshold_of_two_levels_is_their_middle():
    for low, high in ((0, 255), (-7, 12), (0.25, 0.5)):
        found = measure(stack(np.where(structure(), high, low).astype(np.float32)), metrics="bvtv")
        assert found.conditions["threshold"] == pytest.approx((low + high) / 2)


@pytest.mark.parametrize("form", ["0 and 1", "0 and 255", "scaled, offset"])
def test_a_volume_of_interest_is_one_in_all_forms_and_as_a_crop(form):
    """What lies beyond it has one value and tells nothing: the walls are as the faces of a cropped stack."""
    mask = structure()
    box = (slice(3, 24), slice(2, 22), slice(4, 26))
    within = np.zeros(mask.shape, np.uint8)
    within[box] = 1
    names = f"{FEW} + surface + connd + smi + tbn_direct + fractal(smallest=2)"
    crop = numbers(measure(stack(mask[box].astype(np.uint8), "label"), metrics=names))
    values = FORMS[form](mask & (within > 0))
    found = numbers(measure(stack(values), mask=stack(within, "label"), metrics=names))
    assert found == pytest.approx(crop, rel=1e-6)


@pytest.mark.parametrize("turn", ["flipped", "swapped", "padded"])
def test_a_turned_mask_has_its_numbers(truth, turn):
    """Counts are the same; local thickness to 0.2 %, whose balls are searched along the axes in order."""
    mask, asked = structure(), {}
    values = {
        "flipped": lambda: mask[::-1, :, ::-1],
        "swapped": lambda: mask.transpose(2, 0, 1),
        "padded": lambda: np.pad(mask, 5),
    }[turn]()
    if turn == "padded":  # of which the volume of interest is the mask's stack
        asked["mask"] = stack(np.pad(np.ones(mask.shape, np.uint8), 5), "label")
    found = numbers(measure(stack(255 * values.astype(np.uint8)), **asked))
    for name in ("bv", "bvtv", "chi", "components", "connd"):
        assert found[name] == truth[name]
    for name in ("bs", "smi", "tbth", "tbsp", "tbn"):
        assert found[name] == pytest.approx(truth[name], rel=2e-3)
    assert found["da"] == pytest.approx(truth["da"], abs=0.02)


def test_a_mask_whose_bone_is_dark_is_measured_as_its_marrow():
    """Nothing in a mask says which level is bone: it is the upper one. Bone and marrow change places."""
    mask = structure()
    usual, inverted = (
        numbers(measure(stack(255 * values.astype(np.uint8)), metrics="bvtv + surface + tbth + tbsp(coarsen=1)"))
        for values in (mask, ~mask)
    )
    assert inverted["bvtv"] == pytest.approx(1 - usual["bvtv"])
    assert inverted["tbth"] == pytest.approx(usual["tbsp"], rel=1e-6)
    assert inverted["tbsp"] == pytest.approx(usual["tbth"], rel=1e-6)


# ---- beside a reference ---------------------------------------------------------------------------------------


def blurred(noise=8.0):
    soft = gaussian_filter(np.where(structure(), 180.0, 40.0), 0.8)
    return (soft + np.random.default_rng(0).normal(0, noise, soft.shape)).astype(np.float32)


@pytest.mark.parametrize("form", ["truth values", "0 and 1", "0 and 255", "signed, below 0", "double precision"])
def test_a_reference_that_is_a_mask_is_one_in_all_forms(form):
    """The threshold of the volume is its own, and the surface of the reference the mask's."""
    asked = {"metrics": "bvtv + tbth + dice + fsc + surface_distance + tbth_distance", "intervals": "none"}
    label = measure(stack(blurred()), reference=stack(structure().astype(np.uint8), "label"), **asked)
    other = measure(stack(blurred()), reference=stack(FORMS[form](structure())), **asked)
    assert [row.reference for row in other.rows] == [row.reference for row in label.rows]
    assert numbers(other) == pytest.approx(numbers(label), rel=1e-6)
    assert other.conditions["threshold"] == label.conditions["threshold"]


@pytest.mark.parametrize("form", ["0 and 1", "0 and 255"])
def test_a_plain_mask_is_a_reference_of_mineral_too(form):
    volume = stack(blurred() * 6, "mgHA/cm3")
    found = measure(volume, reference=stack(FORMS[form](structure())), metrics="bvtv + dice", intervals="none")
    label = measure(
        stack(blurred() * 6, "mgHA/cm3"),
        reference=stack(structure().astype(np.uint8), "label"),
        metrics="bvtv + dice",
        intervals="none",
    )
    assert [(row.number.value, row.reference) for row in found.rows] == [
        (row.number.value, row.reference) for row in label.rows
    ]
