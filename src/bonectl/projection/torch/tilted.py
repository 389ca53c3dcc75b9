"""The projector of a cone beam whose detector columns are not parallel to the axis, in torch, on any device.

The weights of `bonectl.projection.numba.tilted`, from the same tables: every ray is followed on its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bonectl.core import pool
from bonectl.core.lengths import MM_PER_CM
from bonectl.projection.divergent import Tables
from bonectl.projection.joseph import MARGIN
from bonectl.projection.torch.memory import BUDGET, accumulate

# Bytes per ray that a step holds.
HELD = 200


@dataclass(frozen=True, eq=False)
class Paths:
    """How the rays of some views run through the lines of the grid, each (rays,) in the order (view, column, row).

    Attributes
    ----------
    turned : bool
        Whether lines are columns of the slices (the ray runs closer to x) or rows.
    start, slope : float64
        The ray crosses line i at cell ``start + i slope`` of the line,
    bottom, rise : float64
        and at height ``bottom + i rise`` [slice].
    length : float32
        From line to line, in units of 10 mm.
    """

    turned: Tensor
    start: Tensor
    slope: Tensor
    bottom: Tensor
    rise: Tensor
    length: Tensor


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    grid = torch.nn.functional.pad(volume, (MARGIN,) * 6).flatten()
    scan = volume.new_empty(p.rows, len(p.views), p.columns)
    for views in _chunks(p):
        paths = _paths(p, views, volume.device)
        lines = grid.new_zeros(len(paths.start))
        for line in range(p.size):
            for index, weight in _taps(p, paths, line):
                lines += weight * grid[index]
        scan[:, views] = (lines * paths.length).view(-1, p.columns, p.rows).permute(2, 0, 1)
    return scan


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """The transpose of `project`: (row, view, column) to (z, y, x)."""
    side = p.size + 2 * MARGIN
    grid = scan.new_zeros((p.slices + 2 * MARGIN) * side**2, 1)
    for views in _chunks(p):
        paths = _paths(p, views, scan.device)
        values = scan[:, views].permute(1, 2, 0).flatten() * paths.length
        for line in range(p.size):
            for index, weight in _taps(p, paths, line):
                accumulate(grid, index, (weight * values)[:, None])
    inside = slice(MARGIN, -MARGIN)
    return grid.view(-1, side, side)[inside, inside, inside].contiguous()


def _chunks(p: Tables) -> list[slice]:
    return [slice(*part) for part in pool.cut(len(p.views), max(1, BUDGET // (HELD * p.columns * p.rows)))]


def _paths(p: Tables, views: slice, device: torch.device) -> Paths:
    rays = torch.from_numpy(p.rays[views]).to(device)
    column = torch.arange(p.columns, device=device, dtype=torch.float64)[:, None, None]
    row = torch.arange(p.rows, device=device, dtype=torch.float64)[:, None]
    away = rays[:, 1, None, None] + column * rays[:, 2, None, None] + row * rays[:, 3, None, None]
    dx, dy, dz = away.flatten(0, 2).unbind(-1)
    x, y, z = rays[:, 0, None, None].expand_as(away).flatten(0, 2).unbind(-1)
    turned = dx.abs() > dy.abs()
    x, y = torch.where(turned, y, x), torch.where(turned, x, y)
    dx, dy = torch.where(turned, dy, dx), torch.where(turned, dx, dy)
    slope, rise = dx / dy, dz / dy
    length = torch.sqrt(1.0 + slope * slope + rise * rise) * (p.voxel / MM_PER_CM)
    return Paths(turned, x - y * slope, slope, z - y * rise, rise, length.float())


def _taps(p: Tables, paths: Paths, line: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Four voxels of the volume with margins, (z, y, x) as one index, and their weights."""
    place, height = paths.start + line * paths.slope, paths.bottom + line * paths.rise
    meets = (place > -1.0) & (place < p.size) & (height > -1.0) & (height < p.slices)
    cell, level = torch.floor(place), torch.floor(height)
    beside, above = (place - cell).float(), (height - level).float()
    side = p.size + 2 * MARGIN
    across, along = torch.where(paths.turned, side, 1), torch.where(paths.turned, 1, side)
    first = torch.where(meets, level, 0.0).long() + MARGIN
    first = first * side**2 + (torch.where(meets, cell, 0.0).long() + MARGIN) * across + (line + MARGIN) * along
    for index, share in ((first, 1 - beside), (first + across, beside)):
        share = share * meets
        yield index, (1 - above) * share
        yield index + side**2, above * share
