"""Joseph's projector of parallel and fan beams compiled by Triton: the weights of `bonectl.projection.torch.joseph`.

Forward, a program follows one ray for a range of slices. Back, a program gathers, for one voxel and a range of slices,
the rays that weigh it: nothing is added to from two sides, and the sum's order is fixed.
"""

# triton is untyped
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from bonectl.core import pool
from bonectl.projection.torch import joseph as torch_joseph
from bonectl.projection.torch.joseph import Rays
from bonectl.projection.torch.memory import on

# Slices of one program at most, and slices carried together.
WIDEST = 64
LANES = 256


@triton.jit
def strides_of(turned, ray, size):
    """How far apart neighbours across a ray's lines, and along the way from line to line, lie in a grid with margins.

    Cells are counted row by row; lines are columns of the grid where the ray is turned, else rows.
    """
    side = size + 2
    flat = tl.load(turned + ray) != 0
    return tl.where(flat, side, 1), tl.where(flat, 1, side)


@triton.jit
def crossing(start, slope, line, size):
    """Where a ray crosses a line: whether in the grid, the first of two cells in a grid with margins, the second's
    weight."""
    place = start + line * slope
    meets = (place > -1.0) & (place < size)
    cell = tl.floor(place)
    return meets, tl.where(meets, cell, 0.0).to(tl.int64) + 1, (place - cell).to(tl.float32)


@triton.jit
def walk(grid, starts, slopes, turned, lengths, lines, size, lanes, WIDTH: tl.constexpr):
    """``lines[ray, lane]``: the sum along a ray through ``grid[cell, lane]``, which has a margin of one cell."""
    ray = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    start = tl.load(starts + ray)
    slope = tl.load(slopes + ray)
    across, along = strides_of(turned, ray, size)
    total = tl.zeros((WIDTH,), tl.float32)
    for line in range(size):
        meets, cell, weight = crossing(start, slope, line, size)
        at = (cell * across + (line + 1) * along) * lanes + lane
        taken = lane < tl.where(meets, lanes, 0)
        near = tl.load(grid + at, mask=taken, other=0.0)
        far = tl.load(grid + at + across * lanes, mask=taken, other=0.0)
        total += (1.0 - weight) * near + weight * far
    tl.store(lines + ray * lanes + lane, total * tl.load(lengths + ray), mask=lane < lanes)


@triton.jit
def columns_near(seen, view, x, y, columns):
    """First and last column whose rays can pass less than a cell from the voxel (x, y), counted along its lines.

    Such a ray passes between the voxel's two neighbours in x, or in y: its column lies between theirs.
    """
    a = tl.load(seen + view * 6)
    ax = tl.load(seen + view * 6 + 1)
    ay = tl.load(seen + view * 6 + 2)
    b = tl.load(seen + view * 6 + 3)
    bx = tl.load(seen + view * 6 + 4)
    by = tl.load(seen + view * 6 + 5)
    above = a + ax * x + ay * y
    below = b + bx * x + by * y
    left = (above - ax) / (below - bx)
    right = (above + ax) / (below + bx)
    up = (above - ay) / (below - by)
    down = (above + ay) / (below + by)
    low = tl.minimum(tl.minimum(left, right), tl.minimum(up, down)) - 1e-6
    high = tl.maximum(tl.maximum(left, right), tl.maximum(up, down)) + 1e-6
    first = tl.ceil(tl.minimum(tl.maximum(low, 0.0), columns * 1.0)).to(tl.int32)
    last = tl.floor(tl.minimum(tl.maximum(high, -1.0), columns - 1.0)).to(tl.int32)
    return first, last


@triton.jit
def share_of(starts, slopes, turned, ray, x, y):
    """A ray's weight of the voxel (x, y), and the line on which the voxel lies for it."""
    flat = tl.load(turned + ray) != 0
    across = tl.where(flat, y, x)
    along = tl.where(flat, x, y)
    place = tl.load(starts + ray) + along * tl.load(slopes + ray)
    cell = tl.floor(place)
    weight = (place - cell).to(tl.float32)
    apart = across - cell
    share = tl.where(apart == 0.0, 1.0 - weight, tl.where(apart == 1.0, weight, 0.0))
    return share, along


@triton.jit
def collect(lines, starts, slopes, turned, seen, grid, size, views, columns, lanes, WIDTH: tl.constexpr):
    """The transpose of `walk` for ``grid[voxel, lane]`` without margin; lines are weighted with their lengths."""
    voxel = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = lane < lanes
    y = voxel // size
    x = voxel - y * size
    total = tl.zeros((WIDTH,), tl.float32)
    for view in range(views):
        first, last = columns_near(seen, view, x, y, columns)
        for column in range(first, last + 1):
            ray = (view * columns + column).to(tl.int64)
            share, _along = share_of(starts, slopes, turned, ray, x, y)
            taken = lane < tl.where(share != 0.0, lanes, 0)
            total += share * tl.load(lines + ray * lanes + lane, mask=taken, other=0.0)
    tl.store(grid + voxel * lanes + lane, total, mask=inside)


def lines_of(rays: Rays, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Start and slope (float64), and whether lines are columns (int32), of every ray."""
    start, slope = (torch.from_numpy(part).to(device) for part in (rays.start, rays.slope))
    return start, slope, torch.from_numpy(rays.turned).to(device, torch.int32)


def project(rays: Rays, volume: Tensor) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    return torch.cat([_project(rays, volume[slice(*part)]) for part in pool.cut(len(volume), LANES)])


def _project(rays: Rays, slices: Tensor) -> Tensor:
    lanes = len(slices)
    grid = torch_joseph.padded(slices)
    lengths = torch.from_numpy(rays.lengths).to(slices)
    lines = grid.new_empty(rays.start.size, lanes)
    width = min(WIDEST, triton.next_power_of_2(lanes))
    with on(slices.device):
        walk[rays.start.size, triton.cdiv(lanes, width)](
            grid, *lines_of(rays, grid.device), lengths, lines, rays.size, lanes, WIDTH=width, num_warps=1
        )
    return lines.T.reshape(lanes, *rays.start.shape)


def backproject(rays: Rays, scan: Tensor) -> Tensor:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    return torch.cat([_backproject(rays, scan[slice(*part)]) for part in pool.cut(len(scan), LANES)])


def _backproject(rays: Rays, scan: Tensor) -> Tensor:
    lanes = len(scan)
    views, columns = rays.start.shape
    lines = torch_joseph.weighted(rays, scan)
    seen = torch.from_numpy(rays.seen).to(scan.device)
    grid = lines.new_empty(rays.size**2, lanes)
    width = min(WIDEST, triton.next_power_of_2(lanes))
    with on(scan.device):
        collect[rays.size**2, triton.cdiv(lanes, width)](
            lines, *lines_of(rays, scan.device), seen, grid, rays.size, views, columns, lanes, WIDTH=width, num_warps=1
        )
    return grid.T.reshape(lanes, rays.size, rays.size).contiguous()
