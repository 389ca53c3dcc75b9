"""Cut slices into tiles that give, together, what the whole slice gives.

Each tile is read with the model's halo, rounded up to its pooling grid, and only the part without the halo
is kept. Origins are multiples of the grid, so every pooling window holds the same pixels as in the whole
slice; at the border of the slice the tile has no halo, so the padding of the convolutions is that of the whole
slice as well. Hence no blending, and on CPU the same bits (``tests/core/test_tiles.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bonectl.learning.denoiser import Denoiser, Reach


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in pixels of the padded slice: read [start, stop), keep [first, last)."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def read(self) -> slice:
        """What the model is given, of the slice."""
        return slice(self.start, self.stop)

    @property
    def kept(self) -> slice:
        """What of the model's answer counts, counted from ``start``."""
        return slice(self.first - self.start, self.last - self.start)

    @property
    def put(self) -> slice:
        """Where that goes, in the slice."""
        return slice(self.first, self.last)


def round_up(length: int, grid: int) -> int:
    """Return the smallest multiple of ``grid`` that is not below ``length``."""
    return (length + grid - 1) // grid * grid  # of no negative number: ONNX divides those towards zero


def spans(length: int, side: int, reach: Reach) -> tuple[Span, ...]:
    """Cut one axis into tiles with halo.

    Parameters
    ----------
    length : int
        Pixels along the axis, a multiple of ``reach.grid``.
    side : int
        Largest side of a tile without its halo [pixels], rounded up to the grid. Tiles are as even as the grid
        allows: a sliver at the end would cost a whole halo, and torch computes small inputs by another kernel, whose
        sums round differently. A model without a halo of its own (``reach.pixels`` None) gets the whole axis.
    reach : Reach
        How far the model looks.

    Returns
    -------
    tuple of Span
        In order; their kept parts tile [0, length).
    """
    if reach.pixels is None:
        return (Span(0, length, 0, length),)
    side = round_up(-(-length // count(length, side, reach.grid)), reach.grid)
    halo = round_up(reach.pixels, reach.grid)
    firsts = range(0, length, side)
    return tuple(
        Span(max(0, first - halo), min(length, first + side + halo), first, min(length, first + side))
        for first in firsts
    )


def count(length: int, side: int, grid: int) -> int:
    """Return how few tiles of a side, rounded up to the grid, cover an axis."""
    return -(-length // round_up(max(side, 1), grid))


def tiles(rows: int, columns: int, side: int, reach: Reach) -> Iterator[tuple[Span, Span]]:
    """Yield the tiles of a (rows, columns) slice as pairs of spans, row by row."""
    for row in spans(rows, side, reach):
        for column in spans(columns, side, reach):
            yield row, column


def padded(volume: Tensor, grid: int) -> Tensor:
    """Repeat the last row and column of (b, z, y, x) until y and x are multiples of ``grid``."""
    rows, columns = volume.shape[-2:]
    below, right = round_up(rows, grid) - rows, round_up(columns, grid) - columns
    return pad(volume, (0, right, 0, below), mode="replicate") if below or right else volume


def apply(model: Denoiser, volume: Tensor, side: int) -> Tensor:
    """Run a model over a slab, tile by tile.

    Parameters
    ----------
    model : Denoiser
        The model; tiles are as large as its halo asks, ``side`` without it.
    volume : Tensor, (b, z + 2 * reach.slices, y, x)
        The slab with its context slices; any y and x.
    side : int
        Side of a tile without halo [pixels].

    Returns
    -------
    Tensor, (b, z, y, x)
        The same numbers as ``model`` on the whole (padded) slab, whatever ``side``.
    """
    whole = padded(volume, model.reach.grid)
    batch, depth, rows, columns = whole.shape
    depth -= 2 * model.reach.slices
    estimate = torch.empty((batch, depth, rows, columns), dtype=volume.dtype, device=volume.device)
    for row, column in tiles(rows, columns, side, model.reach):
        answer = model(whole[:, :, row.read, column.read])
        estimate[:, :, row.put, column.put] = answer[:, :, row.kept, column.kept]
    return estimate[:, :, : volume.shape[2], : volume.shape[3]]
