"""The rotation axis is found where it is."""

import numpy as np
import pytest
import torch

from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection.projector import Projector
from bonectl.scanning.axis import check, found_centre
from bonectl.scanning.lines import Fields, geometry_of, line_integrals, sinograms
from bonectl.scanning.opposite_axis import coarse, lowest
from bonectl.scanning.opposite_rays import orbit_rows

SIZE, VOXEL = 96, 0.05


def blobs():
    """A slice (1, y, x) of discs off the axis, 3 1/cm."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    slice_ = np.zeros((SIZE, SIZE), np.float32)
    for x, y, r in zip(rng.uniform(-22, 22, 12), rng.uniform(-22, 22, 12), rng.uniform(3, 9, 12), strict=True):
        slice_[np.hypot(column - x, row - y) < r] = 3
    return slice_[None]


def scan(geometry, noise=0.0):
    """Blobs, projected by the strip model."""
    rng = np.random.default_rng(1)
    lines = Projector(geometry)(torch.from_numpy(blobs())).numpy()
    return lines + rng.normal(0, noise, lines.shape).astype(np.float32)


@pytest.mark.parametrize("centre", [47.5, 41.25, 55.8])
@pytest.mark.parametrize(("arc", "start"), [(180.0, 0.0), (360.0, 10.0), (-180.0, 0.0), (150.0, 0.0)])
def test_within_half_a_column(centre, arc, start):
    """The blobs reach 31 columns from the axis; with 150 degrees no views are opposite."""
    g = parallel(SIZE, 1, VOXEL, views=120, arc=arc, start=start, columns=SIZE, centre=centre)
    assert found_centre(g.replace(centre=10.0), scan(g, noise=0.02)).column == pytest.approx(centre, abs=0.5)


def test_empty_rows_are_refused():
    g = parallel(SIZE, 1, VOXEL, views=12)
    with pytest.raises(DataError, match="no object; give --centre"):
        found_centre(g, np.zeros((1, 12, g.columns), np.float32))


def test_real_tooth(shared_data):
    """Opposite views put it at 295.5; the issue asks for half a column."""
    import tifffile

    folder = shared_data / "tooth_projections"
    frames, flats, darks = (tifffile.imread(folder / f"{name}.tif") for name in ("projections", "flats", "darks"))
    known = Header(shape=frames.shape, axes=PROJECTIONS, spacing=(None, 0.01, 0.01), unit="counts")
    g = geometry_of(known, angles=Angles.of(np.load(folder / "theta_deg.npy")))
    rows = line_integrals(sinograms(Stack.of(frames, known)), Fields.averaged(flats, darks)).collect()
    assert found_centre(g, rows).column == pytest.approx(295.5, abs=0.5)


BEAMS = {
    "fan, wide": lambda **beam: fan(SIZE, 4, VOXEL, sod=8, sdd=12, **beam),
    "fan": lambda **beam: fan(SIZE, 4, VOXEL, sod=20, sdd=40, **beam),
    "fan, slanted": lambda **beam: fan(SIZE, 4, VOXEL, sod=20, sdd=40, **beam).replace(slant=5.0),
    "cone, wide": lambda **beam: cone(SIZE, 6, VOXEL, sod=8, sdd=12, rows=9, **beam),
    "cone": lambda **beam: cone(SIZE, 6, VOXEL, sod=20, sdd=40, rows=8, **beam),
    "cone, narrow": lambda **beam: cone(SIZE, 6, VOXEL, sod=200, sdd=200, rows=8, **beam),
}


@pytest.mark.parametrize("beam", BEAMS)
@pytest.mark.parametrize(
    ("arc", "start", "offset"), [(360.0, 0.0, 0.0), (-360.0, 20.0, 3.3), (230.0, 0.0, -7.6), (190.0, 0.0, 5.2)]
)
def test_divergent_beams_within_half_a_column(beam, arc, start, offset):
    """A noise of 0.1 on line integrals of up to 1.2; 190 degrees leave 10 that are measured from both ends."""
    g = BEAMS[beam](views=int(abs(arc) / 2), arc=arc, start=start)
    g = g.replace(centre=(g.columns - 1) / 2 + offset)
    rng = np.random.default_rng(1)
    heights = np.linspace(0.6, 1.4, g.volume_shape[0], dtype=np.float32)[:, None, None]
    lines = Projector(g)(torch.from_numpy(blobs() * heights)).numpy()
    lines = lines + rng.normal(0, 0.1, lines.shape).astype(np.float32)
    if g.kind == "cone":
        lines = lines[orbit_rows(g)]
    assert found_centre(g.replace(centre=10.0), lines).column == pytest.approx(g.centre, abs=0.25)


def test_large_detectors_are_searched_coarsely_first():
    g = fan(400, 1, 0.01, sod=20, sdd=40, views=180)
    g = g.replace(centre=(g.columns - 1) / 2 - 41.7)
    row, column = np.mgrid[:400, :400]
    slice_ = np.where(np.hypot(row - 150, column - 260) < 60, 3, 0).astype(np.float32)[None]
    assert coarse(g, np.zeros((1, 180, g.columns)))[2] == 2
    assert found_centre(g, Projector(g)(torch.from_numpy(slice_)).numpy()).column == pytest.approx(g.centre, abs=0.25)


def test_beams_that_do_not_tell():
    short = fan(SIZE, 4, VOXEL, sod=20, sdd=40, views=90, arc=180)
    with pytest.raises(UsageError, match=r"180 degrees of a fan beam .* give --centre COLUMN"):
        found_centre(short, np.ones(short.shape, np.float32))
    rolled = cone(SIZE, 6, VOXEL, views=90).replace(roll=1.0)
    with pytest.raises(UsageError, match="rolled or tilted detector"):
        check(rolled)


def test_rays_between_views_far_apart_are_left_out():
    """Every third view is missing on one side: what lies in the gaps is not read off views on their shores."""
    g = fan(SIZE, 1, VOXEL, sod=20, sdd=40, views=180, centre=70.0, columns=140)
    views = [view for view in range(180) if view < 90 or view >= 150 or view % 3 == 0]
    lines = Projector(g)(torch.from_numpy(blobs())).numpy()[:, views]
    fewer = g.replace(angles=Angles.of(g.angles.degrees[views]))
    assert found_centre(fewer, lines).column == pytest.approx(70.0, abs=0.25)


def test_bone_in_marrow_without_noise():
    """Nothing is negative for columns around the true one."""
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    body = blobs() + np.where(np.hypot(row - 3, column + 2) < 38, 0.6, 0).astype(np.float32)
    g = parallel(SIZE, 1, VOXEL, views=120, columns=SIZE, centre=50.5)
    assert found_centre(g.replace(centre=47.5), Projector(g)(torch.from_numpy(body)).numpy()).column == pytest.approx(
        50.5, abs=0.1
    )


@pytest.mark.parametrize(
    ("scores", "best"),
    [([9, 4, 1, 0, 1, 4], 3.0), ([4, 1, 0, 0, 1, 4], 2.5), ([2, 1, 2, 3], 1.0), ([0, 1, 4, 9], 0.0)],
)
def test_the_lowest_score(scores, best):
    assert lowest(np.arange(float(len(scores))), np.array(scores, float)) == pytest.approx(best)
