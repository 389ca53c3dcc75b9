"""The values of a volume as they are measured: finite, in mineral density where that is known, block by block."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.stacks import screening

# Slices per block while streaming; no number depends on it.
BLOCK = 16


Mask = NDArray[np.bool_]


def mineral(stack: Stack, what: str) -> Stack:
    """Attenuation as mineral density, where the header says how; values that float32 can hold; truth as a mask."""
    if stack.header.unit == "grey" and np.dtype(stack.header.dtype).kind == "b":
        return Stack(stack.header.replace(unit="label"), stack.slabs)
    calibration = stack.header.calibration
    if stack.header.unit != "1/cm" or calibration is None:
        return screening.single(stack, what)
    header = stack.header.replace(unit="mgHA/cm3", dtype="<f8")
    dense = screening.single(stack.map(lambda slab: calibration.density(slab.astype(np.float64)), header), what)
    return dense.map(lambda slab: slab.astype(np.float32), header.replace(dtype="<f4"))


def collected(stack: Stack, what: str) -> Array:
    """The whole volume, refused as by `finite`."""
    with progress.task(f"read {what}", stack.header.shape[0]) as advance:
        return Stack(stack.header, _counted(finite(stack, what), advance)).collect()


def finite(stack: Stack, what: str) -> Iterator[Array]:
    """The blocks of a stack; values that are not finite are refused with their place, and slices that are missing."""
    start = 0
    for block in screening.finite(stack, what).blocks(BLOCK):
        start += len(block)
        if start > stack.header.shape[0]:
            break
        yield block
    if start != stack.header.shape[0]:
        raise DataError(
            f"{what} has {counted(start, 'slice')}, {counted(stack.header.shape[0], 'was', 'were')} announced"
        )


def _counted(slabs: Iterator[Array], advance: progress.Advance) -> Iterator[Array]:
    for slab in slabs:
        yield slab
        advance(len(slab))
