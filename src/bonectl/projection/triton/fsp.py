"""The Fourier-slice projector of `bonectl.projection.torch.fsp` with its gridding compiled by Triton.

The transpose gathers too: points are sorted by their first cell, and a program adds up, for one cell, the points that
reach it. Nothing is added to from two sides, and the sum's order is fixed.
"""

# triton is untyped
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from bonectl.projection.fsp import TAPS, Tables
from bonectl.projection.torch import fsp as torch_fsp
from bonectl.projection.torch.fsp import Points
from bonectl.projection.torch.memory import on

# Points that a program takes at a time, and lanes at most.
POINTS = 16
WIDEST = 32


@triton.jit
def gather_cells(
    grid, first, across, along, result, points, lanes, side, TAPS: tl.constexpr, POINTS: tl.constexpr,
    WIDTH: tl.constexpr,
):  # fmt: skip
    """``result[point, lane]``: weighted sums of the cells around each point."""
    point = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    lane = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    there = point < points
    inside = there[:, None] & (lane < lanes)[None, :]
    base = tl.load(first + point, mask=there, other=0)
    total = tl.zeros((POINTS, WIDTH), tl.float32)
    for j in tl.static_range(TAPS):
        down = tl.load(along + point * TAPS + j, mask=there, other=0.0)
        for i in tl.static_range(TAPS):
            weight = down * tl.load(across + point * TAPS + i, mask=there, other=0.0)
            at = (base + j * side + i) * lanes
            total += weight[:, None] * tl.load(grid + at[:, None] + lane[None, :], mask=inside, other=0.0)
    tl.store(result + (point * lanes)[:, None] + lane[None, :], total, mask=inside)


@triton.jit
def gather_points(
    values, order, offsets, first, across, along, grid, lanes, side, TAPS: tl.constexpr, POINTS: tl.constexpr,
    WIDTH: tl.constexpr,
):  # fmt: skip
    """``grid[cell, lane]``: what the points that reach a cell give it.

    `order` sorts the points by their first cell; those of cell c are ``order[offsets[c] : offsets[c + 1]]``.
    """
    cell = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = lane < lanes
    y = cell // side
    x = cell - y * side
    left = tl.maximum(x - (TAPS - 1), 0)
    total = tl.zeros((WIDTH,), tl.float32)
    for j in tl.static_range(TAPS):
        row = tl.maximum(y - j, 0) * side
        begin = tl.load(offsets + row + left)
        end = tl.where(y >= j, tl.load(offsets + row + x + 1), begin)
        for at in range(begin, end, POINTS):
            place = at + tl.arange(0, POINTS)
            there = place < end
            point = tl.load(order + place, mask=there, other=0)
            i = cell - j * side - tl.load(first + point, mask=there, other=0)
            weight = tl.load(across + point * TAPS + i, mask=there, other=0.0)
            weight *= tl.load(along + point * TAPS + j, mask=there, other=0.0)
            value = tl.load(
                values + (point * lanes)[:, None] + lane[None, :], mask=there[:, None] & inside[None, :], other=0.0
            )
            total += tl.sum(weight[:, None] * value, axis=0)
    tl.store(grid + cell * lanes + lane, total, mask=inside)


def gather(grid: Tensor, points: Points) -> Tensor:
    """As `bonectl.projection.torch.fsp.gather`."""
    count, lanes = len(points.first), grid.shape[1]
    result = grid.new_empty(count, lanes)
    width = min(WIDEST, triton.next_power_of_2(lanes))
    with on(grid.device):
        gather_cells[triton.cdiv(count, POINTS), triton.cdiv(lanes, width)](
            grid.contiguous(), points.first, points.across.contiguous(), points.along.contiguous(), result, count,
            lanes, points.side, TAPS=TAPS, POINTS=POINTS, WIDTH=width,
        )  # fmt: skip
    return result


def scatter(values: Tensor, points: Points) -> Tensor:
    """As `bonectl.projection.torch.fsp.scatter`."""
    lanes, cells = values.shape[1], points.side**2
    ordered, order = torch.sort(points.first, stable=True)
    offsets = torch.searchsorted(ordered, torch.arange(cells + 1, device=values.device))
    grid = values.new_empty(cells, lanes)
    width = min(WIDEST, triton.next_power_of_2(lanes))
    with on(values.device):
        gather_points[cells, triton.cdiv(lanes, width)](
            values.contiguous(), order, offsets, points.first, points.across.contiguous(), points.along.contiguous(),
            grid, lanes, points.side, TAPS=TAPS, POINTS=POINTS, WIDTH=width, num_warps=1,
        )  # fmt: skip
    return grid


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    return torch_fsp.project(p, volume, gather)


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    return torch_fsp.backproject(p, scan, scatter)
