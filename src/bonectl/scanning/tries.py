"""One slice reconstructed with the rotation axis at several columns, scored: for the eye, and in numbers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from bonectl.core import progress
from bonectl.core.geometry import Geometry
from bonectl.core.header import VOLUME, Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.scanning import axis, opposite_axis, opposite_rays, sharpness
from bonectl.scanning.on_device import OnDevice
from bonectl.scanning.reconstruction import Plan
from bonectl.stacks.crop import cropped

SCHEMA = "bonectl.try/1"
COLUMNS = ("centre", "score", "best")
# Columns that are tried around the automatic centre: this far on either side, this far apart.
REACH, STEP = 3.0, 0.5
# Every try is a slice that is held.
MOST = 200
BLUR = "mean magnitude of the gradient of a slice from half a turn [1/cm per voxel]; least is best"
MISMATCH = "squared difference of rays and the same rays measured from the other side, as a share; least is best"

Score = Callable[[float], float]


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of each column.

    Parameters
    ----------
    header : Header
        Of the tries as a stack.
    tries : (n, y, x) float32 array
        The slice, once for each column, in the unit of the header.
    centres, scores : tuple of float
        Column of the rotation axis, and its score.
    score : str
        What a score is.
    index : int
        The slice.
    method : str
        What made it.
    mirrored : float, optional
        Column about which opposite views mirror each other, where a parallel beam has such views.
    """

    header: Header
    tries: Array
    centres: tuple[float, ...]
    scores: tuple[float, ...]
    score: str
    index: int
    method: str
    mirrored: float | None = None

    @property
    def best(self) -> int:
        """Number of the try with the least score; the middle one where several are equal."""
        equal = np.flatnonzero(np.array(self.scores) == min(self.scores))
        return int(equal[len(equal) // 2])

    @property
    def between(self) -> float:
        """Column of the least score by the parabola through the best and its neighbours; the best at an end."""
        if not 0 < self.best < len(self.centres) - 1:
            return self.centres[self.best]
        return opposite_axis.lowest(np.array(self.centres), np.array(self.scores))

    @property
    def disagrees(self) -> bool:
        """Whether opposite views put the axis more than a column from the least score."""
        return self.mirrored is not None and abs(self.mirrored - self.between) > axis.DISAGREE

    def stack(self) -> Stack:
        """The tries as a stack along z, in the order of `centres`."""
        return Stack.of(self.tries, self.header)

    def tsv(self) -> str:
        """A line for each column, under one of names: centre, score, and 1 for the best."""
        lines = [COLUMNS]
        for i, (column, score) in enumerate(zip(self.centres, self.scores, strict=True)):
            lines.append((repr(column), repr(score), str(int(i == self.best))))
        return "".join("\t".join(line) + "\n" for line in lines)

    def json(self) -> str:
        """The same as JSON text, with what a score is."""
        value: dict[str, Any] = {
            "schema": SCHEMA,
            "slice": self.index,
            "method": self.method,
            "score": self.score,
            "best": self.centres[self.best],
            "between": self.between,
            "mirrored": self.mirrored,
            "tries": [{"centre": c, "score": s} for c, s in zip(self.centres, self.scores, strict=True)],
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def try_columns(scan: Stack, plan: Plan, *, centres: Sequence[float] | None = None, index: int | None = None) -> Tried:
    """Reconstruct one slice with the rotation axis at several columns.

    Of parallel and fan beams only the slice's own row is held; a cone beam is collected.

    Parameters
    ----------
    scan : Stack
    plan : Plan
        What is varied: each try is the plan of the slice with another axis.
    centres : sequence of float, optional
        Columns to try, evenly spaced; when not given, `REACH` to either side of the one that
        `bonectl.scanning.axis.found_centre` finds.
    index : int, optional
        The slice, from 0; the middle one when not given.

    Raises
    ------
    UsageError
        When there is no such slice, a column is not on the detector, or there are more than `MOST`.
    DataError
        When values are not finite.
    """
    geometry = plan.geometry
    index = geometry.volume_shape[0] // 2 if index is None else index
    if not 0 <= index < geometry.volume_shape[0]:
        raise UsageError(f"there is no slice {index}; the volume has {geometry.volume_shape[0]}, counted from 0")
    if centres is not None:
        _check_columns(centres, geometry)
    else:
        axis.check(geometry)
    scan, plan = _needed(scan, plan, index)
    rows = plan.sinograms(scan)
    lines = rows.collect()
    columns = _around(plan.geometry, lines) if centres is None else tuple(float(column) for column in centres)
    judge, meaning = _judge(plan.geometry, lines)
    number = _number(plan.geometry, index)
    sliced = replace(plan, geometry=_sliced(plan.geometry, index))
    tries, scores = [], []
    with progress.task("try", len(columns), "column") as advance:
        for column in columns:
            tried = replace(sliced, geometry=sliced.geometry.replace(centre=column))
            tries.append(_slice(tried, lines, number))
            if not np.isfinite(tries[-1]).all():
                raise DataError(f"slice {index} is not finite; the line integrals are too large")
            scores.append(judge(column))
            advance(1)
    header = rows.header.replace(
        shape=(len(columns), geometry.size, geometry.size),
        axes=VOLUME,
        spacing=(None, geometry.voxel, geometry.voxel),
        unit=plan.request.unit,
        geometry=None,
        calibration=plan.calibration,
        answers={},
    )
    mirrored = _mirrored(plan.geometry, lines)
    return Tried(header, np.stack(tries), columns, tuple(scores), meaning, index, str(plan.method), mirrored)


def spread(first: float, last: float, step: float) -> tuple[float, ...]:
    """The columns first, first + step, ... up to last.

    Raises
    ------
    UsageError
        When they are not finite, the step is not positive, or there are none or more than `MOST`.
    """
    if not (isfinite(first) and isfinite(last) and isfinite(step) and step > 0 and first <= last):
        raise UsageError(f"columns from {first:g} to {last:g} by {step:g}; give FROM <= TO and a STEP above 0")
    count = int((last - first) / step * (1 + 1e-12)) + 1
    if count > MOST:
        raise UsageError(f"{count} columns to try; at most {MOST} are held at a time: give a larger step")
    return tuple(round(first + i * step, 9) for i in range(count))


def _check_columns(centres: Sequence[float], geometry: Geometry) -> None:
    if not 1 <= len(centres) <= MOST:
        raise UsageError(f"{len(centres)} columns to try; give 1 to {MOST}")
    for column in centres:
        if not -0.5 < column < geometry.columns - 0.5:
            raise UsageError(
                f"a try has the rotation axis at column {column:g}, outside the {geometry.columns} columns"
            )


def _needed(scan: Stack, plan: Plan, index: int) -> tuple[Stack, Plan]:
    """Scan and plan of the one row that a slice takes; all of a cone beam."""
    fields, geometry = plan.request.fields, plan.geometry
    if fields is not None and scan.header.unit == "counts":
        fields.check(scan.header)
    if geometry.kind == "cone":
        return scan, plan
    row, every = slice(index, index + 1), slice(None)
    cut = {"row": row, "view": every, "col": every}
    a, b, c = scan.header.axes
    request = replace(plan.request, fields=fields and fields.of_rows(index, index + 1))
    return cropped(scan, (cut[a], cut[b], cut[c])), replace(plan, geometry=geometry.replace(rows=1), request=request)


def _around(geometry: Geometry, lines: Array) -> tuple[float, ...]:
    """Columns around the automatic centre that lie on the detector."""
    if geometry.kind == "cone":
        orbit = opposite_rays.orbit_rows(geometry)
        lines = lines[orbit.start : orbit.stop]
    found = round(axis.found_centre(geometry, lines).column / STEP) * STEP
    near = spread(found - REACH, found + REACH, STEP)
    return tuple(column for column in near if -0.5 < column < geometry.columns - 0.5)


def _sliced(geometry: Geometry, index: int) -> Geometry:
    """The shortest part of a cone's grid around its middle that has slice `index`; of other beams, the one slice."""
    if geometry.kind != "cone":
        return geometry
    return geometry.replace(slices=geometry.volume_shape[0] - 2 * _beside(geometry, index))


def _number(geometry: Geometry, index: int) -> int:
    """The number of slice `index` in that part."""
    return index - _beside(geometry, index) if geometry.kind == "cone" else 0


def _beside(geometry: Geometry, index: int) -> int:
    """Slices that may be left out on either side."""
    return min(index, geometry.volume_shape[0] - 1 - index)


def _slice(plan: Plan, lines: Array, number: int) -> Array:
    volume = OnDevice(plan.where, divisible=False)(partial(plan.run, plan.projector()), lines)
    one = volume[number]
    return np.array(plan.density.density(one) if plan.density else one, dtype=np.float32)


def _judge(geometry: Geometry, lines: Array) -> tuple[Score, str]:
    """How a column is scored, and what the score is."""
    if geometry.kind == "cone":
        orbit = opposite_rays.orbit_rows(geometry)
        lines = lines[orbit.start : orbit.stop].mean(axis=0, keepdims=True, dtype=np.float64)
    rays = opposite_rays.rays_of(geometry, lines)
    if rays is not None and (geometry.kind != "parallel" or opposite_rays.repeats(geometry)):
        return rays.mismatch, MISMATCH
    half, views = sharpness.half_turn(geometry, lines)
    return lambda column: sharpness.blur(half, views, column), BLUR


def _mirrored(geometry: Geometry, lines: Array) -> float | None:
    if geometry.kind != "parallel" or not lines.any():
        return None
    found = opposite_axis.axis_of(geometry, lines)
    return found.column if found is not None and found.sd <= axis.VAGUE else None
