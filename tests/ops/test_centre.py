"""The rotation axis is found where it is."""

import numpy as np
import pytest
import torch

from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.geometries.parallel import parallel
from bonectl.ops.centre import found_centre
from bonectl.ops.scan import Fields, geometry_of, line_integrals, sinograms
from bonectl.projection.projector import Projector

SIZE, VOXEL = 96, 0.05


def scan(geometry, noise=0.0):
    """Blobs off the axis, projected by the strip model."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    slice_ = np.zeros((SIZE, SIZE), np.float32)
    for x, y, r in zip(rng.uniform(-22, 22, 12), rng.uniform(-22, 22, 12), rng.uniform(3, 9, 12), strict=True):
        slice_[np.hypot(column - x, row - y) < r] = 3
    lines = Projector(geometry)(torch.from_numpy(slice_[None])).numpy()
    return lines + rng.normal(0, noise, lines.shape).astype(np.float32)


@pytest.mark.parametrize("centre", [47.5, 41.25, 55.8])
@pytest.mark.parametrize(("arc", "start"), [(180.0, 0.0), (360.0, 10.0), (-180.0, 0.0), (150.0, 0.0)])
def test_within_half_a_column(centre, arc, start):
    """The blobs reach 31 columns from the axis; with 150 degrees no views are opposite."""
    g = parallel(SIZE, 1, VOXEL, views=120, arc=arc, start=start, columns=SIZE, centre=centre)
    assert found_centre(g.replace(centre=10.0), scan(g, noise=0.02)) == pytest.approx(centre, abs=0.5)


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
    assert found_centre(g, rows) == pytest.approx(295.5, abs=0.5)
