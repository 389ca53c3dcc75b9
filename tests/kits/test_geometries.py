"""What the geometry kit's calls give."""

import pytest

from bonectl.core.geometry import Angles
from bonectl.core.kit import bind
from bonectl.core.spec import parse
from bonectl.errors import UsageError
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
    assert not g.covers_grid


def test_prints_as_the_call_that_makes_it():
    g = parallel(64, 3, 0.01, views=7, arc=100.0, start=3.5, centre=40.125, pitch=0.013)
    assert bind("geometries", parse(str(g)))(64, 3, 0.01) == g


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"views": 0}, "0 views"),
        ({"pitch": -1.0}, "pitch = -1.0 mm"),
        ({"columns": -3}, "columns = -3"),
        ({"centre": float("nan")}, "column nan"),
    ],
)
def test_nonsense_is_refused(knobs, message):
    with pytest.raises(UsageError, match=message):
        parallel(64, 3, 0.01, **knobs)
