import numpy as np
import pytest

from bonectl.core import physics
from bonectl.errors import UsageError

# NIST XCOM values for hydroxyapatite and water, and xraylib's for ICRP adipose tissue and PMMA [cm²/g]
XCOM = {
    ("hydroxyapatite", 15): 14.94, ("hydroxyapatite", 20): 6.560, ("hydroxyapatite", 30): 2.099,
    ("hydroxyapatite", 40): 0.9877, ("hydroxyapatite", 50): 0.5867, ("hydroxyapatite", 60): 0.4067,
    ("hydroxyapatite", 80): 0.2589, ("water", 15): 1.673, ("water", 20): 0.8096, ("water", 30): 0.3756,
    ("water", 40): 0.2683, ("water", 50): 0.2269, ("water", 60): 0.2059, ("water", 80): 0.1837,
}  # fmt: skip
XRAYLIB = {
    18: (8.866, 1.0416, 0.6851, 0.7139), 21: (5.707, 0.7253, 0.5045, 0.5195), 23: (4.406, 0.5978, 0.4314, 0.4410),
    25: (3.482, 0.5082, 0.3799, 0.3857), 27: (2.807, 0.4433, 0.3423, 0.3455), 33: (1.623, 0.3300, 0.2759, 0.2745),
    35: (1.389, 0.3075, 0.2625, 0.2603), 46.5: (0.6895, 0.2380, 0.2195, 0.2150),
}  # fmt: skip


@pytest.mark.parametrize(("material", "kev"), XCOM)
def test_mass_attenuation_is_that_of_nist(material, kev):
    assert physics.mass_attenuation(material, kev) == pytest.approx(XCOM[material, kev], rel=6e-4)


@pytest.mark.parametrize("kev", XRAYLIB)
def test_mass_attenuation_is_that_of_xraylib(kev):
    found = [physics.mass_attenuation(m, kev) for m in ("hydroxyapatite", "water", "adipose", "pmma")]
    assert found == pytest.approx(XRAYLIB[kev], rel=3e-4)


@pytest.mark.parametrize("kev", [7.99, 150.01, 0, -5, float("nan")])
def test_energies_outside_the_table_are_refused(kev):
    with pytest.raises(UsageError, match="8 to 150 keV"):
        physics.mass_attenuation("water", kev)


def test_other_materials_are_refused_by_name():
    with pytest.raises(UsageError, match="'lead'"):
        physics.mass_attenuation("lead", 25)
    with pytest.raises(UsageError, match="'bone'"):
        physics.mineral_law(25, "bone")


@pytest.mark.parametrize(("kev", "slope", "intercept"), [(20, 158.6, -128), (25, 301.1, -153), (30, 505.0, -190)])
def test_mineral_in_water_follows_the_two_component_law(kev, slope, intercept):
    found = physics.mineral_law(kev)
    assert found[0] == pytest.approx(slope, rel=5e-4)
    assert found[1] == pytest.approx(intercept, abs=0.5)


def test_the_law_gives_matrix_at_zero_and_pure_mineral_at_its_density():
    slope, intercept = physics.mineral_law(25, "pmma")
    assert (0 - intercept) / slope == pytest.approx(physics.matrix_attenuation(25, "pmma"), rel=1e-12)
    pure = physics.HYDROXYAPATITE_DENSITY * physics.mass_attenuation("hydroxyapatite", 25)
    assert slope * pure + intercept == pytest.approx(1000 * physics.HYDROXYAPATITE_DENSITY, rel=1e-12)


def test_the_scanco_calibration_is_this_law_near_46_kev():
    # the default constants of XtremeCT II: slope 1613.94 and water 0.2396 /cm belong to one effective energy
    slope, intercept = physics.mineral_law(46.5)
    assert slope == pytest.approx(1613.94397, rel=0.02)
    assert intercept == pytest.approx(-392.247009, rel=0.02)
    assert physics.matrix_attenuation(46.5) == pytest.approx(0.2396, rel=0.01)


def test_density_of_hydroxyapatite_is_that_of_its_unit_cell():
    # Ca10(PO4)6(OH)2: 10 × 40.078 + 6 × 30.974 + 26 × 15.999 + 2 × 1.008 g/mol; hexagonal, a 9.42, c 6.88 Å
    mass = 10 * 40.078 + 6 * 30.974 + 26 * 15.999 + 2 * 1.008
    volume = np.sqrt(3) / 2 * 9.42e-8**2 * 6.88e-8
    assert mass / 6.02214e23 / volume == pytest.approx(physics.HYDROXYAPATITE_DENSITY, abs=0.01)


def test_line_integrals_undo_transmission():
    p = np.linspace(-0.1, 12, 100, dtype=np.float32).reshape(2, 5, 10)
    back, clamped = physics.line_integrals(physics.transmission(p) * 1e7, 1e7)
    assert clamped == 0
    np.testing.assert_allclose(back, p, atol=2e-6)


def test_readings_below_half_a_photon_are_taken_as_half_a_photon():
    counts = np.array([0, -3, 0.5, 1, 10], np.float32)
    p, clamped = physics.line_integrals(counts, 10.0)
    assert clamped == 2
    np.testing.assert_allclose(p, np.log([20, 20, 20, 10, 1]), rtol=1e-6)


def test_white_may_differ_by_pixel_and_the_least_transmission_be_given():
    counts = np.array([[5.0, 5.0]])
    np.testing.assert_allclose(physics.line_integrals(counts, np.array([10.0, 20.0]))[0], np.log([[2, 4]]), rtol=1e-6)
    p, clamped = physics.line_integrals(np.array([0.0, 0.5]), 1.0, least=1e-3)
    assert clamped == 1
    np.testing.assert_allclose(p, [np.log(1e3), np.log(2)], rtol=1e-6)
