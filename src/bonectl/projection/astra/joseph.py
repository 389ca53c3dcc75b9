"""A parallel beam as ASTRA follows it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bonectl.projection.astra import library
from bonectl.projection.joseph import Beam


def vectors(beam: Beam) -> NDArray[np.float64]:
    """ASTRA's ``parallel3d_vec`` (views, 12): ray, middle of the detector, steps to the next column and row [cell]."""
    degrees, columns, pitch, centre, _size, voxel = beam
    radians = np.deg2rad(np.frombuffer(degrees))[:, None]
    along = np.concatenate([np.cos(radians), np.sin(radians), 0 * radians], axis=1)
    ray = np.concatenate([-np.sin(radians), np.cos(radians), 0 * radians], axis=1)
    middle = along * (((columns - 1) / 2 - centre) * pitch / voxel)
    row = np.broadcast_to([0.0, 0.0, 1.0], along.shape)
    return np.concatenate([ray, middle, along * (pitch / voxel), row], axis=1)


def project(beam: Beam, volume: Tensor) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    shape = len(volume), beam.columns
    return library.project(vectors(beam), "parallel3d_vec", volume, shape, beam.voxel)


def backproject(beam: Beam, scan: Tensor) -> Tensor:
    """ASTRA's back-projection: (slice, view, column) to (slice, y, x)."""
    shape = len(scan), beam.size, beam.size
    return library.backproject(vectors(beam), "parallel3d_vec", scan, shape, beam.voxel)
