"""From a scan to a volume, slab by slab."""

from collections.abc import Callable, Iterator
from functools import partial
from math import asin
from math import degrees as degrees_of

import numpy as np
import torch
from torch import Tensor

from bonectl.core import kit, memory, progress
from bonectl.core.angles import SAME_DIRECTION, looks_like_radians
from bonectl.core.calibration import Calibration
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import VOLUME
from bonectl.core.slabs import Array
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.learning import device
from bonectl.methods._quadrature import check_arc, missing_wedge
from bonectl.projection import backends
from bonectl.projection.projector import Projector
from bonectl.scanning import memory_need
from bonectl.scanning.air import levelled
from bonectl.scanning.field_of_view import FieldOfView
from bonectl.scanning.lines import Fields, line_integrals, sinograms
from bonectl.scanning.on_device import OnDevice
from bonectl.scanning.request import Method, checked_density, checked_geometry, method_for


def reconstruct(  # noqa: PLR0913 (the scan, and what each option says)
    scan: Stack,
    *,
    method: str | None = None,
    geometry: Geometry | None = None,
    fields: Fields | None = None,
    unit: str = "1/cm",
    calibration: Calibration | None = None,
    air: int = 0,
    max_memory: int | None = None,
    device_name: str = "cpu",
    backend: str = "auto",
    look: bool = False,
) -> Stack:
    """Reconstruct a scan.

    Slices are worked on in blocks, as large as `bonectl.scanning.memory_need` finds that memory allows; any block
    gives the same bits. Memory does not grow with the number of slices, except for projections (view, row, col) and
    for cone beams, whose voxels need all rows; these are collected.

    Parameters
    ----------
    scan : Stack
        Counts, transmission or line integral.
    method : str
        Part of the kit `bonectl.methods`, such as ``fbp(window=hann)``; when not given, ``fbp`` for a parallel beam
        and ``fdk`` for others.
    geometry : Geometry, optional
        Where the rays ran; the header's when not given. `bonectl.scanning.lines.geometry_of` changes single values.
    fields : Fields, optional
        Detector readings without a sample, for counts.
    unit : {"1/cm", "mgHA/cm3"}
        Of the result.
    calibration : Calibration, optional
        Attenuation to mineral density; the header's when not given.
    air : int
        Columns at each end that see only air: what they read is taken off (`bonectl.scanning.air.levelled`). 0:
        nothing is.
    max_memory : int, optional
        Bytes that the process may hold: slices are worked on by as many at a time as fit, which changes no value.
        What is available now when not given.
    device_name : str
        Where methods run, see `bonectl.learning.device.choose`. When a GPU has no memory for as many slices, fewer go
        there at a time.
    backend : str
        Whose projectors they use, see `bonectl.projection.backends.engine`.
    look : bool
        Whether to look at the first rows (all rows of a cone beam) now, so that the header says whether the scan is
        of a region of interest. A scan that is cut off only farther on is noted while streaming, not in the header.

    Returns
    -------
    Stack
        (z, y, x), float32.

    Raises
    ------
    UsageError
        When the stack is a volume or of a unit that has no line integrals, carries no geometry, or density is
        asked for without a calibration; when there is no such method, knob, device or backend, or the views cover too
        little for a closed form.
    DataError
        When scan, geometry and fields differ in size; while streaming: for values that are not finite.
    MemoryShortageError
        When the fewest slices that can be worked on would not fit.
    UnavailableError
        When the device is not there, or the backend does not run on it.
    """
    if method is not None:
        kit.check("methods", [parse(method)])
    calibration = calibration or scan.header.calibration
    limit = max_memory or memory.available()
    rows = line_integrals(sinograms(scan, limit=limit), fields)
    density = checked_density(unit, calibration)
    geometry = checked_geometry(scan, geometry)
    if air:
        rows = levelled(rows, geometry, air)
    name, run = method_for(method, geometry)
    if kit.fact("methods", parse(name).name, "CLOSED"):
        check_arc(geometry)
    worker = OnDevice(device.choose(device_name), divisible=geometry.kind != "cone")
    backends.engine(worker.where, backend)
    block = memory_need.chosen_block(scan.header, geometry, name, limit)
    if look:
        rows = _looked_at(rows, geometry, geometry.rows if geometry.kind == "cone" else memory_need.FEWEST)
    header = rows.header.replace(
        shape=geometry.volume_shape,
        axes=VOLUME,
        spacing=(geometry.voxel if geometry.kind == "cone" else geometry.row_pitch, geometry.voxel, geometry.voxel),
        unit=unit,
        geometry=None,
        calibration=calibration,
        acquisition={**rows.header.acquisition, "views": geometry.views},
        answers=rows.header.answers if _same_extent(geometry, scan.header.geometry) else {},
    )
    A = Projector(geometry, backend=backend)
    warn = partial(_warn, geometry, closed=kit.fact("methods", parse(name).name, "CLOSED"))
    return Stack(header, _slabs(rows, A, block, partial(_worked, worker, run), density, warn))


def _same_extent(geometry: Geometry, scanned: Geometry | None) -> bool:
    """Whether a volume is as large as the one that was scanned, so that what is known of that one holds for it."""
    return scanned is None or (geometry.size, geometry.voxel) == (scanned.size, scanned.voxel)


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


def _worked(worker: OnDevice, run: Method, A: Projector, y: Tensor) -> Tensor:
    """The volume of some lines on the CPU, made where the worker works."""
    with torch.no_grad():
        return worker(partial(run, A), y)


def _slabs(
    rows: Stack, A: Projector, size: int, run: Method, density: Calibration | None, warn: Callable[[], None]
) -> Iterator[Array]:
    total = rows.header.shape[0]
    view = FieldOfView(total)
    with progress.task("reconstruct", total) as advance:
        for index, block in enumerate(rows.blocks(size)):
            if index == 0:
                warn()
            y = torch.from_numpy(block)
            view.look(A.geometry, block)
            volume = run(A, y).numpy()
            yield np.asarray(density.density(volume) if density else volume, dtype=np.float32)
            advance(len(block))
            del block, y, volume  # or they would be held while the next block arrives
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
