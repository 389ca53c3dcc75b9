"""The projector of a cone beam with an aligned detector compiled by Triton: the weights of `torch_cone`.

Forward, a program follows the rays of one column of pixels, through cells that all of them share seen along the axis.
Back, a program gathers for a column of voxels. Heights are whole numbers of 2^-32 slices, the same in both directions.
Other detectors are `bonectl.projection.torch.tilted`'s.
"""

# triton is untyped
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from bonectl.projection.divergent import Tables
from bonectl.projection.joseph import MARGIN
from bonectl.projection.torch import cone as torch_cone
from bonectl.projection.torch import joseph as torch_joseph
from bonectl.projection.torch import tilted as torch_tilted
from bonectl.projection.torch.memory import on
from bonectl.projection.triton.joseph import columns_near, crossing, lines_of, share_of, strides_of

# Rows, or slices, of one program at most.
WIDEST = 128


@triton.jit
def fixed(value):
    """A float64 in units of 2^-32."""
    return (value * 4294967296.0).to(tl.int64)


@triton.jit
def split(height):
    """The whole part of a height in units of 2^-32, and the rest as a weight."""
    level = height >> 32
    return level, (height - (level << 32)).to(tl.float32) * 2.3283064365386963e-10


@triton.jit
def walk_cone(
    grid, starts, slopes, turned, sources, rises, ends, lengths, lines, size, slices, rows, WIDTH: tl.constexpr
):
    """``lines[ray, row]``: sums along rays through ``grid[cell, z]``, which has margins of one cell on all sides.

    Of every ray in the plane: the source's line, and how much higher the rays to two neighbouring rows are apart with
    every line from there. `ends` holds the middle slice and the row in the plane of the orbit.
    """
    ray = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = row < rows
    start = tl.load(starts + ray)
    slope = tl.load(slopes + ray)
    source = tl.load(sources + ray)
    rise = tl.load(rises + ray)
    middle = tl.load(ends)
    foot = tl.load(ends + 1)
    depth = slices + 2
    across, along = strides_of(turned, ray, size)
    total = tl.zeros((WIDTH,), tl.float32)
    for line in range(size):
        meets, cell, weight = crossing(start, slope, line, size)
        step = tl.where(meets, (line - source) * rise, 1.0)
        level, above = split(fixed(middle - foot * step) + row.to(tl.int64) * fixed(step))
        taken = (row < tl.where(meets, rows, 0)) & (level >= -1) & (level < slices)
        at = (cell * across + (line + 1) * along) * depth + level + 1
        near = (1.0 - above) * tl.load(grid + at, mask=taken, other=0.0)
        near += above * tl.load(grid + at + 1, mask=taken, other=0.0)
        beyond = at + across * depth
        far = (1.0 - above) * tl.load(grid + beyond, mask=taken, other=0.0)
        far += above * tl.load(grid + beyond + 1, mask=taken, other=0.0)
        total += (1.0 - weight) * near + weight * far
    scale = tl.load(lengths + ray * rows + row, mask=inside, other=0.0)
    tl.store(lines + ray * rows + row, total * scale, mask=inside)


@triton.jit
def collect_cone(
    lines, starts, slopes, turned, sources, rises, ends, seen, grid, size, slices, views, columns, rows,
    WIDTH: tl.constexpr,
):  # fmt: skip
    """The transpose of `walk_cone` for ``grid[voxel, z]`` without margins; lines are weighted with their lengths."""
    voxel = tl.program_id(0).to(tl.int64)
    lowest = tl.program_id(1) * WIDTH
    beside = tl.arange(0, WIDTH)
    z = lowest + beside
    inside = z < slices
    y = voxel // size
    x = voxel - y * size
    middle = tl.load(ends)
    foot = tl.load(ends + 1)
    total = tl.zeros((WIDTH,), tl.float32)
    for view in range(views):
        first, last = columns_near(seen, view, x, y, columns)
        for column in range(first, last + 1):
            ray = (view * columns + column).to(tl.int64)
            share, along = share_of(starts, slopes, turned, ray, x, y)
            step = tl.where(share != 0.0, (along - tl.load(sources + ray)) * tl.load(rises + ray), 1.0)
            bottom = middle - foot * step
            # rows less than one slice away: from a row that is surely below, as many as can be
            per_slice = 1.0 / step
            begin = (lowest - 1.0 - bottom) * per_slice
            whole = tl.floor(begin)
            below = (begin - whole).to(tl.float32) + beside * per_slice.to(tl.float32) - 0.01
            row = whole.to(tl.int64) + tl.floor(below).to(tl.int64)
            count = tl.where(share != 0.0, tl.floor(2.0 * per_slice).to(tl.int32) + 4, 0)
            height, up = fixed(bottom) + row * fixed(step), fixed(step)
            for _tap in range(count):
                level, above = split(height)
                part = tl.where(level == z, 1.0 - above, tl.where(level == z - 1, above, 0.0))
                taken = inside & (row >= 0) & (row < rows) & (part != 0.0)
                total += share * part * tl.load(lines + ray * rows + row, mask=taken, other=0.0)
                row += 1
                height += up
    tl.store(grid + voxel * slices + z, total, mask=inside)


def _heights(p: Tables, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What `walk_cone` calls sources, rises and ends."""
    source, reach = torch_cone.reaches(p, slice(0, len(p.views)))
    ends = np.array([0.5 * (p.slices - 1), p.row_centre])
    return tuple(torch.from_numpy(part).to(device) for part in (source, p.zoom / reach, ends))  # type: ignore[return-value]


def project(p: Tables, volume: Tensor) -> Tensor:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    if not p.is_aligned:
        return torch_tilted.project(p, volume)
    rays = torch_joseph.fan_rays(p)
    grid = torch.nn.functional.pad(volume, (MARGIN,) * 6).flatten(1).T.contiguous()
    lengths = torch_cone.lengths(p, slice(0, len(p.views)), volume).contiguous()
    lines = volume.new_empty(rays.start.size, p.rows)
    width = min(WIDEST, triton.next_power_of_2(p.rows))
    with on(volume.device):
        walk_cone[rays.start.size, triton.cdiv(p.rows, width)](
            grid, *lines_of(rays, grid.device), *_heights(p, grid.device), lengths, lines, p.size, p.slices, p.rows,
            WIDTH=width, num_warps=max(1, width // 32),
        )  # fmt: skip
    return lines.T.reshape(p.rows, len(p.views), p.columns).contiguous()


def backproject(p: Tables, scan: Tensor) -> Tensor:
    """The transpose of `project`: (row, view, column) to (z, y, x)."""
    if not p.is_aligned:
        return torch_tilted.backproject(p, scan)
    rays = torch_joseph.fan_rays(p)
    lines = (scan.flatten(1).T * torch_cone.lengths(p, slice(0, len(p.views)), scan)).contiguous()
    seen = torch.from_numpy(rays.seen).to(scan.device)
    grid = scan.new_empty(p.size**2, p.slices)
    width = min(WIDEST, triton.next_power_of_2(p.slices))
    with on(scan.device):
        collect_cone[p.size**2, triton.cdiv(p.slices, width)](
            lines, *lines_of(rays, scan.device), *_heights(p, scan.device), seen, grid, p.size, p.slices,
            len(p.views), p.columns, p.rows, WIDTH=width, num_warps=max(1, width // 32),
        )  # fmt: skip
    return grid.T.reshape(p.slices, p.size, p.size).contiguous()
