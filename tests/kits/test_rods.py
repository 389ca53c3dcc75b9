"""Rods of known density: the line through them, its errors in the provenance, and tables that are refused."""

from math import isnan

import numpy as np
import pytest

from bonectl.calibrations.rods import fit, rods
from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError, UsageError
from bonectl.ops.calibrate import attenuation_law, calibrated

DENSITIES = (0.0, 100.0, 200.0, 400.0, 800.0)


def written(folder, column="mu_per_cm", values=(0.2, 0.26, 0.33, 0.45, 0.70), densities=DENSITIES, mark="\t"):
    path = folder / "rods.tsv"
    lines = [
        f"rod{mark}{column}{mark}density_mgha_cm3",
        *(f"r{mark}{v}{mark}{d}" for v, d in zip(values, densities, strict=True)),
    ]
    path.write_text("# phantom QRM, scanned today\n" + "\n".join(lines) + "\n")
    return path


def test_an_exact_line_is_found_exactly():
    slope, intercept = 1613.94397, -392.247009
    values = [(density - intercept) / slope for density in DENSITIES]
    law = fit(values, DENSITIES)
    assert law.slope == pytest.approx(slope, rel=1e-12)
    assert law.intercept == pytest.approx(intercept, rel=1e-12)
    assert law.r_squared == pytest.approx(1, abs=1e-12)
    assert np.abs(law.residuals).max() < 1e-9


def test_the_fit_is_that_of_least_squares():
    """Against numpy's polynomial fit, and the textbook's standard error."""
    values = np.array([0.2, 0.26, 0.33, 0.45, 0.70])
    law = fit(values.tolist(), DENSITIES)
    slope, intercept = np.polyfit(values, DENSITIES, 1)
    residuals = np.array(DENSITIES) - (slope * values + intercept)
    assert (law.slope, law.intercept) == pytest.approx((slope, intercept), rel=1e-9)
    np.testing.assert_allclose(law.residuals, residuals, atol=1e-9)
    assert law.error == pytest.approx(np.sqrt((residuals**2).sum() / 3))
    assert law.r_squared == pytest.approx(np.corrcoef(values, DENSITIES)[0, 1] ** 2)


def test_a_large_offset_loses_no_digits():
    values = [1e6 + 0.1 * density for density in DENSITIES]
    assert fit(values, DENSITIES).slope == pytest.approx(10.0, rel=1e-9)


def test_two_rods_are_a_line_without_a_residual():
    law = fit([0.2, 0.7], [0.0, 800.0])
    assert law.slope == pytest.approx(1600)
    assert isnan(law.error)


@pytest.mark.parametrize("mark", ["\t", ","])
def test_a_table_becomes_a_calibration_that_says_how_good_it_is(tmp_path, mark):
    law = rods("1/cm", table=str(written(tmp_path, mark=mark)))
    expected = fit([0.2, 0.26, 0.33, 0.45, 0.70], DENSITIES)
    assert (law.slope, law.intercept, law.pseudo) == (expected.slope, expected.intercept, False)
    assert law.source == (
        f"rods(table='rods.tsv'): 5 rods, R² {expected.r_squared:.6f}, standard error {expected.error:.3g} mgHA/cm3, "
        f"largest residual {max(expected.residuals, key=abs):+.3g} mgHA/cm3"
    )


def test_a_stack_of_grey_values_becomes_density(tmp_path):
    table = written(tmp_path, "grey", [1000, 2000], [0, 500])
    grey = np.array([[[1000, 3000], [1500, 2000]]], np.float32)
    stack = Stack.of(grey, Header(shape=(1, 2, 2), dtype="<f4", spacing=(0.02,) * 3, unit="grey"))
    made = calibrated(stack, parse(f"rods(table='{table}')"))
    assert made.header.unit == "mgHA/cm3"
    assert "2 rods" in made.header.calibration.source
    np.testing.assert_allclose(made.collect(), [[[0, 1000], [250, 500]]], atol=1e-3)


def test_a_table_in_another_unit_than_the_stack_is_refused(tmp_path):
    table = written(tmp_path, "grey", [1000, 2000], [0, 500])
    with pytest.raises(UsageError, match=r"the rods are in grey \(grey\), the volume is in 1/cm"):
        rods("1/cm", table=str(table))
    with pytest.raises(UsageError, match="the rods are in grey"):
        attenuation_law(parse(f"rods(table='{table}')"))


def test_the_law_of_attenuation_needs_no_voxels(tmp_path):
    table = written(tmp_path)
    assert attenuation_law(parse(f"rods(table='{table}')")) == rods("1/cm", table=str(table))
    assert attenuation_law(parse("energy(kev=30)")).slope == pytest.approx(505, rel=0.02)
    for other in ("peaks", "scanco"):
        with pytest.raises(UsageError, match=f"{other} is no law of attenuation"):
            attenuation_law(parse(other))


@pytest.mark.parametrize(
    ("values", "densities", "message"),
    [
        ([0.2], [0.0], "1 rod; a line needs two"),
        ([], [], "0 rod"),
        ([0.2, 0.3, 0.25], [0.0, 100.0, 200.0], "must rise with the value"),
        ([0.2, 0.2], [0.0, 100.0], "must rise with the value"),
        ([0.2, 0.3], [100.0, 100.0], "must rise with the value"),
        ([0.5, 0.2], [0.0, 100.0], "rods of 100 and 0 mgHA/cm3 read 0.2 and 0.5"),
        ([0.2, float("nan")], [0.0, 100.0], "not finite"),
        ([0.2, "x"], [0.0, 100.0], "no line of numbers"),
    ],
)
def test_rods_that_make_no_line_are_refused(tmp_path, values, densities, message):
    with pytest.raises(DataError, match=message):
        rods("1/cm", table=str(written(tmp_path, values=values, densities=densities)))


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "mu_per_cm,grey,density_mgha_cm3\n1,2,3\n", "mu_per_cm,density\n1,2\n"]
)
def test_tables_without_their_columns_are_refused(tmp_path, text):
    path = tmp_path / "rods.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="needs the column density_mgha_cm3, and one of mu_per_cm and grey"):
        rods("1/cm", table=str(path))


def test_a_table_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingInputError, match="no such table of rods"):
        rods("1/cm", table=str(tmp_path / "none.tsv"))


def test_rods_that_lie_on_no_line_are_used_with_a_warning(tmp_path, monkeypatch):
    """R² 0.59: the rod of 800 was read in the plate of the table, or the scan is hardened beyond use."""
    told = []
    monkeypatch.setattr(progress, "note", told.append)
    rods("1/cm", table=str(written(tmp_path)))
    assert told == []
    path = written(tmp_path, values=(0.20, 0.21, 0.22, 0.23, 0.90), densities=(0, 400, 700, 790, 800))
    assert "R² 0." in rods("1/cm", table=str(path)).source
    assert "lie on no straight line (R² 0." in told[0]
    assert "the rod of 0 mgHA/cm3 is -" in told[0]
