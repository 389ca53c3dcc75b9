"""A fan beam as ASTRA follows it: a cone beam of one row and one slice."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonectl.projection.astra import library
from bonectl.projection.divergent import Tables


def vectors(p: Tables) -> NDArray[np.float64]:
    """``cone_vec`` of one row in the plane of one slice."""
    source, first, step = p.views[:, :2], p.views[:, 2:4], p.views[:, 4:]
    flat = [source - (p.size - 1) / 2, first + (p.columns - 1) / 2 * step - (p.size - 1) / 2, step]
    vectors = np.zeros((len(p.views), 12))
    for at, part in zip((0, 3, 6), flat, strict=True):
        vectors[:, at : at + 2] = part
    vectors[:, 11] = 1.0
    return vectors


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    rays, shape = vectors(p), (1, p.columns)
    return torch.cat([library.project(rays, "cone_vec", one[None], shape, p.voxel) for one in volume])


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """ASTRA's back-projection: (slice, view, column) to (slice, y, x)."""
    rays, shape = vectors(p), (1, p.size, p.size)
    return torch.cat([library.backproject(rays, "cone_vec", one[None], shape, p.voxel) for one in scan])
