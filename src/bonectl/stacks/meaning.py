"""Say what a plain file is, where it does not tell: unit, voxel size, axes. No value changes."""

from dataclasses import replace

from bonectl.core import progress
from bonectl.core.header import PROJECTIONS, SINOGRAMS, VOLUME
from bonectl.core.stack import Stack
from bonectl.errors import UsageError

LAYOUTS = {"volume": VOLUME, "sinogram": SINOGRAMS, "projection": PROJECTIONS}


def with_unit(stack: Stack, unit: str) -> Stack:
    """Say what the values of a plain file are.

    Raises
    ------
    UsageError
        When the stack has another unit already, or there is no such unit.
    """
    there = stack.header.unit
    if there not in ("grey", unit):
        raise UsageError(f"the input is in {there} already; it cannot be declared {unit}")
    return replace(stack, header=stack.header.replace(unit=unit))


def with_voxel_size(stack: Stack, voxel: float) -> Stack:
    """Say what the voxel size of a volume, or the detector pitch of a scan, is [mm].

    Raises
    ------
    UsageError
        When it is no positive length, or a scan's geometry says otherwise.
    """
    header = stack.header
    if header.geometry is not None and not _near(header.geometry.pitch, voxel):
        raise UsageError(f"the scan's geometry has a pitch of {header.geometry.pitch:g} mm, not {voxel:g} mm")
    high = voxel if header.geometry is None else header.geometry.row_pitch
    steps = {"view": None, "row": high}
    changed = header.replace(spacing=tuple(steps.get(axis, voxel) for axis in header.axes))
    known = [step for step in header.spacing if step is not None]
    if header.geometry is None and any(not _near(step, voxel) for step in known):
        sides = " × ".join(f"{step:g}" for step in known)
        progress.note(f"the input says {sides} mm; {voxel:g} mm is taken, as given")
    return replace(stack, header=changed)


def with_axes(stack: Stack, layout: str) -> Stack:
    """Say whether a plain file is a volume, or a scan by sinograms or projections.

    Every axis keeps its step; views have none, and where one is unknown it is that of the last axis.

    Raises
    ------
    UsageError
        When the stack carries a geometry with other axes, or there is no such layout.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    header, axes = stack.header, LAYOUTS[layout]
    if header.geometry is not None and header.axes != axes:
        raise UsageError(f"the input has the axes {', '.join(header.axes)} already; --order turns them")
    usual = next((step for step in reversed(header.spacing) if step is not None), None)
    spacing = tuple(None if axis == "view" else step or usual for axis, step in zip(axes, header.spacing, strict=True))
    return replace(stack, header=header.replace(axes=axes, spacing=spacing))


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-3 * abs(a)
