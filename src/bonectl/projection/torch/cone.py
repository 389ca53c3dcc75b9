"""The cone beam's projector in torch, on any device: the weights of `projection.numba.cone`, from the same tables.

Where detector columns are parallel to the axis, what happens across the axis is the fan beam's and is shared by all
rows (`bonectl.projection.torch.joseph`). The axis is innermost: a volume is a matrix (cell of a slice, z).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bonectl.core import pool
from bonectl.projection.divergent import Tables
from bonectl.projection.joseph import MARGIN
from bonectl.projection.torch import joseph as torch_joseph
from bonectl.projection.torch import tilted as torch_tilted
from bonectl.projection.torch.memory import BUDGET, accumulate

# Values of 4 bytes per ray and row, or ray and slice, that a step holds.
HELD = 16


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    if not p.is_aligned:
        return torch_tilted.project(p, volume)
    grid = torch.nn.functional.pad(volume, (MARGIN,) * 6).flatten(1).T.contiguous()
    scan = volume.new_empty(p.rows, len(p.views), p.columns)
    for views in _chunks(p):
        lines = grid.new_zeros((views.stop - views.start) * p.columns, p.rows)
        for crossing in _crossings(p, views, volume.device):
            t, weight = crossing.taps, crossing.taps.weight
            column = (1 - weight) * grid[t.near[:, 0]] + weight * grid[t.near[:, 0] + t.beyond[:, 0]]
            lines += _resampled(column * t.meets, crossing, p.rows)
        scan[:, views] = (lines * lengths(p, views, lines)).T.view(p.rows, -1, p.columns)
    return scan


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """The transpose of `project`: (row, view, column) to (z, y, x)."""
    if not p.is_aligned:
        return torch_tilted.backproject(p, scan)
    grid = scan.new_zeros((p.size + 2 * MARGIN) ** 2, p.slices)
    for views in _chunks(p):
        lines = scan[:, views].flatten(1).T * lengths(p, views, scan)
        for crossing in _crossings(p, views, scan.device):
            t = crossing.taps
            column = _spread(lines, crossing, p.slices) * t.meets
            accumulate(grid, t.near[:, 0], (1 - t.weight) * column)
            accumulate(grid, t.near[:, 0] + t.beyond[:, 0], t.weight * column)
    return torch_joseph.unpadded(grid, p.size)


def collect(p: Tables, scan: Tensor) -> Tensor:
    """As `bonectl.projection.numba.cone.collect`: (row, view, column) to (z, y, x)."""
    lines = torch.nn.functional.pad(scan, (MARGIN, MARGIN, 0, 0, MARGIN, MARGIN)).permute(1, 2, 0).contiguous()
    volume = scan.new_zeros(p.size, p.size, p.slices)
    slices = torch.arange(p.slices, device=scan.device) - 0.5 * (p.slices - 1)
    for low, high in pool.cut(p.size, max(1, BUDGET // (4 * HELD * p.size * max(p.slices, p.rows)))):
        for view, line in enumerate(lines):
            at, nearness = (part[low:high] for part in torch_joseph.seen(p, view, scan.device))
            column = torch.floor(at)
            part, weight = (at - column).float(), nearness.square().float()
            meets = (column >= -1) & (column < p.columns)
            index = torch.where(meets, column, 0.0).long() + MARGIN
            near, far = (1 - part) * weight * meets, part * weight * meets
            rows = near[..., None] * line[index] + far[..., None] * line[index + 1]
            place = p.row_centre + slices * (nearness * (p.sdd / p.sod / p.zoom))[..., None]
            volume[low:high] += _interpolated(rows, place)
    return volume.permute(2, 0, 1).contiguous()


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where some rays cross one line of the grid.

    Attributes
    ----------
    taps : Taps
        In the plane of a slice, (rays, 1).
    bottom, step : (rays, 1) float64
        The ray to row r crosses at z = bottom + r step.
    """

    taps: torch_joseph.Taps
    bottom: Tensor
    step: Tensor


def _chunks(p: Tables) -> list[slice]:
    """Views whose rays are followed at a time."""
    view = 4 * HELD * p.columns * max(p.rows, p.slices)
    return [slice(*part) for part in pool.cut(len(p.views), max(1, BUDGET // view))]


def _crossings(p: Tables, views: slice, device: torch.device) -> Iterator[Crossing]:
    """The crossings of all rays of some views, line by line."""
    rays = torch_joseph.fan_rays(p)
    source, reach = (torch.from_numpy(side).to(device) for side in reaches(p, views))
    for line in range(p.size):
        taps = torch_joseph.taps(rays, views, slice(line, line + 1), device)
        # of rays that miss the grid, lines can lie at the source or behind it
        step = torch.where(taps.meets, (line - source) / reach * p.zoom, 1.0)
        yield Crossing(taps, 0.5 * (p.slices - 1) - p.row_centre * step, step)


def reaches(p: Tables, views: slice) -> tuple[np.ndarray, np.ndarray]:
    """For each ray in the plane, (views * columns, 1): the source's line, and lines from there to the detector."""
    turned = torch_joseph.fan_rays(p).turned[views]
    x, y, first_x, first_y, step_x, step_y = p.views[views].T[:, :, None]
    column = np.arange(p.columns)
    source = np.where(turned, x, y)
    reach = np.where(turned, first_x + column * step_x - x, first_y + column * step_y - y)
    return source.reshape(-1, 1), reach.reshape(-1, 1)


def lengths(p: Tables, views: slice, like: Tensor) -> Tensor:
    """Distance between samples along each ray in units of 10 mm, (rays, rows)."""
    stretch = np.sqrt(1 + p.slants() ** 2).astype(np.float32)
    flat = torch.from_numpy(np.ascontiguousarray(p.lengths[views])).to(like)
    return (flat[..., None] * torch.from_numpy(stretch).to(like)).flatten(0, 1)


def _resampled(columns: Tensor, crossing: Crossing, rows: int) -> Tensor:
    """Columns of voxels (rays, slices + 2), with margins, where the rays to all rows cross them: (rays, rows)."""
    row = torch.arange(rows, device=columns.device)
    return _interpolated(columns, crossing.bottom + row * crossing.step)


def _interpolated(values: Tensor, place: Tensor) -> Tensor:
    """Linear interpolation along the last axis of values, which has margins of zeros; 0 beyond."""
    cell = torch.floor(place)
    meets = (cell >= -1) & (cell < values.shape[-1] - 2 * MARGIN)
    index = torch.where(meets, cell, 0.0).long() + MARGIN
    weight = (place - cell).float()
    low, high = values.gather(-1, index), values.gather(-1, index + 1)
    return ((1 - weight) * low + weight * high) * meets


def _spread(lines: Tensor, crossing: Crossing, slices: int) -> Tensor:
    """The transpose of `_resampled` without margins: lines (rays, rows) to columns of voxels (rays, slices).

    Every voxel takes the rows that it gives to: those that cross less than one cell away.
    """
    z = torch.arange(slices, device=lines.device, dtype=torch.float64)
    bottom, step = crossing.bottom, crossing.step
    first = torch.ceil((z - 1 - bottom) / step).long() - 1
    column = lines.new_zeros(len(lines), slices)
    for tap in range(int(2 / float(step.min())) + 3):
        row = first + tap
        place = bottom + row * step
        cell = torch.floor(place)
        weight = (place - cell).float()
        share = torch.where(cell == z, 1 - weight, torch.where(cell == z - 1, weight, 0.0))
        share *= (row >= 0) & (row < lines.shape[1])
        column += share * lines.gather(1, row.clamp(0, lines.shape[1] - 1))
    return column
