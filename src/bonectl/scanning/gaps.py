"""Values that are missing, taken from their neighbours in the same slice."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress
from bonectl.core.bridging import bridged, sides
from bonectl.core.counted import counted
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError


def filled(stack: Stack, name: str) -> Stack:
    """The same stack with neighbours in the slice for NaN and infinite values; their number is noted.

    Along each of the two axes of a slice (view and column of a sinogram, row and column of a projection, y and x of
    a volume) a line is drawn between the nearest values on either side, and the two lines are averaged, weighted by
    the inverse square of how long their gaps are. At an end the nearest value goes on, with the weight of a gap
    twice as long.

    Raises
    ------
    DataError
        From the slabs, for a slice without one finite value.
    """
    if stack.header.dtype[1] != "f":
        return stack

    def slabs() -> Iterator[Array]:
        start = count = 0
        for slab in stack.slabs:
            bad = ~np.isfinite(slab)
            if bad.any():
                count += int(np.count_nonzero(bad))
                slab = slab.copy()
                for index in np.flatnonzero(bad.any(axis=(1, 2))):
                    if bad[index].all():
                        raise DataError(f"{name}: slice {start + index} has no value that is finite; leave it out")
                    slab[index] = np.where(bad[index], _completed(slab[index]), slab[index])
            start += len(slab)
            yield slab
        if count:
            what = counted(count, "value that is NaN or infinite was", "values that are NaN or infinite were")
            progress.note(f"{name}: {what} taken from the neighbours in the slice")

    return Stack(stack.header, slabs(), finite=True)


def _completed(plane: Array) -> Array:
    """A plane with its gaps filled; where a whole row and a whole column cross, from what was filled first."""
    done = plane.astype(np.float64)
    while (bad := ~np.isfinite(done)).any():
        total, weight = np.zeros(done.shape), np.zeros(done.shape)
        for values, gone, sums, weights in ((done, bad, total, weight), (done.T, bad.T, total.T, weight.T)):
            for line in np.flatnonzero(gone.any(axis=1) & ~gone.all(axis=1)):
                missing = gone[line]
                heavy = 1.0 / _gap(missing) ** 2
                sums[line, missing] += heavy * bridged(np.where(missing, 0.0, values[line]), missing)[missing]
                weights[line, missing] += heavy
        known = weight > 0
        done[known] = total[known] / weight[known]
    return done


def _gap(gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far apart the values on either side of each missing one are; twice the distance where there is one only."""
    places, left, right = sides(gone)
    width = right - left
    return np.where(width > 0, width, 2 * np.abs(places - left)).astype(np.float64)
