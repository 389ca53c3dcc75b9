"""Geometries are values: equal, sliced, printed, and the same after a trip through JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonectl.core.geometry import ANGLE_STEP, Angles, Geometry
from bonectl.errors import DataError, UsageError

uniform = st.builds(Angles, st.floats(-360, 360), st.floats(-5, 5), st.integers(1, 300))
listed = st.lists(st.floats(-720, 720), min_size=1, max_size=50).map(Angles.of)
slices = st.slices(40)


@given(uniform | listed)
def test_angles_survive_json_unchanged(angles):
    again = Angles.from_json(json.loads(json.dumps(angles.to_json())))
    assert again == angles
    np.testing.assert_array_equal(again.degrees, angles.degrees)


@given(uniform | listed, slices)
def test_slicing_angles_is_slicing_their_list(angles, views):
    wanted = angles.degrees[views]
    if wanted.size == 0:
        with pytest.raises(UsageError):
            angles[views]
    else:
        np.testing.assert_allclose(angles[views].degrees, wanted, atol=ANGLE_STEP / 2)


@given(st.lists(st.floats(-720, 720), min_size=1, max_size=50))
def test_listed_angles_are_kept_to_their_step(values):
    np.testing.assert_allclose(Angles.of(values).degrees, values, atol=ANGLE_STEP / 2 + 1e-9)


def test_an_encoders_rounding_is_still_a_uniform_grid():
    assert Angles.of(np.linspace(0, 180, 700, endpoint=False).astype(np.float64)).listed is None
    assert Angles.of([0.0, 1.0, 2.1]).listed is not None


def test_thousands_of_irregular_angles_fit_a_header():
    golden = 137.50776405 * np.arange(1800) % 360
    jittered = 0.1 * np.arange(1800) + np.random.default_rng(0).uniform(-0.05, 0.05, 1800)
    for degrees in (golden, jittered):
        assert len(json.dumps(Angles.of(degrees).to_json())) < 6000


def scan(**changes):
    fields = dict(kind="parallel", angles=Angles(0, 1, 180), rows=4, columns=91, pitch=0.02, row_pitch=0.02)
    return Geometry(**(fields | dict(centre=45.0, size=64, voxel=0.02) | changes))


def test_equal_by_value_and_through_json():
    assert scan() == scan()
    assert scan() != scan(centre=45.5)
    assert hash(scan()) == hash(scan())
    assert Geometry.from_json(json.loads(json.dumps(scan().to_json()))) == scan()
    cone = scan().replace(kind="cone", sod=100.0, sdd=200.0)
    assert Geometry.from_json(json.loads(json.dumps(cone.to_json()))) == cone


def test_subsets_keep_everything_but_views():
    assert scan()[::2] == scan(angles=Angles(0, 2, 90))
    assert scan()[1::3].angles == Angles(1, 3, 60)
    assert scan()[::2].shape == (4, 90, 91)


@pytest.mark.parametrize(
    "changes",
    [{"pitch": 0.0}, {"voxel": float("nan")}, {"rows": 0}, {"centre": float("inf")}, {"kind": "cone"},
     {"kind": "fan", "sod": 10.0, "sdd": 5.0}],
)  # fmt: skip
def test_impossible_scanners_are_refused(changes):
    with pytest.raises(UsageError):
        scan(**changes)


def test_damaged_json_is_bad_data():
    for damage in ({}, {"kind": "parallel"}, scan().to_json() | {"angles": {"count": 3, "packed": "zz"}}):
        with pytest.raises(DataError):
            Geometry.from_json(damage)


def test_whether_the_detector_sees_the_grid():
    assert scan().covers_grid
    assert not scan(columns=60, centre=29.5).covers_grid
    assert not scan(centre=20.0).covers_grid
    assert scan(centre=5.0, columns=80, angles=Angles(0.0, 1.0, 360)).covers_grid
    assert not scan(centre=5.0, columns=80, angles=Angles(0.0, 1.0, 340)).covers_grid
