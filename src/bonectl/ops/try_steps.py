"""One slice reconstructed after preparations whose one knob is varied: for the eye, and how much each takes off."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from bonectl.core import kit, progress
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning import preparing
from bonectl.scanning.preparing import Beam

# Every try is a slice that is held.
MOST = 100
COLUMNS = ("value", "changed")

Opened = Callable[[], AbstractContextManager[Stack]]


@dataclass(frozen=True, eq=False)
class TriedSteps:
    """What came of each value of a knob.

    Parameters
    ----------
    header : Header
        Of the tries as a stack.
    tries : (n, y, x) float32 array
        The slice, once for each value.
    without : (y, x) float32 array
        The slice without the part.
    part, knob : str
    values : tuple of str
    index : int
        The slice.
    """

    header: Header
    tries: Array
    without: Array
    part: str
    knob: str
    values: tuple[str, ...]
    index: int

    @property
    def changed(self) -> tuple[float, ...]:
        """Root mean square of what the part took off, within the circle that all views see [unit of the slice]."""
        place = np.arange(len(self.without)) - (len(self.without) - 1) / 2
        seen = np.hypot(place[:, None], place) < len(self.without) / 2
        return tuple(float(np.sqrt(((one - self.without)[seen] ** 2).mean())) for one in self.tries)

    def stack(self) -> Stack:
        """The tries as a stack along z, in the order of the values."""
        return Stack.of(self.tries, self.header)

    def tsv(self) -> str:
        """A line for each value, under one of names."""
        lines = [COLUMNS, *((value, f"{off:.6g}") for value, off in zip(self.values, self.changed, strict=True))]
        return "".join("\t".join(line) + "\n" for line in lines)


def varied(specs: Sequence[Spec], part: str, knob: str, values: Sequence[str | float | int]) -> list[tuple[Spec, ...]]:
    """The steps once for each value; a part that is not among them comes last.

    Raises
    ------
    UsageError
        When there is no such part or knob, the part stands there twice, or there are no or too many values.
    """
    if not 1 <= len(values) <= MOST:
        raise UsageError(f"{len(values)} tries; give 1 to {MOST}")
    there = [number for number, spec in enumerate(specs) if spec.name == part]
    if len(there) > 1:
        raise UsageError(f"{part} stands in the steps {len(there)} times; --try varies one")
    own = list(specs) if there else [*specs, Spec(part)]
    place = there[0] if there else len(specs)
    made = [(*own[:place], Spec(part, {**own[place].knobs, knob: value}), *own[place + 1 :]) for value in values]
    for steps in made:
        kit.check(preparing.KIT, steps)
    return made


def try_steps(
    opened: Opened, steps: Sequence[tuple[Spec, ...]], part: str, knob: str, beam: Beam, index: int | None = None
) -> TriedSteps:
    """Reconstruct one slice after each of several lists of steps.

    Only the slice's own row is read where all steps work on sinograms, and the rows around it where bad pixels are
    filled; where others work on projections, all of the scan is prepared for each try.

    Parameters
    ----------
    opened : callable
        Opens the scan, as often as it is wanted.
    steps : sequence of tuples of Spec
        See `varied`.
    part, knob : str
        What differs.
    beam : Beam
    index : int, optional
        The slice, from 0; the middle one when not given.

    Raises
    ------
    UsageError
        When there is no such slice, a slice needs many rows, or the scan has no geometry; as `preparing.prepared`.
    """
    with opened() as scan:
        header = scan.header
    geometry = header.geometry
    if geometry is None:
        raise UsageError("a slice needs angles and pitch; give --angles and --voxel-size")
    if geometry.kind == "cone":
        raise UsageError("--try is for a parallel or a fan beam: a slice of a cone beam needs many rows")
    rows = geometry.rows
    index = rows // 2 if index is None else index
    if not 0 <= index < rows:
        raise UsageError(f"there is no slice {index}; the scan has {rows} rows, counted from 0")
    low, high = _needed(steps[0], index, rows)
    tries = []
    left_out = tuple(spec for spec in steps[0] if spec.name != part)
    with progress.task("try", len(steps) + 1, "try") as advance:
        for each in (left_out, *steps):
            with opened() as scan, progress.silence():
                one = preparing.of_rows(scan, low, high)
                if each:
                    own = preparing.beam_of_rows(beam, low, high)
                    one = preparing.prepared(one, each, beam=own, order="sinogram", rows=(low, high))
                volume = reconstruct(preparing.of_rows(one, index - low, index - low + 1))
                tries.append(volume.collect()[0])
            advance(1)
    held = np.stack(tries)
    told = replace(volume.header, shape=(len(steps), *held.shape[1:]), answers={})
    values = tuple(str(next(spec for spec in each if spec.name == part).knobs[knob]) for each in steps)
    return TriedSteps(told, held[1:], held[0], part, knob, values, index)


def _needed(steps: Sequence[Spec], index: int, rows: int) -> tuple[int, int]:
    """The first of the rows that a slice's own depends on, and the one behind the last."""
    reach = [kit.fact(preparing.KIT, spec.name, "BESIDE") for spec in steps]
    if None in reach:
        return 0, rows
    beside = max(reach, default=0)
    return max(0, index - beside), min(rows, index + beside + 1)
