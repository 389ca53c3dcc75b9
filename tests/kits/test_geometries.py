"""What the geometry kit's calls give."""

import json

import pytest

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.kit import bind
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel


def test_derived_values():
    g = parallel(100, 7, 0.02, views=90)
    assert g.shape == (7, 90, 144)  # 100 √2 rounded up, and a margin of 2
    assert (g.pitch, g.row_pitch, g.voxel, g.size) == (0.02, 0.02, 0.02, 100)
    assert g.centre == 71.5
    assert g.angles == Angles(0.0, 2.0, 90)
    assert g.covers_grid


def test_columns_follow_the_pitch():
    assert parallel(100, 1, 0.02, pitch=0.01).columns == 285


def test_given_values():
    g = parallel(100, 7, 0.02, views=10, arc=-360.0, start=45.0, columns=80, centre=30.25, pitch=0.03)
    assert (g.columns, g.centre, g.pitch) == (80, 30.25, 0.03)
    assert g.angles.degrees.tolist() == [45.0 - 36 * i for i in range(10)]
    assert g.covers_grid  # by its longer side, half a turn on
    assert not g[:6].covers_grid


def test_prints_as_the_call_that_makes_it():
    g = parallel(64, 3, 0.01, views=7, arc=100.0, start=3.5, centre=40.125, pitch=0.013)
    assert bind("geometries", parse(str(g)))(64, 3, 0.01) == g


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"views": 0}, "0 views"),
        ({"pitch": -1.0}, "pitch = -1.0 mm"),
        ({"pitch": -0.01}, "pitch = -0.01 mm"),  # not the columns that would follow from it
        ({"columns": -3}, "columns = -3"),
        ({"centre": float("nan")}, "column nan"),
    ],
)
def test_nonsense_is_refused(knobs, message):
    with pytest.raises(UsageError, match=message):
        parallel(64, 3, 0.01, **knobs)


TURNED = [
    cone(24, 17, 0.02, sod=3.0, sdd=4.5, views=9, rows=30, row_centre=12.25, roll=1.5, tilt=-2.0, slant=0.25),
    cone(24, 17, 0.02, sod=3.0, sdd=4.5, row_centre=0.0),
    fan(24, 17, 0.02, sod=3.0, sdd=4.5, slant=-3.5),
]


@pytest.mark.parametrize("geometry", TURNED)
def test_a_turned_detector_survives_print_and_json(geometry):
    assert bind("geometries", parse(str(geometry)))(24, 17, 0.02) == geometry
    assert Geometry.from_json(json.loads(json.dumps(geometry.to_json()))) == geometry


def test_headers_without_turns_are_read_and_written_as_ever():
    g = cone(24, 17, 0.02, sod=3.0, sdd=4.5)
    value = g.to_json()
    assert not {"row_centre", "roll", "tilt", "slant"} & set(value)
    assert Geometry.from_json(value) == g
    assert g.principal_row == (g.rows - 1) / 2


def test_a_slanted_detector_covers_what_its_ends_see():
    """The circle spans asin(0.08) either way: 12.04 upright columns, slanted by 40 degrees 14.7 and 16.9."""
    near = fan(24, 1, 0.02, sod=3.0, sdd=4.5, columns=25, arc=300.0)
    assert near.covers_grid
    assert not near.replace(columns=24, centre=11.5).covers_grid
    leaning = near.replace(slant=40.0, columns=33, centre=15.0)
    assert leaning.covers_grid
    assert not leaning.replace(slant=-40.0).covers_grid
    assert not leaning.replace(centre=17.0).covers_grid
