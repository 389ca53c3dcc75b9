"""A cone beam as ASTRA follows it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bonectl.projection.astra import library
from bonectl.projection.divergent import Tables


def vectors(p: Tables) -> NDArray[np.float64]:
    """ASTRA's ``cone_vec`` (views, 12): source, middle of the detector, steps to the next column and row [cell]."""
    grid = np.array([(p.size - 1) / 2, (p.size - 1) / 2, (p.slices - 1) / 2])
    source, first, column, row = (p.rays[:, k] for k in range(4))
    middle = source + first + (p.columns - 1) / 2 * column + (p.rows - 1) / 2 * row - grid
    return np.concatenate([source - grid, middle, column, row], axis=1)


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    return library.project(vectors(p), "cone_vec", volume, (p.rows, p.columns), p.voxel)


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """ASTRA's back-projection: (row, view, column) to (z, y, x)."""
    return library.backproject(vectors(p), "cone_vec", scan, (p.slices, p.size, p.size), p.voxel)
