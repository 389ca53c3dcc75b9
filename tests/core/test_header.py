"""The header validates itself and survives JSON; histories shrink to a count and a hash."""

import json

import pytest

from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import PROJECTIONS, SINOGRAMS, VOLUME, Entry, Header
from bonectl.errors import DataError, UsageError

GEOMETRY = Geometry(
    kind="parallel",
    angles=Angles(0, 1, 5),
    rows=4,
    columns=6,
    pitch=0.01,
    row_pitch=0.01,
    centre=2.5,
    size=4,
    voxel=0.01,
)
FULL = Header(
    shape=(4, 5, 6),
    axes=SINOGRAMS,
    spacing=(0.01, None, 0.01),
    unit="line integral",
    geometry=GEOMETRY,
    calibration=Calibration(301.1, -153.0, "energy(kev=25)"),
    acquisition={"energy_kev": 25.0, "photons": 10000, "source": "synthetic"},
    answers={"BV/TV [1]": 0.2},
    region_of_interest=True,
    history=(Entry("bonectl phantom iliac", "0.1.0", "2026-01-01T00:00:00Z", {"seed": 1}),),
)


def through_json(header):
    return Header.from_json(json.loads(json.dumps(header.to_json())), header.shape, header.dtype)


def test_headers_survive_json():
    assert through_json(FULL) == FULL
    plain = Header(shape=(1, 2, 3), dtype="|u1")
    assert through_json(plain) == plain


def test_headers_of_before_say_nothing_of_a_region_of_interest():
    told = FULL.to_json()
    del told["region_of_interest"]
    assert not Header.from_json(told, FULL.shape, FULL.dtype).region_of_interest
    with pytest.raises(DataError, match="region_of_interest is 'yes'"):
        Header.from_json(told | {"region_of_interest": "yes"}, FULL.shape, FULL.dtype)


@pytest.mark.parametrize(
    "changes",
    [{"shape": (0, 5, 6)}, {"shape": (4, 5)}, {"dtype": "<c8"}, {"dtype": ">f4"}, {"unit": "furlong"},
     {"axes": ("x", "y", "z")}, {"spacing": (0.0, None, 0.01)}, {"spacing": (float("nan"), None, 0.01)},
     {"axes": VOLUME}],
)  # fmt: skip
def test_contradictions_are_refused(changes):
    with pytest.raises(UsageError):
        FULL.replace(**changes)


def test_views_and_angles_must_agree():
    with pytest.raises(DataError, match="has 9 views, but its geometry 5"):
        FULL.replace(shape=(4, 9, 6))
    assert FULL.replace(shape=(5, 4, 6), axes=PROJECTIONS, spacing=(None, 0.01, 0.01)).is_scan


@pytest.mark.parametrize("key", ["axes", "spacing_mm", "unit", "bonectl"])
def test_a_header_without_its_parts_is_bad_data(key):
    value = FULL.to_json()
    del value[key]
    with pytest.raises(DataError):
        Header.from_json(value, FULL.shape, FULL.dtype)
    with pytest.raises(DataError):
        Header.from_json(value | {key: {"a": [None]}}, FULL.shape, FULL.dtype)


def test_forgetting_history_counts_and_hashes():
    long = FULL.replace(history=FULL.history * 5)
    once, twice = long.forget(3), long.forget(2).forget(1)
    assert once.forgotten[0] == twice.forgotten[0] == 3
    assert len(once.history) == 2
    assert through_json(once) == once
    assert long.forget(1).forgotten[1] != long.forget(2).forgotten[1]


def test_long_command_lines_are_cut_with_their_hash():
    entry = Entry("bonectl " + "x" * 1000, "0", "t")
    other = Entry("bonectl " + "x" * 1001, "0", "t")
    assert len(entry.command) <= Entry.COMMAND_LENGTH
    assert entry.command != other.command


def test_the_voxel_size_is_refused_where_it_is_unknown_or_not_cubic():
    assert Header(shape=(2, 2, 2), spacing=(0.01, 0.01, 0.01)).voxel == 0.01
    with pytest.raises(UsageError, match="voxel size is unknown"):
        _ = Header(shape=(2, 2, 2)).voxel
    with pytest.raises(UsageError, match="cubic"):
        _ = Header(shape=(2, 2, 2), spacing=(0.02, 0.01, 0.01)).voxel


def test_calibration_is_linear_and_invertible():
    calibration = Calibration(301.1, -153.0, "test")
    assert calibration.attenuation(calibration.density(2.5)) == pytest.approx(2.5)
    assert calibration.density(0.0) == -153.0
    with pytest.raises(UsageError):
        Calibration(0.0, 1.0, "flat")


@pytest.mark.parametrize("spacing", [1e300, 1e-308, 1e-320, float("inf"), float("nan"), 0.0, -1.0])
def test_the_spacing_is_a_length(spacing):
    with pytest.raises(UsageError, match="a length from"):
        Header(shape=(1, 2, 3), spacing=(spacing, 1.0, 1.0))


def test_numbers_that_stand_for_values_do_so_in_their_own_type():
    stored = Header(shape=(2, 3, 4), dtype="<u2", unit="mgHA/cm3", scaling=(0.5, -100.0))
    assert Header.from_json(stored.to_json(), stored.shape, "<u2") == stored
    with pytest.raises(DataError, match="scaling is of <u2, its values are .u1: another program"):
        Header.from_json(stored.to_json(), stored.shape, "|u1")
    for scaling, dtype in (((0.0, 1.0), "<u2"), ((1.0, float("inf")), "<u2"), ((1.0, 0.0), "<f4")):
        with pytest.raises(UsageError, match="stand for no others"):
            stored.replace(scaling=scaling, dtype=dtype)
