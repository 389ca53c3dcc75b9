"""Rows over the whole height of a scan, for what must be known before the first slice.

The first rows show air, or the holder; the axis is found from rows that have something to see. A look takes one walk
over the scan and holds some rows; what comes from a pipe is kept meanwhile, in memory or in a temporary file
(`bonectl.stacks.replay`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bonectl.core import memory, progress
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.scanning import axis, opposite_rays
from bonectl.scanning.axis import Axis
from bonectl.scanning.lines import Fields, line_integrals, sinograms

# Rows that are looked at, and the parts of the height of each of which the best one is kept.
LOOKED_AT, KEPT = 32, 8
# Bytes for a value of a row that is looked at: as it came, as a line integral, and what is made of it.
HELD = 16
# Share of what may be held that this takes.
SHARE = 0.5


def axis_of(scan: Stack, geometry: Geometry, fields: Fields | None = None, *, limit: int | None = None) -> Axis:
    """The rotation axis of a scan, to a thousandth of a column, from its rows with the most to see.

    Parameters
    ----------
    scan : Stack
        Walked to its end.
    geometry : Geometry
        Its centre is not used.
    fields : Fields, optional
        Readings without a sample, for counts.
    limit : int, optional
        Bytes that the process may hold; nothing is most of what is free.

    Raises
    ------
    UsageError
        As `bonectl.scanning.axis.check` and `bonectl.scanning.lines.line_integrals`.
    DataError
        When no row holds an object, or fields and scan differ in size.
    """
    axis.check(geometry)
    numbers = rows_of(geometry, scan.header, limit)
    # what is wrong with readings is said when they are reconstructed
    with progress.task("look over the scan", scan.header.shape[0]) as advance, progress.silence():
        lines = _lines(_counted(scan, advance), numbers, fields)
    if geometry.kind != "cone":
        best = _strongest(lines)
        numbers, lines = numbers[best], lines[best]
    found = axis.found_centre(geometry, lines, numbers)
    return replace(found, column=round(found.column, 3))


def rows_of(geometry: Geometry, header: Header, limit: int | None = None) -> NDArray[np.int64]:
    """Numbers of the rows that are looked at: even over the height, as many as fit; those of a cone beam's orbit."""
    if geometry.kind == "cone":
        return np.array(opposite_rays.orbit_rows(geometry))
    room = SHARE * ((limit or memory.available()) - memory.resident())
    fitting = int(room / (HELD * geometry.views * geometry.columns))
    count = min(LOOKED_AT, geometry.rows, max(1, fitting))
    return ((np.arange(count) + 0.5) * geometry.rows / count).astype(np.int64)


def _counted(scan: Stack, advance: progress.Advance) -> Stack:
    def slabs() -> Iterator[Array]:
        for slab in scan.slabs:
            yield slab
            advance(len(slab))

    return replace(scan, slabs=slabs())


def _lines(scan: Stack, numbers: NDArray[np.int64], fields: Fields | None) -> Array:
    """Line integrals (row, view, col) of some rows."""
    if fields is None or scan.header.unit != "counts":
        return line_integrals(sinograms(_picked(scan, numbers)), fields).collect()
    fields.check(scan.header)
    rows = sinograms(_picked(scan, numbers))
    each = rows.header.replace(shape=(1, *rows.header.shape[1:]))
    pairs = zip(rows.blocks(1), numbers.tolist(), strict=True)
    return np.concatenate(
        [line_integrals(Stack.of(row, each), fields.of_rows(at, at + 1)).collect() for row, at in pairs]
    )


def _picked(scan: Stack, numbers: NDArray[np.int64]) -> Stack:
    """The scan with only some detector rows, held, in the order of its axes."""
    header = scan.header
    along = header.axes.index("row")
    held, at = [], 0
    for slab in scan.slabs:
        mine = numbers if along else numbers[(numbers >= at) & (numbers < at + len(slab))] - at
        held.append(slab[:, mine].copy() if along else slab[mine])
        at += len(slab)
    if at != header.shape[0]:
        raise DataError(f"{counted(at, 'slice')} arrived, {counted(header.shape[0], 'was', 'were')} announced")
    rows = np.concatenate(held)
    return Stack.of(rows, header.replace(shape=rows.shape, geometry=None))


def _strongest(lines: Array) -> NDArray[np.int64]:
    """The row with the most edges of each part of the height."""
    strength = axis.edges(lines)
    parts = np.array_split(np.arange(len(lines)), min(KEPT, len(lines)))
    return np.array([part[strength[part].argmax()] for part in parts])
