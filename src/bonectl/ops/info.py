"""What a stack says of itself, and, when asked, what its values are."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from bonectl.core import kit, progress
from bonectl.core.header import Header
from bonectl.core.scan import Frames, Scan
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack

SCHEMA = "bonectl.info/1"
"""Name and version of the JSON that `facts` gives; a change that breaks readers raises the number."""

SCAN_SCHEMA = "bonectl.scan/1"
"""Of the JSON that `scan_facts` gives."""

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


def scan_facts(scan: Scan) -> dict[str, Any]:
    """What a scanner's files tell, as JSON values under `SCAN_SCHEMA`: a person's check before a night's run."""
    told = facts(scan.header, scan.name)
    kept = ("name", "shape", "axes", "dtype", "unit", "spacing_mm", "bytes", "geometry", "calibration", "acquisition")
    return {
        "schema": SCAN_SCHEMA,
        "kind": scan.kind,
        "title": kit.fact("scanners", scan.kind, "TITLE"),
        **{key: told[key] for key in kept},
        "views": None if scan.is_volume else _views(scan),
        "flats": _frames(scan.flats, scan),
        "darks": _frames(scan.darks, scan),
        "centre": scan.centre if scan.header.geometry is None else scan.header.geometry.centre,
        "files": len(scan.files),
        "facts": dict(scan.facts),
        "problems": list(scan.problems),
        "notes": list(scan.notes),
    }


def _views(scan: Scan) -> dict[str, Any]:
    """How many views there are, and from which angle to which; degrees are null where no file says them."""
    angles = scan.angles if scan.header.geometry is None else scan.header.geometry.angles
    told: dict[str, Any] = {"count": scan.header.shape[scan.header.axes.index("view")]}
    if angles is None:
        return told | {"first": None, "last": None, "step": None}
    return told | {
        "first": float(angles.degrees[0]),
        "last": float(angles.degrees[-1]),
        "step": angles.step if angles.listed is None else None,
    }


def _frames(frames: Frames | None, scan: Scan) -> dict[str, int | None] | None:
    """How many there are, and how many of them were read before and after the views, where that is known."""
    if frames is None:
        return None
    views = scan.header.shape[0]
    return {
        "count": frames.count,
        "before": sum(at <= 0 for at in frames.at) if frames.at else None,
        "after": sum(at >= views for at in frames.at) if frames.at else None,
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
