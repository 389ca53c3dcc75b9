"""The vectors that ASTRA is given put its rays where ours are: ASTRA's CPU projectors see the same."""

import astra
import numpy as np
import pytest
import torch

from bonectl.errors import UnavailableError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import divergent
from bonectl.projection.astra import cone as astra_cone
from bonectl.projection.astra import fan as astra_fan
from bonectl.projection.astra import joseph as astra_joseph
from bonectl.projection.astra import library
from bonectl.projection.joseph import Beam
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm
AWAY = {"sod": 2.0, "sdd": 3.0}


def blob(size):
    """A smooth object off the middle."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.exp(-((x - 3) ** 2 + (y + 5) ** 2) / 30).astype(np.float32)


def on_the_cpu(beam, kernel, vectors, size, columns):
    """ASTRA's 2-D projection of the object [line integral]; its y points up there, and its rows count downwards."""
    flat = vectors * np.where(np.arange(6) % 2, -1, 1)
    rays = astra.create_proj_geom(beam, columns, np.ascontiguousarray(flat))
    projector = astra.create_projector(kernel, rays, astra.create_vol_geom(size, size))
    scan = np.zeros((len(vectors), columns), dtype=np.float32)
    astra.projector.direct_FP(projector, blob(size), out=scan)
    astra.projector.delete(projector)
    return scan * VOXEL / 10


def ours(g):
    return Projector(g, model="joseph")(torch.from_numpy(blob(g.size)[None]))[0].numpy()


def test_parallel():
    g = parallel(40, 1, VOXEL, views=13, start=5.0, columns=61, centre=27.4, pitch=0.017)
    vectors = astra_joseph.vectors(Beam.of(g))
    scan = on_the_cpu("parallel_vec", "linear", vectors[:, [0, 1, 3, 4, 6, 7]], g.size, g.columns)
    assert np.linalg.norm(scan - ours(g)) <= 1e-5 * np.linalg.norm(scan)


@pytest.mark.parametrize("slant", [0.0, 12.0])
def test_fan(slant):
    """ASTRA's fan takes lengths within square voxels, where ours interpolates: a smooth object looks alike."""
    g = fan(40, 1, VOXEL, **AWAY, views=13, start=5.0, columns=61, centre=27.4, slant=slant)
    vectors = astra_fan.vectors(divergent.tables_of(g))
    scan = on_the_cpu("fanflat_vec", "line_fanflat", vectors[:, [0, 1, 3, 4, 6, 7]], g.size, g.columns)
    assert np.linalg.norm(scan - ours(g)) <= 0.02 * np.linalg.norm(scan)


@pytest.mark.parametrize("turned", [{}, {"roll": 5.0, "tilt": -7.0, "slant": 4.0}])
def test_cone(turned):
    """A detector pixel, from the vectors, is where `Geometry` says it is [mm]."""
    g = cone(20, 12, VOXEL, **AWAY, views=9, start=5.0, columns=31, rows=22, centre=13.3, pitch=0.03, **turned)
    source, middle, column, row = np.split(astra_cone.vectors(divergent.tables_of(g)), 4, axis=1)
    across, down = g.detector_axes
    for view, t in enumerate(g.angles.radians):
        frame = np.array([[np.cos(t), np.sin(t), 0], [-np.sin(t), np.cos(t), 0], [0, 0, 1]])
        np.testing.assert_allclose(source[view] * VOXEL, -g.sod * frame[1], atol=1e-12)
        for i, j in ((0, 0), (21, 30), (7, 11)):
            pixel = (g.sdd - g.sod) * frame[1]
            pixel = (
                pixel + (j - g.centre) * g.pitch * across @ frame + (i - g.principal_row) * g.row_pitch * down @ frame
            )
            given = middle[view] + (j - 15) * column[view] + (i - 10.5) * row[view]
            np.testing.assert_allclose(given * VOXEL, pixel, atol=1e-12)


def test_refused_without_cuda():
    """One line instead of the end of the process, which is what ASTRA's 3-D calls bring without a driver."""
    if astra.use_cuda():
        pytest.skip("ASTRA sees CUDA here")
    with pytest.raises(UnavailableError, match="needs CUDA, and ASTRA sees none; use --backend auto"):
        library.library()
