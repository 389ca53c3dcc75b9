"""Joseph's projector in torch, on any device, for rays that are the same in every slice: parallel and fan beams.

The weights of `projection.numba.joseph` and `projection.numba.fan`, from the same tables. A block of slices is a
matrix (cell, slice); every ray takes, in every line of the grid, two of its rows.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection import divergent, joseph
from bonectl.projection.joseph import MARGIN
from bonectl.projection.torch.memory import BUDGET, accumulate

# Slices carried together.
LANES = 64


@dataclass(frozen=True, eq=False)
class Rays:
    """How the rays of all views run through the lines of a slice's grid.

    Attributes
    ----------
    size : int
        Side of the slice.
    start, slope : (views, columns) float64
        A ray crosses line i at cell ``start + i slope``.
    turned : (views, columns) bool
        Whether lines are columns of the grid (the ray runs closer to x) or rows.
    lengths : (views, columns) float32
        Distance between two samples, in units of 10 mm.
    seen : (views, 2, 3) float64
        ``[:, 0] @ (1, x, y)`` over ``[:, 1] @ (1, x, y)`` is the detector column that sees the point (x, y) [cell].
    """

    size: int
    start: NDArray[np.float64]
    slope: NDArray[np.float64]
    turned: NDArray[np.bool_]
    lengths: Array
    seen: NDArray[np.float64]


@lru_cache(maxsize=8)
def parallel_rays(p: joseph.Tables) -> Rays:
    """The rays of a parallel beam."""
    place = np.empty_like(p.order)
    place[p.order] = np.arange(p.order.size)
    start, per_column, per_line, turned, columns = p.rays[place].T[:, :, None]
    shape = len(place), p.columns
    flat = turned[:, 0] != 0
    seen = np.zeros((len(place), 2, 3))
    seen[:, 0, 0] = -(start * columns)[:, 0]
    seen[np.arange(len(place)), 0, np.where(flat, 2, 1)] = columns[:, 0]
    seen[np.arange(len(place)), 0, np.where(flat, 1, 2)] = -(per_line * columns)[:, 0]
    seen[:, 1, 0] = 1.0
    return Rays(
        size=p.size,
        start=start + np.arange(p.columns) * per_column,
        slope=np.broadcast_to(per_line, shape).copy(),
        turned=np.broadcast_to(turned != 0, shape).copy(),
        lengths=np.broadcast_to(p.lengths[place, None], shape).copy(),
        seen=seen,
    )


@lru_cache(maxsize=8)
def fan_rays(p: divergent.Tables) -> Rays:
    """The rays of a fan beam, or of a cone beam with an aligned detector as seen along the axis."""
    x, y, first_x, first_y, step_x, step_y = p.views.T[:, :, None]
    column = np.arange(p.columns)
    dx = first_x + column * step_x - x
    dy = first_y + column * step_y - y
    turned = np.abs(dx) > np.abs(dy)
    slope = np.where(turned, dy, dx) / np.where(turned, dx, dy)
    start = np.where(turned, y, x) - np.where(turned, x, y) * slope
    fx, fy = first_x - x, first_y - y
    # the column c at which (point - source) is parallel to f + c step
    above = np.stack([x * fy - y * fx, -fy, fx], axis=-1)
    below = np.stack([y * step_x - x * step_y, step_y, -step_x], axis=-1)
    return Rays(p.size, start, slope, turned, p.lengths, np.concatenate([above, below], axis=1))


@dataclass(frozen=True, eq=False)
class Taps:
    """Which two cells of each line a ray takes, (rays, lines), in a grid with margins.

    Attributes
    ----------
    near : int64
        The first cell; the second is `beyond` further.
    beyond : (rays, 1) int64
    weight : float32
        Of the second cell.
    meets : bool
        Whether the ray meets the line within the grid.
    """

    near: Tensor
    beyond: Tensor
    weight: Tensor
    meets: Tensor


def taps(rays: Rays, views: slice, lines: slice, device: torch.device) -> Taps:
    """The taps of all rays of some views in some lines."""
    start = torch.from_numpy(rays.start[views].reshape(-1, 1)).to(device)
    slope = torch.from_numpy(rays.slope[views].reshape(-1, 1)).to(device)
    turned = torch.from_numpy(rays.turned[views].reshape(-1, 1)).to(device)
    line = torch.arange(lines.start, lines.stop, device=device)
    place = start + line * slope
    cell = torch.floor(place)
    meets = (place > -1.0) & (place < rays.size)
    side = rays.size + 2 * MARGIN
    inside = torch.where(meets, cell, 0.0).long() + MARGIN
    across, along = torch.where(turned, side, 1), torch.where(turned, 1, side)
    return Taps(inside * across + (line + MARGIN) * along, across, (place - cell).float(), meets)


def chunks(rays: Rays, lanes: int) -> list[tuple[slice, slice]]:
    """Views and lines that are worked on at a time."""
    columns = rays.start.shape[1]
    ray = 4 * (3 * lanes + 16)
    per_view = columns * ray
    views = max(1, min(len(rays.start), BUDGET // per_view))
    lines = max(1, min(rays.size, BUDGET // (views * per_view)))
    return [
        (slice(*some), slice(*those))
        for some in pool.cut(len(rays.start), views)
        for those in pool.cut(rays.size, lines)
    ]


def project(rays: Rays, volume: Tensor) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    return torch.cat([_project(rays, volume[slice(*part)]) for part in pool.cut(len(volume), LANES)])


def _project(rays: Rays, slices: Tensor) -> Tensor:
    grid = padded(slices)
    views, columns = rays.start.shape
    lines = grid.new_zeros(views * columns, len(slices))
    for some, those in chunks(rays, len(slices)):
        t = taps(rays, some, those, grid.device)
        weight = t.weight[..., None]
        value = (1 - weight) * grid[t.near] + weight * grid[t.near + t.beyond]
        lines[some.start * columns : some.stop * columns] += (value * t.meets[..., None]).sum(dim=1)
    lines *= torch.from_numpy(rays.lengths).to(lines).view(-1, 1)
    return lines.T.reshape(len(slices), views, columns)


def backproject(rays: Rays, scan: Tensor) -> Tensor:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    return torch.cat([_backproject(rays, scan[slice(*part)]) for part in pool.cut(len(scan), LANES)])


def _backproject(rays: Rays, scan: Tensor) -> Tensor:
    columns = rays.start.shape[1]
    side = rays.size + 2 * MARGIN
    lines = weighted(rays, scan)
    grid = lines.new_zeros(side**2, len(scan))
    for some, those in chunks(rays, len(scan)):
        t = taps(rays, some, those, grid.device)
        values = lines[some.start * columns : some.stop * columns, None] * t.meets[..., None]
        weight = t.weight[..., None]
        for index, share in ((t.near, 1 - weight), (t.near + t.beyond, weight)):
            accumulate(grid, index.reshape(-1), (share * values).flatten(0, 1))
    return unpadded(grid, rays.size)


def weighted(rays: Rays, scan: Tensor) -> Tensor:
    """A scan (slice, view, column) times the distance between samples, as lines (ray, slice)."""
    lengths = torch.from_numpy(rays.lengths).to(scan)
    return (scan * lengths).flatten(1).T.contiguous()


def padded(slices: Tensor) -> Tensor:
    """Slices (n, y, x) as a grid (cell, n) with margins of zeros."""
    grid = torch.nn.functional.pad(slices, (MARGIN,) * 4)
    return grid.flatten(1).T.contiguous()


def unpadded(grid: Tensor, size: int) -> Tensor:
    """The transpose of `padded`."""
    side = size + 2 * MARGIN
    inside = slice(MARGIN, -MARGIN)
    return grid.view(side, side, -1)[inside, inside].permute(2, 0, 1).contiguous()


def collect(p: divergent.Tables, scan: Tensor) -> Tensor:
    """As `bonectl.projection.numba.fan.collect`: (slice, view, column) to (slice, y, x)."""
    return torch.cat([_collect(p, scan[slice(*part)]) for part in pool.cut(len(scan), LANES)])


def _collect(p: divergent.Tables, scan: Tensor) -> Tensor:
    lines = torch.nn.functional.pad(scan, (MARGIN, MARGIN)).permute(1, 2, 0).contiguous()
    grid = scan.new_zeros(p.size, p.size, len(scan))
    for view, line in enumerate(lines):
        at, nearness = seen(p, view, scan.device)
        column = torch.floor(at)
        part, weight = (at - column).float(), nearness.square().float()
        meets = (column >= -1) & (column < p.columns)
        index = torch.where(meets, column, 0.0).long() + MARGIN
        near, far = (1 - part) * weight * meets, part * weight * meets
        grid += near[..., None] * line[index]
        grid += far[..., None] * line[index + 1]
    return grid.permute(2, 0, 1).contiguous()


def seen(p: divergent.Tables, view: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Detector column, and sod over the distance from the source along e_n, of all voxels (y, x) of a slice."""
    axis = torch.arange(p.size, device=device, dtype=torch.float64)
    distance, across, (centre, *_) = p.seen[view].tolist()
    nearness = 1.0 / (distance[0] + axis * distance[1] + axis[:, None] * distance[2])
    return (across[0] + axis * across[1] + axis[:, None] * across[2]) * nearness + centre, nearness
