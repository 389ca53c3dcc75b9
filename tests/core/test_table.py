"""A table's JSON and TSV: stable, exact, and without values that are no numbers."""

import json
from math import inf, nan

import pytest

from bonectl.core.table import (
    COLUMNS,
    SCHEMA,
    Histogram,
    Interval,
    Number,
    Row,
    Table,
    compared,
    list_json,
    wide_tsv,
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
    assert there["schema"] == SCHEMA == "bonectl-measure/1"
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


def test_several_volumes_have_a_line_each_under_the_same_columns():
    a = Table((Row(Number("bvtv", 0.25, "1", "d"), 0.2),), {"threshold": 525.0}, reference="answers")
    b = Table((Row(Number("bvtv", 0.5, "1", "d")), Row(Number("da", float("nan"), "1", "d"))), {"unit": "x"})
    head, first, second = (line.split("\t") for line in wide_tsv([("a b.npy", a), ("b.npy", b)]).splitlines())
    names = ["bvtv", "bvtv_reference", "bvtv_difference", "bvtv_percent"]
    assert head == ["file", "threshold", "unit", *names, *(name.replace("bvtv", "da") for name in names)]
    assert first[:4] == ["a b.npy", "525", "", "0.25"]
    assert float(first[5]) == pytest.approx(0.05)
    assert second[:5] == ["b.npy", "", "x", "0.5", ""]
    assert len(first) == len(second) == len(head)


def test_columns_without_a_reference_are_the_numbers():
    table = Table((Row(Number("bvtv", 0.5, "1", "d")),))
    assert wide_tsv([("a", table), ("a", table)]) == "file\tbvtv\na\t0.5\na\t0.5\n"


def test_several_volumes_are_a_list_in_json():
    table = Table((Row(Number("bvtv", 0.5, "1", "d")),), warnings=("DA is low",))
    first, second = json.loads(list_json([("a", table), ("b", table)]))
    assert (first["file"], second["file"], first["warnings"]) == ("a", "b", ["DA is low"])
    assert first["rows"][0]["value"] == 0.5


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


def test_columns_of_intervals_are_there_when_any_volume_has_some():
    head, first, second = (
        line.split("\t")
        for line in wide_tsv([("a", AROUND), ("b", Table(AROUND.rows[1:], reference="r"))]).splitlines()
    )
    start = head.index("bvtv")
    ends = ["", "_reference", "_difference", "_percent", "_low", "_high", "_difference_low", "_difference_high"]
    assert head[start : start + 8] == [f"bvtv{end}" for end in ends]
    assert first[start + 4 : start + 8] == ["0.1", "0.3", "-0.1", "0"]
    assert second[start : start + 8] == [""] * 8
