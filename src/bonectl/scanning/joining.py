"""The rotation axis of a scan that a step joins about it: looked for in what the steps before give."""

from collections.abc import Sequence

from bonectl.core import kit, progress
from bonectl.core.geometry import Geometry
from bonectl.core.preparation import Setting
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.scanning import overview
from bonectl.scanning.axis import VAGUE, Axis
from bonectl.scanning.opposite_axis import LITTLE_OVERLAP
from bonectl.scanning.preparing import KIT, Beam, check_units, prepared


def moves(specs: Sequence[Spec]) -> bool:
    """Whether a step joins a scan about its axis."""
    return any(kit.fact(KIT, spec.name, "MOVES") for spec in specs)


def unsettled(specs: Sequence[Spec]) -> int | None:
    """Number of the first step that joins a scan about its axis and is not told where that is; None without one."""
    for number, spec in enumerate(specs):
        if moves([spec]) and spec.knobs.get("centre") is None:
            return number
    return None


def told(specs: Sequence[Spec], column: float) -> tuple[Spec, ...]:
    """The steps, with the axis' column in those that were not told where it is."""
    return tuple(
        Spec(spec.name, {**spec.knobs, "centre": column}) if unsettled([spec]) == 0 else spec for spec in specs
    )


def estimated(geometry: Geometry) -> Axis:
    """For an estimate, in place of a walk over the scan: the axis that makes the result as wide as a search allows."""
    column = round(LITTLE_OVERLAP * geometry.columns / 2, 3)
    progress.note("the axis is not looked for now: sizes are the greatest that it can make")
    return Axis(column, geometry.columns / 2)


def axis_for(
    scan: Stack, specs: Sequence[Spec], geometry: Geometry, *, beam: Beam | None = None, limit: int | None = None
) -> Axis:
    """The rotation axis, found in a scan after the steps before the one that joins it, or after all.

    Parameters
    ----------
    scan : Stack
        Walked to its end.
    specs : sequence of Spec
    geometry : Geometry
        Of the scan; its centre is not used.
    beam : Beam, optional
        Its flats and darks.
    limit : int, optional
        Bytes that the process may hold.

    Raises
    ------
    UsageError
        When a step does not read what it is given, and as `bonectl.scanning.overview.axis_of`.
    DataError
        When no row holds an object, or a step joins the scan and the axis is too uncertain for that.
    """
    check_units(specs, scan.header.unit)
    number = unsettled(specs)
    before = [spec for spec in specs[:number] if not kit.fact(KIT, spec.name, "ASKS")]
    with progress.silence():  # what is to be said of readings is said when they are prepared
        ready = prepared(scan, before, beam=beam, limit=limit)
    if number is not None:  # or it refuses when the scan was walked over
        kit.bind(KIT, specs[number])(Setting(header=ready.header.replace(geometry=geometry), read=_nothing))
    found = overview.axis_of(ready, geometry, limit=limit)
    if number is not None:
        _check(specs[number].name, found, geometry)
    return found


def _check(part: str, found: Axis, geometry: Geometry) -> None:
    """Refuse to join about an axis that is not known; else say what both sides of it saw."""
    if found.sd > VAGUE:
        raise DataError(
            f"{part} joins the scan about its axis, and column {found.column:.2f} ± {found.sd:.2f} is too uncertain "
            "for that; give --centre COLUMN"
        )
    both = 2 * min(found.column, geometry.columns - 1 - found.column) + 1
    unlike = "" if found.mismatch is None else f", and differ there by {found.mismatch:.2g} (squares, as a share)"
    progress.note(f"{part}: {both:.0f} columns saw both sides of the axis{unlike}")


def _nothing(name: str) -> Array:
    raise UsageError(f"{name}: is not read before the axis is known")
