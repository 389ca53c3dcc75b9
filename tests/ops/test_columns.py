"""Columns of a table with one line for each volume: known before any is measured, and those that are then filled."""

import pytest
from tests import made

from bonectl.core import kit
from bonectl.measuring.columns import columns, numbers
from bonectl.ops.measure import measure

METRICS = kit.names("metrics")


@pytest.mark.parametrize("name", METRICS)
def test_the_documentation_of_a_metric_names_its_numbers_and_their_units(name):
    """Which the columns are made of."""
    ours, theirs = made.stack(made.bone()), made.stack(made.bone())
    table = measure(ours, metrics=f"{name} + dice", reference=theirs, intervals="none")
    found = {row.number.name: row.number.unit for row in table.rows if row.number.name != "dice" or name == "dice"}
    found |= {"rmse": "unit of the values"} if name == "psnr" else {}
    assert numbers(name) == found
    assert list(numbers(name)) == list(found)


def test_no_two_columns_of_any_metric_are_one():
    heads = columns(" + ".join(METRICS), compared=True, around=True).heads()
    assert len(set(heads)) == len(heads)


@pytest.mark.parametrize("unit", ["mgHA/cm3", "grey", "label"])
@pytest.mark.parametrize("compared", [False, True])
def test_all_that_a_table_says_has_a_column(unit, compared):
    names = "bvtv + components"
    reference = made.stack(made.bone(), unit) if compared else None
    ours = made.stack(made.bone(), unit)
    table = measure(ours, metrics=names, threshold=500, reference=reference, intervals="none", mask="cylinder")
    there = columns(names, compared=compared, around=False)
    assert set(table.stated()) <= set(there.conditions)
    assert {row.number.name for row in table.rows} == set(there.numbers)
    texts = dict(zip(there.heads(), there.cells("a.npy", table), strict=True))
    assert float(texts["bvtv"]) == pytest.approx(table["bvtv"], rel=1e-8)
    assert texts["volume_of_interest"] == "cylinder"


def test_nothing_asked_is_everything_for_any_unit():
    heads = columns(None, compared=False, around=False).heads()
    assert {"tbth_mm", "bmd_mgha_cm3", "connd_per_mm3", "da_tilt_degree"} <= set(heads)
    assert "psnr_db" in columns(None, compared=True, around=False).heads()
