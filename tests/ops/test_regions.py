"""`measure` inside regions, and maps of both phases."""

import numpy as np
import pytest
from tests.made import stack

from bonectl.errors import DataError, UsageError
from bonectl.ops.measure import measure, thickness_map
from bonectl.phantoms._grid import Grid
from bonectl.phantoms.shaft import shaft

KNOBS = {"diameter": 1.6, "wall": 0.3, "canal": 0.08}


def bone(planes=12):
    return shaft(Grid((planes, 92, 96), 0.02), **KNOBS)


def test_the_compartments_are_the_volume_of_interest():
    cortical = measure(bone(), metrics="bvtv + cortical", mask="cortical")
    whole = measure(bone(), metrics="cortical")
    assert cortical["tv"] == pytest.approx(whole["ctar"] * 12 * 0.02)
    assert 1 - cortical["bvtv"] == pytest.approx(whole["ctpo"])
    total = measure(bone(), metrics="bvtv", mask="total(gap=0.4)")
    assert total["tv"] == pytest.approx(whole["ttar"] * 12 * 0.02)
    assert total.conditions["volume_of_interest"] == "total(gap=0.4)"


def test_the_trabeculae_are_those_inside_the_cortex():
    values = bone(20).collect()
    values[:, 44:48, 44:52] = 1100  # one rod of 4 x 8 voxels in the marrow
    table = measure(stack(values), metrics="bvtv", mask="trabecular")
    assert table["bv_voxels"] == 20 * 4 * 8
    with pytest.raises(DataError, match="the volume holds no bone"):
        measure(bone(), metrics="bvtv", mask="trabecular")


def test_a_reference_lends_its_compartments():
    wanted = bone().collect()
    noisy = wanted + np.random.default_rng(0).normal(0, 60, wanted.shape).astype(np.float32)
    table = measure(stack(noisy), reference=stack(wanted), metrics="bvtv + dice", mask="cortical")
    assert table["tv"] == table.row("tv").reference
    assert table["dice"] > 0.99


@pytest.mark.parametrize("slab", [1, 5, 40])
def test_the_field_of_view_streams(slab):
    y, x = np.mgrid[:44, :40] - np.array([21.5, 19.5])[:, None, None]
    grey = np.random.default_rng(0).uniform(0, 1000, (40, 44, 40)).astype(np.float32)
    grey[:, y**2 + x**2 > 18**2] = 0
    streamed = measure(stack(grey, slab=slab), metrics="bvtv + surface + bmd", mask="auto")
    held = measure(stack(grey), metrics="bvtv + surface + bmd + components", mask="auto")
    numbers = {row.number.name: row.number.value for row in held.rows}
    assert all(numbers[row.number.name] == row.number.value for row in streamed.rows)
    assert streamed["tv"] == pytest.approx(40 * np.count_nonzero(y**2 + x**2 <= 18**2) * 0.02**3, rel=2e-3)


@pytest.mark.parametrize(
    ("mask", "message"),
    [("cylindr", "did you mean 'cylinder'"), ("auto(x=1)", "no knob"), ("trabecular(pore=-1)", "pore=-1")],
)
def test_a_region_that_cannot_be_is_refused(mask, message):
    with pytest.raises(UsageError, match=message):
        measure(bone(), metrics="bvtv", mask=mask)


def test_a_map_of_the_marrow_has_the_mean_of_its_number():
    from scipy.ndimage import gaussian_filter

    grey = np.where(gaussian_filter(np.random.default_rng(0).normal(size=(30, 32, 34)), 2.5) > 0, 1000, 0).astype(
        np.float32
    )
    made = thickness_map(stack(grey), what="tbsp(convention=bonej)")
    assert made.header.unit == "mm"
    assert "marrow" in made.header.acquisition["quantity"]
    values = made.collect()
    assert ((values > 0) == (grey == 0)).all()
    expected = measure(stack(grey), metrics="tbsp(convention=bonej, coarsen=1)")["tbsp"]
    assert values[values > 0].mean(dtype=float) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(UsageError, match="no knob 'coarsen'"):
        thickness_map(stack(grey), what="tbsp(coarsen=2)")
    with pytest.raises(UsageError, match="there are tbth and tbsp"):
        thickness_map(stack(grey), what="bvtv")
    with pytest.raises(UsageError, match="this is 'mm'"):
        measure(stack(values, "mm"))


def test_the_pattern_factor_is_that_of_balls_and_rods():
    z, y, x = np.mgrid[:50, :50, :50] - 24.6
    ball = (z * z + y * y + x * x < 18.3**2).astype(np.uint8)
    table = measure(stack(ball, "label", slab=7), metrics="tbpf + smi + surface + bvtv")
    assert table["tbpf"] == pytest.approx(2 / (18.3 * 0.02), rel=0.015)
    assert table["smi"] == pytest.approx(6 * table["bv"] * table["tbpf"] / table["bs"])
    rod = (y * y + x * x < 12.4**2).astype(np.uint8)[: len(z)]
    # Along the grid 13 directions read 4 % too little.
    assert measure(stack(rod, "label"), metrics="tbpf")["tbpf"] == pytest.approx(1 / (12.4 * 0.02), rel=0.05)
    plate = (np.abs(z) < 6).astype(np.uint8)
    assert measure(stack(plate, "label"), metrics="tbpf")["tbpf"] == pytest.approx(0, abs=0.1)
    hole = 1 - ball
    assert measure(stack(hole, "label"), metrics="tbpf")["tbpf"] == pytest.approx(-2 / (18.3 * 0.02), rel=0.03)
