"""A table's JSON and TSV: stable, exact, and without values that are no numbers."""

import csv
import json
from math import inf, nan

import pytest

from bonectl.core.table import (
    COLUMNS,
    SCHEMA,
    Columns,
    Histogram,
    Interval,
    Number,
    Row,
    Table,
    compared,
    csv_line,
    json_line,
    tsv_line,
)

ROWS = (
    Row(Number("bvtv", 0.1 + 0.2, "1", "fraction"), 0.25),
    Row(Number("tbth", nan, "mm", "thickness"), 0.2),
    Row(Number("chi", -3, "1", "Euler number"), 0.0),
    Row(Number("psnr", inf, "dB", "ratio")),
)
TABLE = Table(
    ROWS, {"threshold": 525.0, "rule": "mid\tpoint"}, (Histogram("bmd", "mgHA/cm3", 0.0, 10.0, (0, 2, 1, 0)),), "truth"
)


def test_tsv_has_the_columns_and_nine_digits():
    lines = [line.split("\t") for line in TABLE.to_tsv().splitlines()]
    assert tuple(lines[0]) == COLUMNS
    assert {len(line) for line in lines} == {len(COLUMNS)}
    values = {line[0]: line[1] for line in lines[1:]}
    assert values == {
        "threshold": "525",
        "rule": "mid point",
        "bvtv": "0.3",
        "tbth": "",
        "chi": "-3",
        "psnr": "",
    }


def test_json_is_strict_and_versioned():
    there = json.loads(TABLE.json(), parse_constant=pytest.fail)
    assert there["schema"] == SCHEMA == "bonectl.measure/1"
    assert there["rows"][0]["value"] == 0.1 + 0.2
    assert there["rows"][1]["value"] is None
    assert there["histograms"] == [{"name": "bmd", "unit": "mgHA/cm3", "start": 10.0, "step": 10.0, "counts": [2, 1]}]


def test_differences_are_value_minus_reference_in_percent_of_its_size():
    row = Row(Number("smi", 1.0, "1", "index"), -2.0)
    assert (row.difference, row.percent) == (3.0, 150.0)
    assert TABLE.row("chi").percent is None
    assert TABLE.row("psnr").difference is None


def test_known_answers_are_found_by_name_and_unit():
    table = Table((Row(Number("tbth", 0.2, "mm", "")), Row(Number("bvtv", 0.3, "1", ""))))
    beside = table.beside({"tbth_mm": 0.25, "bvtv": 0.3, "other": 1.0})
    assert [row.reference for row in beside.rows] == [0.25, 0.3]


def test_rows_meet_their_reference_by_name():
    rows = compared([Number("a", 1, "1", ""), Number("b", 2, "1", "")], [Number("b", 5, "1", "")])
    assert [row.reference for row in rows] == [None, 5]


def test_a_row_is_found_by_name():
    assert TABLE["chi"] == -3
    with pytest.raises(KeyError):
        TABLE["none"]


UNITS = {"bvtv": "1", "tbth": "mm", "connd": "1/mm3", "bmd": "mgHA/cm3", "mtf10_um": "um", "rmse": "the values"}


def test_columns_name_the_unit_of_their_numbers():
    assert Columns((), UNITS).heads() == [
        "file",
        "bvtv",
        "tbth_mm",
        "connd_per_mm3",
        "bmd_mgha_cm3",
        "mtf10_um",
        "rmse",
    ]


def test_columns_beside_a_number_have_its_unit_at_the_end():
    heads = Columns(("threshold",), {"tbth": "mm"}, compared=True, around=True).heads()
    beside = ["tbth_reference_mm", "tbth_difference_mm", "tbth_percent"]
    around = ["tbth_low_mm", "tbth_high_mm", "tbth_difference_low_mm", "tbth_difference_high_mm"]
    assert heads == ["file", "threshold", "tbth_mm", *beside, *around]


def test_each_volume_has_a_text_for_each_column():
    a = Table((Row(Number("bvtv", 0.25, "1", "d"), 0.2),), {"threshold": 525.0}, reference="answers")
    b = Table((Row(Number("da", nan, "1", "d")), Row(Number("bvtv", 0.5, "1", "d"))), {"unit": "x"})
    columns = Columns(("threshold", "unit"), {"bvtv": "1", "da": "1"}, compared=True)
    first, second = columns.cells("a b.npy", a), columns.cells("b.npy", b)
    assert first == ["a b.npy", "525", "", "0.25", "0.2", "0.05", "25", *[""] * 4]
    assert second == ["b.npy", "", "x", "0.5", *[""] * 7]
    assert len(columns.heads()) == len(first) == len(second)


def test_a_line_of_csv_is_read_back_as_it_was():
    cells = ["a,b.npy", 'midpoint(marrow=0, bone="x")', "", "0.5"]
    assert next(csv.reader([csv_line(cells)])) == cells
    assert csv_line(["a.npy", "0.5"]) == "a.npy,0.5"
    assert tsv_line(["a.npy", "0.5"]) == "a.npy\t0.5"


def test_one_of_several_volumes_is_a_line_of_json():
    table = Table((Row(Number("bvtv", 0.5, "1", "d")),), warnings=("DA is low",))
    line = json_line("a", table)
    assert "\n" not in line
    there = json.loads(line)
    assert (there["file"], there["schema"], there["warnings"]) == ("a", SCHEMA, ["DA is low"])
    assert there["rows"][0]["value"] == 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [(1 / 3, "0.333333333"), (123456789012, "123456789012"), (2.0**40, "1099511627776"), (1.5e-12, "1.5e-12")],
)
def test_tsv_prints_counts_in_full_and_measurements_at_nine_digits(value, text):
    table = Table((Row(Number("n", value, "1", "d")),))
    assert table.to_tsv().splitlines()[1].split("\t")[1] == text
    assert json.loads(table.json())["rows"][0]["value"] == value


AROUND = Table(
    (
        Row(
            Number("bvtv", 0.2, "1", "d"),
            0.25,
            Interval(0.1, 0.3, "95 %, samples"),
            Interval(-0.1, 0.0, "95 %, blocks"),
        ),
        Row(Number("chi", -3, "1", "d"), -4),
    ),
    {"threshold": 525.0},
    reference="the reference volume",
    warnings=("DA is low", "few voxels"),
)


def test_intervals_stand_at_the_end_of_their_row_and_their_source_among_the_conditions():
    lines = {line[0]: line for line in (text.split("\t") for text in AROUND.to_tsv().splitlines())}
    assert lines["bvtv"][-4:] == ["0.1", "0.3", "-0.1", "0"]
    assert lines["chi"][-4:] == [""] * 4
    assert lines["intervals"][1] == "95 %, samples; 95 %, blocks"
    assert lines["warnings"][1] == "DA is low; few voxels"


def test_intervals_are_keys_of_their_own_in_json():
    bvtv, chi = json.loads(AROUND.json())["rows"]
    assert bvtv["interval"] == {"low": 0.1, "high": 0.3, "source": "95 %, samples"}
    assert bvtv["difference_interval"] == {"low": -0.1, "high": 0.0, "source": "95 %, blocks"}
    assert not {"interval", "difference_interval"} & chi.keys()


def test_a_known_answer_leaves_an_interval_where_it_is():
    assert AROUND.beside({"bvtv": 0.3}).row("bvtv").interval == Interval(0.1, 0.3, "95 %, samples")


def test_ends_of_intervals_stand_under_their_columns():
    columns = Columns(("intervals",), {"bvtv": "1", "chi": "1"}, compared=True, around=True)
    there = dict(zip(columns.heads(), columns.cells("a", AROUND), strict=True))
    assert [there[f"bvtv{end}"] for end in ("_low", "_high", "_difference_low", "_difference_high")] == [
        "0.1", "0.3", "-0.1", "0",
    ]  # fmt: skip
    assert (there["chi_low"], there["chi_reference"]) == ("", "-4")
    assert there["intervals"] == "95 %, samples; 95 %, blocks"
