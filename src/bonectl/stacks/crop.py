"""A part of a stack: its header follows, its values are those that were."""

from collections.abc import Iterator

import numpy as np

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.stacks import placing

Ranges = tuple[slice, slice, slice]
"""What is kept along each axis, by Python's rules."""


def cropped(stack: Stack, kept: Ranges) -> Stack:
    """A part of a stack, by Python's slice rules along each axis; steps keep every n-th slice.

    A scan's geometry follows: fewer rows, fewer views, fewer columns with the rotation axis moved along.
    A phantom's known answers are left out, because they were those of the whole.

    Parameters
    ----------
    stack : Stack
    kept : tuple of 3 slices
        Along the axes as they are stored.

    Raises
    ------
    UsageError
        When nothing is left, a step is not positive, or detector pixels would be skipped.
    """
    header = stack.header
    if any(part.step == 0 for part in kept):
        raise UsageError("--crop has a step of 0; give 1 or more")
    picked = [range(length)[part] for length, part in zip(header.shape, kept, strict=True)]
    for axis, part, length, chosen in zip(header.axes, kept, header.shape, picked, strict=True):
        if not chosen or chosen.step < 1:
            raise UsageError(f"--crop along {axis} leaves nothing of its {length}; give a range such as 0:{length}")
        if chosen.step > 1 and header.is_scan and axis != "view":
            raise UsageError(f"--crop would skip {axis}s of the detector (step {part.step}); use --bin")
    shape = tuple(len(chosen) for chosen in picked)
    spacing = tuple(
        None if step is None else step * chosen.step for step, chosen in zip(header.spacing, picked, strict=True)
    )
    geometry = header.geometry and _cropped_scan(header.geometry, dict(zip(header.axes, picked, strict=True)))
    facts = placing.moved(header, picked)
    changed = header.replace(shape=shape, spacing=spacing, geometry=geometry, answers={}, acquisition=facts)
    return Stack(changed, _picked(stack, picked))


def _cropped_scan(geometry: Geometry, picked: dict[str, range]) -> Geometry:
    row, view, col = picked["row"], picked["view"], picked["col"]
    chosen = geometry[view.start : view.stop : view.step]
    if geometry.kind == "cone" and len(row) < geometry.rows:  # the orbit's plane stays where it was
        chosen = chosen.replace(row_centre=geometry.principal_row - row.start, slices=geometry.volume_shape[0])
    return chosen.replace(rows=len(row), columns=len(col), centre=geometry.centre - col.start)


def _picked(stack: Stack, picked: list[range]) -> Iterator[Array]:
    first, middle, last = (slice(p.start, p.stop, p.step) for p in picked)
    start = 0
    for slab in stack.slabs:  # all of them, also after the last one wanted: the input may fail at its end
        inside = range(start, start + len(slab))
        begin = max(0, -(-(start - first.start) // first.step)) * first.step + first.start
        chosen = (
            slab[begin - start : max(0, first.stop - start) : first.step, middle, last] if begin in inside else None
        )
        if chosen is not None and len(chosen):
            yield np.ascontiguousarray(chosen)
        start += len(slab)
