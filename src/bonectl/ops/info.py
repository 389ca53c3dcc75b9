"""What a stack says of itself, and, when asked, what its values are."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack

SCHEMA = "bonectl.info/1"
"""Name and version of the JSON that `facts` gives; a change that breaks readers raises the number."""

# Values that are summed at a time.
STRIP = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """Summary of a stack's finite values.

    Parameters
    ----------
    minimum, maximum, mean, sd : float, optional
        In the stack's unit; sd is the population standard deviation. None when no value is finite.
    finite, not_finite, zeros : int
        Number of finite values, of NaN and infinite ones, and of zeros.
    """

    minimum: float | None
    maximum: float | None
    mean: float | None
    sd: float | None
    finite: int
    not_finite: int
    zeros: int


def facts(header: Header, name: str) -> dict[str, Any]:
    """Everything a header tells, as JSON values under `SCHEMA`."""
    told = header.to_json()
    return {
        "schema": SCHEMA,
        "name": name,
        "shape": list(header.shape),
        "axes": told["axes"],
        "dtype": np.dtype(header.dtype).name,
        "unit": header.unit,
        "spacing_mm": told["spacing_mm"],
        "bytes": header.total_bytes,
        "geometry": told.get("geometry"),
        "calibration": told.get("calibration"),
        "acquisition": dict(header.acquisition),
        "answers": dict(header.answers),
        "region_of_interest": header.region_of_interest,
        "scaling": told.get("scaling"),
        "history": told.get("history", []),
        "forgotten": told.get("forgotten"),
    }


def statistics(stack: Stack) -> Statistics:
    """Minimum, maximum, mean and standard deviation of the finite values; one pass, slab by slab.

    Strips of slices are summed one by one in float64 about the first finite value, so that neither the cut into
    slabs nor a large offset changes a digit that is printed, and a large slice is held once, in its own type.
    """
    low, high, finite, zeros, size = float("inf"), float("-inf"), 0, 0, 0
    shift: float | None = None
    total = square = 0.0
    for part in _parts(stack):
        values = part[np.isfinite(part)].astype(np.float64)
        size += part.size
        finite += values.size
        zeros += int(np.count_nonzero(values == 0))
        if values.size:
            shift = float(values[0]) if shift is None else shift
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            values -= shift
            total += float(values.sum())
            square += float(np.square(values, out=values).sum())
    if shift is None:
        return Statistics(None, None, None, None, 0, size, 0)
    mean = total / finite
    return Statistics(low, high, shift + mean, sqrt(max(0.0, square / finite - mean**2)), finite, size - finite, zeros)


def _parts(stack: Stack) -> Iterator[Array]:
    """Strips of each slice, of about `STRIP` values and cut by the length of rows alone."""
    rows = max(1, STRIP // stack.header.shape[2])
    with progress.task("info", stack.header.shape[0]) as advance:
        for plane in stack.blocks(1):
            for start in range(0, plane.shape[1], rows):
                yield plane[:, start : start + rows]
            advance(1)


def with_statistics(told: dict[str, Any], found: Statistics) -> dict[str, Any]:
    """`facts`, and the statistics with them."""
    return told | {"statistics": asdict(found)}
