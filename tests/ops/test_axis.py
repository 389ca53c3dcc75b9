"""The rotation axis of scans in closed form: within a quarter of a column, or in words."""

import numpy as np
import pytest
from tests.ops.ellipses import BONE, WATER, scan

from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.scanning import overview
from bonectl.scanning.axis import found_centre
from bonectl.scanning.lines import Fields
from bonectl.scanning.reconstruction import ReconstructRequest, planned
from bonectl.scanning.tries import spread, try_columns
from bonectl.stacks import view_order
from bonectl.stacks.replay import twice

PITCH = 0.05
GOLDEN = 111.246117975
ANGLES = {
    "half a turn": np.arange(180.0),
    "few views": np.arange(60) * 3.0,
    "backwards, not from 0": -30 - np.arange(180.0),
    "both ends of half a turn": 77 + np.arange(181.0),
    "a little more": 77 + np.arange(187.0),
    "a full turn": np.arange(360.0),
    "both ends of a full turn": np.linspace(0, 360, 361),
    "an odd number": np.arange(181) * (360 / 181),
    "540 degrees": np.arange(270) * 2.0,
    "golden, cumulative": np.arange(180) * GOLDEN,
    "golden, few": np.arange(40) * GOLDEN,
    "golden, modulo 180": np.arange(180) * GOLDEN % 180,
    "golden, backwards": -np.arange(180) * GOLDEN,
    "interlaced": np.concatenate([np.arange(0, 180, 2.0), np.arange(181, 360, 2.0)]),
    "twice with jitter": np.arange(72) * 10 + np.random.default_rng(3).normal(0, 0.005, 72),
}


def turned(degrees, columns=100, centre=52.3, rows=4):
    return parallel(columns, rows, PITCH, views=len(degrees), columns=columns, centre=centre).replace(
        angles=Angles.of(degrees)
    )


@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize(("shapes", "noise"), [(BONE, 0.02), (BONE + WATER, 0.0)])
def test_any_angles(heard, degrees, shapes, noise):
    """Line integrals reach 0.5; bone in water leaves nothing negative anywhere near the axis."""
    g = turned(ANGLES[degrees])
    axis = found_centre(g.replace(centre=30.0), scan(g, shapes, noise))
    assert axis.column == pytest.approx(52.3, abs=0.15)
    assert abs(axis.column - 52.3) < 5 * axis.sd + 0.05
    assert len(heard) == 1
    assert f"column {axis.column:.2f} ± {max(axis.sd, 0.01):.2f} of 100" in heard[0]


@pytest.mark.parametrize(("columns", "centre"), [(100, 12.3), (100, 8.0), (100, 88.6), (60, 8.0)])
@pytest.mark.parametrize("shapes", [BONE, BONE + WATER])
def test_an_offset_detector_over_a_full_turn(columns, centre, shapes):
    """Rays are measured from both ends on twice as many columns as lie beside the axis."""
    g = turned(ANGLES["a full turn"], columns, centre)
    assert found_centre(g, scan(g, shapes, 0.02)).column == pytest.approx(centre, abs=0.1)


@pytest.mark.parametrize("degrees", [120, 150, 170])
def test_less_than_half_a_turn(degrees):
    g = turned(np.arange(float(degrees)))
    axis = found_centre(g, scan(g, BONE, 0.01))
    assert axis.column == pytest.approx(52.3, abs=0.25)


def test_one_row(heard):
    g = turned(ANGLES["half a turn"], rows=1)
    assert found_centre(g, scan(g, BONE, 0.02)).column == pytest.approx(52.3, abs=0.25)
    assert len(heard) == 1


@pytest.mark.parametrize(("columns", "centre", "arc"), [(140, 25.0, 360), (140, 101.4, 360), (140, 68.2, 200)])
def test_a_fan(columns, centre, arc):
    """The first two with the axis far off the middle, of which 51 and 77 columns see both sides."""
    g = fan(100, 4, PITCH, sod=20, sdd=40, views=arc, arc=arc, columns=columns, centre=centre)
    assert found_centre(g, scan(g, BONE, 0.02)).column == pytest.approx(centre, abs=0.1)


@pytest.mark.parametrize("degrees", ["twice with jitter", "golden, cumulative", "540 degrees"])
def test_angles_of_a_fan(degrees):
    degrees = ANGLES[degrees]
    g = fan(100, 4, PITCH, sod=20, sdd=40, views=len(degrees), columns=140, centre=66.1)
    g = g.replace(angles=Angles.of(degrees))
    assert found_centre(g, scan(g, BONE)).column == pytest.approx(66.1, abs=0.15)


def test_the_uncertainty_is_that_of_repeats():
    """Errors of 24 scans, in their own standard deviations."""
    g = turned(np.arange(90) * 4.0, rows=6)
    found = [found_centre(g, scan(g, BONE, 0.2, seed)) for seed in range(24)]
    errors = np.array([(axis.column - 52.3) / axis.sd for axis in found])
    assert 0.6 < np.sqrt(np.mean(errors**2)) < 1.5


def test_rows_that_disagree_are_named(heard):
    """A detector rolled by 4 columns over its height."""
    g = turned(ANGLES["a full turn"], rows=1)
    rows = np.concatenate([scan(g.replace(centre=50.0 + i), BONE, 0.01, i) for i in range(5)])
    axis = found_centre(g, rows, np.arange(5) * 100)
    assert axis.column == pytest.approx(52, abs=0.3)
    assert axis.sd > 0.5
    assert "row 0 has it at column 50.0" in heard[0]
    assert "row 400 at 54.0" in heard[0]


def test_views_and_slices_that_disagree_are_told(heard):
    """The sample slips by four columns before the last three views, which are all that opposite views hear of."""
    g = turned(ANGLES["half a turn"], rows=1)
    rows = scan(g, BONE + WATER, 0.005)
    rows[:, -3:] = np.roll(rows[:, -3:], 4, axis=-1)
    axis = found_centre(g, rows)
    assert "opposite views put the rotation axis at column" in heard[0]
    assert "the sharpest slice at" in heard[0]
    assert axis.sd > 1


@pytest.mark.parametrize("degrees", ["half a turn", "a full turn"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_to_see(heard, degrees, seed):
    """Air, a little brighter than the flats: what is found in its noise is called uncertain."""
    g = turned(ANGLES[degrees])
    axis = found_centre(g, scan(g, (), 0.05, seed) + 0.01)
    assert 0.5 < axis.sd <= 6
    assert any("uncertain" in note for note in heard)


def test_air_is_refused():
    g = turned(ANGLES["a full turn"])
    with pytest.raises(DataError, match=r"4 rows looked at, from 0 to 3, hold no object; give --centre COLUMN"):
        found_centre(g, scan(g, ()))


@pytest.mark.parametrize(("arc", "centre"), [(180, 3.0), (180, 8.0), (180, 97.0), (360, 97.5)])
def test_an_axis_that_no_view_pair_sees_is_uncertain(heard, arc, centre):
    """Within a few columns of the detector's end, of which opposite views have little or nothing in common."""
    g = turned(np.arange(float(arc)), centre=centre)
    axis = found_centre(g, scan(g, BONE, 0.005))
    assert axis.sd > 0.5
    assert any("uncertain" in note or "may lie beyond" in note for note in heard)


def test_a_handful_of_views_is_refused():
    g = turned(np.arange(4) * 45.0)
    with pytest.raises(UsageError, match="4 views do not tell"):
        found_centre(g, scan(g, BONE))


# ---- rows over the whole height ----


def tall(axes=SINOGRAMS):
    """Rows 0 to 7 hold a faint disc, 8 to 31 bone; the axis at 75.2 of 160."""
    g = turned(ANGLES["half a turn"], 160, 75.2, rows=1)
    faint, bone = scan(g, ((0.3, 0.2, 1.5, 1.5, 0, 0.02),))[0], scan(g, BONE + WATER)[0]
    rows = np.stack([faint] * 8 + [bone] * 24)
    rows = (rows + np.random.default_rng(0).normal(0, 0.003, rows.shape)).astype(np.float32)
    if axes == PROJECTIONS:
        rows = np.ascontiguousarray(rows.swapaxes(0, 1))
    header = Header(shape=rows.shape, axes=axes, unit="line integral")
    return rows, header, g.replace(rows=32, centre=79.5)


@pytest.mark.parametrize("axes", [SINOGRAMS, PROJECTIONS])
def test_rows_over_the_whole_height(heard, axes):
    rows, header, g = tall(axes)
    axis = overview.axis_of(Stack.of(rows, header), g)
    assert axis.column == pytest.approx(75.2, abs=0.05)
    assert len(heard) == 1


@pytest.mark.parametrize("axes", [SINOGRAMS, PROJECTIONS])
def test_each_row_has_its_own_flat(axes):
    rows, header, g = tall(axes)
    white = np.random.default_rng(1).uniform(1e4, 2e4, (32, 160)).astype(np.float32)
    counts = np.exp(-rows) * (white if axes == PROJECTIONS else white[:, None])
    scan = Stack.of(counts, header.replace(unit="counts"))
    assert overview.axis_of(scan, g, Fields(white)).column == pytest.approx(75.2, abs=0.05)


def test_fewer_rows_where_memory_is_short(monkeypatch):
    _, header, g = tall()
    monkeypatch.setattr(overview.memory, "resident", lambda: 0)
    limit = 2 * 5 * overview.HELD * 180 * 160
    assert overview.rows_of(g, header, limit).tolist() == [3, 9, 16, 22, 28]
    assert overview.rows_of(g, header, 1).tolist() == [16]
    assert overview.rows_of(g, header, 1 << 40).tolist() == list(range(32))


def test_a_cone_is_looked_at_in_the_plane_of_its_orbit():
    g = cone(100, 9, PITCH, sod=20, sdd=40, views=180, rows=9, columns=140, centre=66.1)
    rows = scan(g, BONE, 0.01)
    rows[:3] = rows[6:] = 0
    header = Header(shape=rows.shape, axes=SINOGRAMS, unit="line integral")
    assert overview.rows_of(g, header).tolist() == [3, 4, 5]
    assert overview.axis_of(Stack.of(rows, header), g).column == pytest.approx(66.1, abs=0.1)


@pytest.mark.parametrize("held", [True, False])
def test_what_comes_once_is_walked_twice(monkeypatch, heard, held):
    rows, header, _ = tall()
    monkeypatch.setattr(view_order, "is_held", lambda header, limit: held)
    first, then = twice(Stack(header, iter(np.split(rows, [3, 11, 12]))))
    np.testing.assert_array_equal(first.collect(), rows)
    np.testing.assert_array_equal(then.collect(), rows)
    assert ("by way of a temporary file" in "".join(heard)) == (not held)


# ---- tries ----


def tried(stack, geometry, **options):
    return try_columns(stack, planned(stack.header, ReconstructRequest(geometry=geometry)), **options)


def test_the_score_sees_edges_where_nothing_is_negative():
    """Bone in water, without noise: the old score was 0 over two and a half columns."""
    g = turned(ANGLES["half a turn"], rows=1)
    header = Header(shape=g.shape, axes=SINOGRAMS, spacing=(PITCH, None, PITCH), unit="line integral")
    done = tried(Stack.of(scan(g, BONE + WATER), header), g, centres=spread(49.8, 54.8, 0.5))
    assert len(set(done.scores)) == len(done.scores)
    assert done.between == pytest.approx(52.3, abs=0.1)
    assert done.mirrored == pytest.approx(52.3, abs=0.1)
    assert not done.disagrees


def test_an_offset_detector_is_scored_by_opposite_rays():
    g = turned(ANGLES["a full turn"], 100, 12.3, rows=1)
    header = Header(shape=g.shape, axes=SINOGRAMS, spacing=(PITCH, None, PITCH), unit="line integral")
    done = tried(Stack.of(scan(g, BONE, 0.01), header), g, centres=spread(9.8, 14.8, 0.5))
    assert done.between == pytest.approx(12.3, abs=0.15)
    assert done.score.startswith("squared difference of rays")
