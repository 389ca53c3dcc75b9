"""From a scan to a volume, slab by slab."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import asin
from math import degrees as degrees_of
from typing import Any

import numpy as np

from bonectl.core import progress
from bonectl.core.ahead import ahead
from bonectl.core.angles import SAME_DIRECTION, looks_like_radians
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.methods._quadrature import missing_wedge
from bonectl.scanning import memory_need
from bonectl.scanning.field_of_view import FieldOfView
from bonectl.scanning.lines import sinograms
from bonectl.scanning.on_device import OnDevice
from bonectl.scanning.reconstruction import Plan, ReconstructRequest, planned
from bonectl.stacks.replay import twice


def reconstruct(
    scan: Stack, request: ReconstructRequest | None = None, *, look: bool = False, **settings: Any
) -> Stack:
    """Reconstruct a scan.

    Slices are worked on in blocks, as large as `bonectl.scanning.memory_need` finds that memory allows; any block
    gives the same bits. Memory does not grow with the number of slices, except for projections (view, row, col) and
    for cone beams, whose voxels need all rows; these are collected. So are scans whose axis is looked for.

    Parameters
    ----------
    scan : Stack
        Counts, transmission or line integral.
    request : ReconstructRequest, optional
        What the volume is made by; all defaults when not given.
    look : bool
        Whether to look at the first rows (all rows of a cone beam) now, so that the header says whether the scan is
        of a region of interest. A scan that is cut off only farther on is noted while streaming, not in the header.
    **settings
        Fields of the request: ``reconstruct(scan, method="fbp(window=hann)", unit="mgHA/cm3", centre="auto")``.

    Returns
    -------
    Stack
        (z, y, x), float32.

    Raises
    ------
    UsageError, DataError, UnavailableError
        See `ReconstructRequest` and `bonectl.scanning.reconstruction.planned`; while streaming, DataError for values
        that are not finite.
    MemoryShortageError
        When the fewest slices that can be worked on would not fit.
    """
    plan = planned(scan.header, replace(request or ReconstructRequest(), **settings))
    if plan.is_axis_sought:
        first, scan = twice(sinograms(scan, limit=plan.limit), limit=plan.limit)
        plan = plan.looked(first)
    return run(plan, scan, look=look)


def run(plan: Plan, scan: Stack, *, look: bool = False) -> Stack:
    """Do what a plan says with the scan it was made for; `look` and errors as `reconstruct`."""
    geometry, block = plan.geometry, plan.block
    rows = plan.sinograms(scan, min(block, geometry.rows))
    if look:
        rows = _looked_at(rows, geometry, geometry.rows if geometry.kind == "cone" else memory_need.FEWEST)
        plan = replace(plan, lines=rows.header)
    worker = OnDevice(plan.where, divisible=geometry.kind != "cone")
    return Stack(plan.header, _slabs(rows, plan, block, worker))


def _looked_at(rows: Stack, geometry: Geometry, count: int) -> Stack:
    """The same rows; their header says whether the object reaches beyond the detector in any of the first `count`."""
    held: list[Array] = []
    cut: list[bool] = []
    view = FieldOfView(rows.header.shape[0])
    while len(cut) < count and (slab := next(rows.slabs, None)) is not None:
        held.append(slab)
        cut += view.look(geometry, slab)
    header = rows.header.replace(region_of_interest=rows.header.region_of_interest or any(cut[:count]))
    return Stack(header, _again(held, rows.slabs))


def _again(held: list[Array], slabs: Iterator[Array]) -> Iterator[Array]:
    """What is held, which is let go as it leaves, and then the rest."""
    while held:
        yield held.pop(0)
    yield from slabs


def _slabs(rows: Stack, plan: Plan, size: int, worker: OnDevice) -> Iterator[Array]:
    total, density, A = rows.header.shape[0], plan.density, plan.projector()
    run = partial(plan.run, A)
    view = FieldOfView(total)
    with progress.task("reconstruct", total) as advance:
        for index, block in enumerate(ahead(rows.blocks(size))):
            if index == 0:
                _warn(plan.geometry, closed=plan.is_closed)
            view.look(A.geometry, block)
            volume = worker(run, block)
            yield np.asarray(density.density(volume) if density else volume, dtype=np.float32)
            advance(len(block))
            del block, volume  # or they would be held while the next block arrives
    view.tell(A.geometry)


def _warn(geometry: Geometry, *, closed: bool) -> None:
    """What the views and the detector do not show; a closed form loses density with them."""
    _warn_of_slices(geometry)
    degrees = geometry.angles.degrees
    turned = np.mod(degrees - degrees[0] + 90.0, 180.0) - 90.0
    if np.abs(turned).max() <= SAME_DIRECTION:
        progress.note("all views see the object from one direction: nothing tells what lies behind what")
    elif looks_like_radians(degrees):
        progress.note(
            f"{degrees.size} angles span {np.ptp(degrees):.4g} degrees: if these are radians, multiply them by 57.29578"
        )
    elif geometry.kind != "parallel":
        _warn_of_arc(geometry, closed=closed)
    elif (wedge := missing_wedge(degrees)) > 1:
        lost = f", and with them {wedge / 180:.0%} of the density; tv or sirt keep it" if closed else ""
        progress.note(f"no view within {wedge:.0f} of 180 degrees: edges along the missing rays are lost{lost}")


def _warn_of_slices(geometry: Geometry) -> None:
    """A cone's rows, seen from the source, must reach the slices; those that no row sees are empty."""
    if geometry.kind != "cone":
        return
    assert geometry.sod is not None
    assert geometry.sdd is not None
    slices = geometry.volume_shape[0]
    heights = (np.arange(slices) - (slices - 1) / 2) * geometry.voxel * geometry.sdd / geometry.sod
    places = geometry.principal_row + heights / geometry.row_pitch
    seen = np.flatnonzero((places > -1) & (places < geometry.rows))
    if len(seen) == slices:
        return
    which = f"{seen[0]} to {seen[-1]}" if len(seen) else "none"
    progress.note(
        f"{counted(slices - len(seen), f'of {slices} slices lies', f'of {slices} slices lie')} beyond the detector's "
        f"rows and are empty; seen are {which}: convert --crop cuts them out"
    )


def _warn_of_arc(geometry: Geometry, *, closed: bool) -> None:
    """A fan must turn by 180 degrees and its own angle for every ray to be measured once."""
    assert geometry.sod is not None
    arc = 360.0 - missing_wedge(geometry.angles.degrees, 360.0)
    needed = 180.0 + 2 * degrees_of(asin(min(1.0, geometry.size * geometry.voxel / 2 / geometry.sod)))
    if arc < needed - 1:
        lost = ", and density with them; tv or sirt keep it" if closed else ""
        progress.note(
            f"views cover {arc:.0f} degrees, this beam needs {needed:.0f}: edges along missing rays are lost{lost}"
        )
