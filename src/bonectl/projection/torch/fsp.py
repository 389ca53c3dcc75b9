"""The Fourier-slice projector of `bonectl.projection.fsp` in torch, on any device: the same tables and weights.

A block of slices is a matrix (cell, lane) whose lanes are the real and imaginary parts of pairs of slices; a point of a
line gathers `TAPS` x `TAPS` of its rows, and the transpose adds to them. Which function gathers and which adds is the
caller's choice: those here are torch's own operators, those of `bonectl.projection.triton.fsp` are compiled.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bonectl.core import pool
from bonectl.projection.fsp import BLOCK, DEGREE, HALF, HALO, TAPS, Tables
from bonectl.projection.torch.memory import BUDGET, accumulate

# Bytes that a point of a line needs beside its lanes.
POINT = 8 * (4 + 2 * TAPS)


@dataclass(frozen=True, eq=False)
class Points:
    """Where the points of some lines lie on the plane's grid, and the weights of the cells around them.

    Attributes
    ----------
    first : (points,) int64
        The first of the cells around a point, as ``row * side + column`` of the grid with its halo.
    across, along : (points, TAPS) float32
        Weights of columns and of rows.
    side : int
        Cells along an axis, with the halo.
    """

    first: Tensor
    across: Tensor
    along: Tensor
    side: int


Gather = Callable[[Tensor, Points], Tensor]
Scatter = Callable[[Tensor, Points], Tensor]


def gather(grid: Tensor, points: Points) -> Tensor:
    """The weighted sums (points, lanes) of the cells around each point; grid (side * side, lanes) float32."""
    total = grid.new_zeros(len(points.first), grid.shape[1])
    for j in range(TAPS):
        for i in range(TAPS):
            weight = points.along[:, j] * points.across[:, i]
            total += weight[:, None] * grid[points.first + (j * points.side + i)]
    return total


def scatter(values: Tensor, points: Points) -> Tensor:
    """The transpose of `gather`: values (points, lanes) to a grid (side * side, lanes)."""
    grid = values.new_zeros(points.side**2, values.shape[1])
    for j in range(TAPS):
        for i in range(TAPS):
            weight = points.along[:, j] * points.across[:, i]
            accumulate(grid, points.first + (j * points.side + i), weight[:, None] * values)
    return grid


def project(p: Tables, volume: Tensor, gather: Gather = gather) -> Tensor:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    scan = volume.new_empty(len(volume), p.order.size, p.columns)
    for first, last in pool.cut(len(volume), BLOCK):
        grid = _spectrum(p, volume[first:last])
        for low, high in _chunks(p, grid.shape[1]):
            lines = _lines(p, grid, low, high, gather)
            order = torch.from_numpy(p.order[low:high]).to(volume.device)
            scan[first:last, order] = _unpacked(lines)[: last - first]
    return scan


def backproject(p: Tables, scan: Tensor, scatter: Scatter = scatter) -> Tensor:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    volume = scan.new_empty(len(scan), p.size, p.size)
    side = p.cells + HALO
    for first, last in pool.cut(len(scan), BLOCK):
        pairs = -(-(last - first) // 2)
        grid = scan.new_zeros(side**2, 2 * pairs)
        for low, high in _chunks(p, 2 * pairs):
            order = torch.from_numpy(p.order[low:high]).to(scan.device)
            values = _values(p, _packed(scan[first:last, order]), low)
            grid += scatter(values, _points(p, low, high, scan.device))
        volume[first:last] = _slices(p, grid)[: last - first]
    return volume


def _chunks(p: Tables, lanes: int) -> list[tuple[int, int]]:
    """Views that fit the budget of temporary memory, at a time."""
    view = 2 * p.length * (3 * 4 * lanes + POINT)
    return pool.cut(p.order.size, max(1, BUDGET // view))


def _packed(stack: Tensor) -> Tensor:
    """Pairs of slices (n, a, b) as one complex stack (ceil(n / 2), a, b)."""
    if len(stack) % 2:
        stack = torch.cat([stack, torch.zeros_like(stack[:1])])
    return torch.complex(stack[0::2], stack[1::2])


def _unpacked(stack: Tensor) -> Tensor:
    """The inverse of `_packed`: (pairs, a, b) to (2 pairs, a, b)."""
    return torch.view_as_real(stack).permute(0, 3, 1, 2).flatten(0, 1)


def _spread_out(p: Tables, device: torch.device) -> Tensor:
    one = torch.from_numpy(p.spread_out).to(device)
    return one[:, None] * one


def _spectrum(p: Tables, slices: Tensor) -> Tensor:
    """Slices (n, y, x) transformed on the oversampled grid with its halo, ((cells + HALO)^2, lanes)."""
    image = _packed(slices * _spread_out(p, slices.device))
    inside = slice(p.origin, p.origin + p.size)
    plane = image.new_zeros(len(image), p.cells, p.cells)
    plane[:, inside, inside] = image
    plane = torch.fft.fft2(plane).permute(1, 2, 0)
    plane = torch.cat([plane, plane[:, :HALO]], dim=1)
    plane = torch.cat([plane, plane[:HALO]], dim=0)
    return torch.view_as_real(plane).reshape((p.cells + HALO) ** 2, -1)


def _slices(p: Tables, grid: Tensor) -> Tensor:
    """The transpose of `_spectrum`."""
    side = p.cells + HALO
    plane = torch.view_as_complex(grid.view(side, side, -1, 2))
    plane[:HALO] += plane[p.cells :]
    plane[:, :HALO] += plane[:, p.cells :]
    image = torch.fft.ifft2(plane[: p.cells, : p.cells].permute(2, 0, 1), norm="forward")
    inside = slice(p.origin, p.origin + p.size)
    return _unpacked(image[:, inside, inside].contiguous()) * _spread_out(p, grid.device)


def _points(p: Tables, low: int, high: int, device: torch.device) -> Points:
    """The points of views low, ..., high - 1 at frequencies -top, ..., top."""
    top = p.weights.shape[1] - 1
    steps = torch.from_numpy(p.steps[low:high]).to(device)
    frequency = torch.arange(-top, top + 1, device=device, dtype=torch.float64)
    at = (steps[:, None] * frequency[:, None]).view(-1, 2)
    # mirrored on the other side of the middle, so that the line of a real slice stays real where a point lies midway
    base = torch.ceil(at.abs() - HALF)
    base = torch.where(at >= 0, base, 1 - TAPS - base)
    weights = _taps(p, (base - at + HALF).float())
    base = base.long()
    # the image sits in the middle of its grid, which alternates the signs of its spectrum
    parity = (1 - 2 * (base.sum(dim=1) & 1)).float()
    cell = torch.remainder(base, p.cells)
    side = p.cells + HALO
    return Points(cell[:, 1] * side + cell[:, 0], weights[:, 0], weights[:, 1] * parity[:, None], side)


def _taps(p: Tables, where: Tensor) -> Tensor:
    """The `TAPS` gridding weights at fractions of a cell (points, 2): (points, 2, TAPS)."""
    rows = torch.from_numpy(p.coefficients[:, :TAPS].copy()).to(where.device)
    where = where[..., None]
    value = rows[0].expand(*where.shape[:-1], TAPS)
    for power in range(1, DEGREE + 1):
        value = value * where + rows[power]
    return value.contiguous()


def _factors(p: Tables, low: int, high: int, device: torch.device) -> Tensor:
    """Complex weights (views, 2 top + 1, 1) of the frequencies -top, ..., top."""
    half = np.ascontiguousarray(p.weights[low:high]).view(np.complex64)
    whole = np.concatenate([half[:, :0:-1].conj(), half], axis=1)
    return torch.from_numpy(whole).to(device)


def _lines(p: Tables, grid: Tensor, low: int, high: int, gather: Gather) -> Tensor:
    """Detector lines (pairs, view, column), complex, of views low, ..., high - 1."""
    top = p.weights.shape[1] - 1
    values = gather(grid, _points(p, low, high, grid.device)).view(high - low, 2 * top + 1, -1, 2)
    values = torch.view_as_complex(values) * _factors(p, low, high, grid.device)
    spectrum = values.new_zeros(high - low, p.length, values.shape[2])
    spectrum[:, : top + 1] = values[:, top:]
    # frequency -m is length - m; above half the length the first alias folds onto what is there
    spectrum[:, p.length - top :] += values[:, :top]
    lines: Tensor = torch.fft.ifft(spectrum, dim=1, norm="forward")
    return lines[:, : p.columns].permute(2, 0, 1)


def _values(p: Tables, lines: Tensor, low: int) -> Tensor:
    """The transpose of `_lines` up to the gathering: lines (pairs, view, column) to (points, lanes)."""
    top = p.weights.shape[1] - 1
    spectrum = torch.fft.fft(lines.permute(1, 2, 0), n=p.length, dim=1)
    values = torch.cat([spectrum[:, p.length - top :], spectrum[:, : top + 1]], dim=1)
    # not the lazy conj(): inside a traced graph, where its bit is not looked at, it would do nothing
    values *= _factors(p, low, low + lines.shape[1], lines.device).conj_physical()
    return torch.view_as_real(values).reshape(-1, 2 * lines.shape[0])
