import numpy as np
import pytest
import tifffile

from bonectl.calibrations.energy import energy
from bonectl.calibrations.linear import linear
from bonectl.calibrations.peaks import peaks
from bonectl.calibrations.scanco import scanco
from bonectl.errors import DataError, UsageError


def bone_like(shape=(24, 64, 64), marrow=20.0, bone=190.0, sd=6.0):
    """Grey values of thick plates in marrow, with a soft edge."""
    x = np.arange(shape[2])
    edge = np.clip((np.abs((x % 32) - 16) - 10) / 4 + 0.5, 0, 1)
    noise = np.random.default_rng(1).standard_normal(shape) * sd
    return (marrow + (bone - marrow) * edge + noise).astype(np.float32)


@pytest.mark.parametrize("matrix", ["water", "adipose", "pmma"])
def test_energy_there_and_back_is_exact(matrix):
    law = energy(kev=25, matrix=matrix)
    density = np.linspace(-200, 2000, 50)
    np.testing.assert_allclose(law.density(law.attenuation(density)), density, rtol=1e-12, atol=1e-9)
    assert not law.pseudo
    assert "25" in law.source
    assert matrix in law.source


def test_scanco_reproduces_the_four_unit_vector():
    # ORMIR_XCT's defaults: native 4259 = 0.52 /cm = 1170 HU = 446.8 mgHA/cm³
    law = scanco()
    attenuation = 4259 / 8192
    assert attenuation == pytest.approx(0.52, abs=5e-4)
    assert 1000 * (attenuation / 0.2396 - 1) == pytest.approx(1170, abs=0.5)
    assert law.density(4259.0) == pytest.approx(446.8, abs=0.05)
    assert law.density(0.2396 * 8192) == pytest.approx(-5.5, abs=0.1)


@pytest.mark.parametrize(
    ("mu_water", "slope", "intercept"),
    [(0.2366, 1662.52405, -398.609009), (0.2415, 1431.68396, -349.852997), (0.2396, 1613.94397, -392.247009)],
)
def test_scanco_takes_the_constants_of_real_scanners(mu_water, slope, intercept):
    assert scanco(mu_water=mu_water, slope=slope, intercept=intercept).density(0.0) == intercept


def test_scanco_refuses_constants_that_do_not_belong_together():
    with pytest.raises(UsageError, match="water reads"):
        scanco(mu_water=0.5)
    with pytest.raises(UsageError, match="positive"):
        scanco(mu_scaling=0)


def test_linear_is_what_it_was_given():
    law = linear(slope=2.5, intercept=-10)
    assert law.density(100.0) == 240.0
    with pytest.raises(UsageError, match="slope"):
        linear(slope=-1.0)


def test_peaks_find_marrow_and_bone():
    law = peaks(bone_like())
    assert law.density(20.0) == pytest.approx(0, abs=15)
    assert law.density(190.0) == pytest.approx(1050, abs=15)
    assert law.pseudo
    assert "pseudo-calibrated" in law.source


def test_peaks_do_not_depend_on_scale_offset_or_fill():
    grey = bone_like()
    law = peaks(grey)
    other = peaks(grey * 37 + 1000)
    np.testing.assert_allclose(other.density(grey * 37.0 + 1000), law.density(grey), atol=1)
    filled = grey.copy()
    filled[:, :, :2] = grey.min() - 1  # a rim outside the field of view
    np.testing.assert_allclose(peaks(filled).density(grey), law.density(grey), atol=15)


def test_peaks_take_integers_and_other_densities():
    law = peaks(np.rint(bone_like()).astype(np.uint8), low=-50, high=1200)
    assert law.density(20.0) == pytest.approx(-50, abs=20)
    assert law.density(190.0) == pytest.approx(1200, abs=20)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.random.default_rng(0).normal(100, 5, (16, 32, 32)), "peak"),
        (np.linspace(0, 255, 32**3).reshape(32, 32, 32), "peak"),
        (np.full((4, 4, 4), 7.0), "all grey values are 7"),
        (np.array([[[1.0, np.nan]]]), "NaN"),
    ],
)
def test_peaks_refuse_what_has_no_two_peaks(values, words):
    with pytest.raises(DataError, match=words):
        peaks(values)


@pytest.mark.parametrize(
    ("name", "marrow", "bone"),
    [("lhdl3155_trabecular_19p5um_u8.tif", 18, 190), ("lhdl2923_cylinder_z000-256_19p5um_u8.tif", 16, 190)],
)
def test_peaks_of_two_real_bones_from_one_scanner_agree(shared_data, name, marrow, bone):
    law = peaks(tifffile.imread(shared_data / name))
    assert law.attenuation(0.0) == pytest.approx(marrow, abs=2)
    assert law.attenuation(1050.0) == pytest.approx(bone, abs=3)
