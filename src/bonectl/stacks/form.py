"""Change a stack's form and never its meaning: order, extent, sampling, type, and what a plain file is.

Every function takes a stack and returns one, refuses by the header before any voxel moves, and streams,
except `ordered`, which needs the whole stack first. No value is ever rescaled.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, isfinite, prod

import numpy as np

from bonectl.core import memory, progress
from bonectl.core.cost import Cost
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import DTYPES, PROJECTIONS, SINOGRAMS, VOLUME, Header
from bonectl.core.slabs import SLAB_BYTES, Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.stacks import placing, turning

ORDERS = {"sinogram": SINOGRAMS, "projection": PROJECTIONS}
LAYOUTS = {"volume": VOLUME, **ORDERS}

# Bytes that are read, changed and written in a second; copies of a slab that are on their way.
RATE = 300e6
PASSING = 10

Cut = tuple[slice, slice, slice]


def finite(stack: Stack, name: str) -> Stack:
    """The same stack, refusing NaN and infinite values.

    Raises
    ------
    DataError
        From the slabs, with the number of such values in the whole stack and the index of the first.
    """
    screened = _screened(stack, np.isfinite, lambda bad, count, at: _not_finite(name, count, at))
    return replace(screened, finite=True)


def single(stack: Stack, name: str) -> Stack:
    """The same stack, refusing what becomes infinite in float32, in which most commands work.

    Raises
    ------
    DataError
        From the slabs, with the number of such values in the whole stack, and the first with its index.
    """
    if stack.header.dtype != "<f8":
        return stack
    most = np.finfo(np.float32).max

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> DataError:
        values = counted(count, "value is", "values are")
        return DataError(f"{name}: {values} beyond float32 (±{most:.4g}), the first {bad:.4g} at {at}")

    return replace(_screened(stack, lambda slab: ~(np.abs(slab) > most), refuse), finite=stack.finite)


def kept_finite(stack: Stack) -> Stack:
    """The same stack, refusing values that became infinite or NaN on the way: the input was too large to compute with.

    Raises
    ------
    DataError
        From the slabs, as `finite`.
    """
    if stack.finite or not _may_be_infinite(stack.header):
        return stack
    kind = np.dtype(stack.header.dtype).name

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> DataError:
        values = counted(count, "value is", "values are")
        return DataError(f"{values} beyond {kind} after this, the first at {at}; the input's values are too large")

    return replace(_screened(stack, np.isfinite, refuse), finite=True)


def zero_filled(stack: Stack, name: str) -> Stack:
    """The same stack with 0 for NaN and infinite values; their number is noted.

    Raises
    ------
    UsageError
        For counts and transmissions, in which 0 says that nothing passed.
    """
    if not _may_be_infinite(stack.header):
        return stack
    if stack.header.unit in ("counts", "transmission"):
        raise UsageError(f"--nan zero: {stack.header.unit} of 0 would be full absorption; --nan fill takes neighbours")

    def slabs() -> Iterator[Array]:
        count = 0
        for slab in stack.slabs:
            good = np.isfinite(slab)
            count += good.size - int(np.count_nonzero(good))
            yield np.where(good, slab, slab.dtype.type(0))
        if count:
            what = counted(count, "value that is NaN or infinite was", "values that are NaN or infinite were")
            progress.note(f"{name}: {what} set to 0")

    return Stack(stack.header, slabs(), finite=True)


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


def ordered(stack: Stack, order: str, *, limit: int | None = None) -> Stack:
    """A scan by sinograms (row, view, col) or by projections (view, row, col).

    Parameters
    ----------
    stack : Stack
    order : str
        "sinogram" or "projection".
    limit : int, optional
        Bytes that the process may hold (`bonectl.stacks.turning`); nothing is most of what is free.

    Raises
    ------
    UsageError
        When the stack is a volume, or there is no such order.
    """
    if order not in ORDERS:
        raise UsageError(f"no order {order!r}; there are {', '.join(ORDERS)}")
    header = stack.header
    if not header.is_scan:
        raise UsageError("a volume has no order of views; only scans can be turned (declare one with --axes)")
    if header.axes == ORDERS[order]:
        return stack
    (a, b, c), (da, db, dc) = header.shape, header.spacing
    turned = header.replace(axes=ORDERS[order], shape=(b, a, c), spacing=(db, da, dc))
    return Stack(turned, turning.turned(stack, held=turning.is_held(header, limit)))


def cropped(stack: Stack, cut: Cut) -> Stack:
    """A part of a stack, by Python's slice rules along each axis; steps keep every n-th slice.

    A scan's geometry follows: fewer rows, fewer views, fewer columns with the rotation axis moved along.
    A phantom's known answers are left out, because they were those of the whole.

    Parameters
    ----------
    stack : Stack
    cut : tuple of 3 slices
        Along the axes as they are stored.

    Raises
    ------
    UsageError
        When nothing is left, a step is not positive, or detector pixels would be skipped.
    """
    header = stack.header
    if any(part.step == 0 for part in cut):
        raise UsageError("--crop has a step of 0; give 1 or more")
    picked = [range(length)[part] for length, part in zip(header.shape, cut, strict=True)]
    for axis, part, length, chosen in zip(header.axes, cut, header.shape, picked, strict=True):
        if not chosen or chosen.step < 1:
            raise UsageError(f"--crop along {axis} leaves nothing of its {length}; give a range such as 0:{length}")
        if chosen.step > 1 and header.is_scan and axis != "view":
            raise UsageError(f"--crop would skip {axis}s of the detector (step {part.step}); use --bin")
    shape = tuple(len(chosen) for chosen in picked)
    spacing = tuple(
        None if step is None else step * chosen.step for step, chosen in zip(header.spacing, picked, strict=True)
    )
    geometry = header.geometry and _cropped_scan(header.geometry, dict(zip(header.axes, picked, strict=True)))
    facts = placing.moved(header, picked)
    changed = header.replace(shape=shape, spacing=spacing, geometry=geometry, answers={}, acquisition=facts)
    return Stack(changed, _picked(stack, picked))


def _cropped_scan(geometry: Geometry, picked: dict[str, range]) -> Geometry:
    row, view, col = picked["row"], picked["view"], picked["col"]
    chosen = geometry[view.start : view.stop : view.step]
    if geometry.kind == "cone" and len(row) < geometry.rows:  # the orbit's plane stays where it was
        chosen = chosen.replace(row_centre=geometry.principal_row - row.start, slices=geometry.volume_shape[0])
    return chosen.replace(rows=len(row), columns=len(col), centre=geometry.centre - col.start)


def _picked(stack: Stack, picked: list[range]) -> Iterator[Array]:
    first, middle, last = (slice(p.start, p.stop, p.step) for p in picked)
    start = 0
    for slab in stack.slabs:  # all of them, also after the last one wanted: the input may fail at its end
        inside = range(start, start + len(slab))
        begin = max(0, -(-(start - first.start) // first.step)) * first.step + first.start
        chosen = (
            slab[begin - start : max(0, first.stop - start) : first.step, middle, last] if begin in inside else None
        )
        if chosen is not None and len(chosen):
            yield np.ascontiguousarray(chosen)
        start += len(slab)


def binned(stack: Stack, k: int) -> Stack:
    """A stack of larger voxels: k³ of a volume become one, k² detector pixels of a scan (its views stay).

    A voxel becomes the mean of what it covers, computed in float64 and, for integers, rounded half to
    even. Counts are added instead, so that they stay counts (Poisson), in the shortest type of their kind that
    holds any sum of them. A scan's photons, white level and dark counts become those of the larger pixels. What
    does not fill a voxel at the end of an axis is left out, and said so.

    Raises
    ------
    UsageError
        When k is smaller than 2 or larger than an axis, or the stack is a mask.
    DataError
        From the slabs, when a sum of 64-bit integers would pass 2**53, up to where float64 counts.
    """
    header = stack.header
    if header.unit == "label" or header.dtype == "|b1":
        raise UsageError("a mask cannot be averaged; bin the grey values, then segment again")
    factors = tuple(1 if axis == "view" else k for axis in header.axes)
    if k < 2 or any(length < factor for length, factor in zip(header.shape, factors, strict=True)):
        raise UsageError(f"--bin {k} does not fit a stack of {header.shape}; give 2 or more, at most the shortest axis")
    shape = tuple(length // factor for length, factor in zip(header.shape, factors, strict=True))
    left = [length % factor for length, factor in zip(header.shape, factors, strict=True)]
    if any(left):
        ends = ", ".join(f"{rest} along {axis}" for rest, axis in zip(left, header.axes, strict=True) if rest)
        progress.note(f"the last voxels ({ends}) fill no bin and are left out")
    changed = _binned_header(header, shape, factors, k)  # type: ignore[arg-type]
    if header.dtype in ("<i8", "<u8"):
        stack = _exact(stack, prod(factors))
    return Stack(changed, _means(stack, changed, factors))  # type: ignore[arg-type]


def _exact(stack: Stack, cells: int) -> Stack:
    """The same 64-bit integers, refusing those whose sums over `cells` float64 would not hold."""
    most = 2**53 // cells

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> DataError:
        return DataError(f"{counted(count, 'value')} beyond ±{most:.4g}, the first {bad} at {at}; too large to add up")

    return _screened(stack, lambda slab: (slab <= most) & (slab >= -most), refuse)


def _binned_header(header: Header, shape: tuple[int, int, int], factors: tuple[int, int, int], k: int) -> Header:
    spacing = tuple(None if s is None else s * f for s, f in zip(header.spacing, factors, strict=True))
    is_trimmed = any(length % factor for length, factor in zip(header.shape, factors, strict=True))
    dtype = header.dtype
    facts = placing.without(header.acquisition)
    if "blur_px" in facts:
        facts["blur_px"] = float(facts["blur_px"]) / k
    if header.is_scan:
        facts |= {key: float(facts[key]) * k * k for key in ("white", "dark", "photons") if key in facts}
        if "gain_sd" in facts:  # of the mean of k² pixels that know nothing of each other
            facts["gain_sd"] = float(facts["gain_sd"]) / k
    if header.unit == "counts":
        dtype = _holding_sums(np.dtype(dtype), prod(factors))
    geometry = header.geometry
    if geometry is not None:
        lengths = dict(zip(header.axes, shape, strict=True))
        geometry = geometry.replace(
            rows=lengths["row"],
            columns=lengths["col"],
            pitch=geometry.pitch * k,
            row_pitch=geometry.row_pitch * k,
            centre=(geometry.centre + 0.5) / k - 0.5,
            row_centre=_binned_row(geometry, k),
            size=ceil(geometry.size / k),
            slices=_binned_slices(geometry, k),
            voxel=geometry.voxel * k,
        )
    return header.replace(
        shape=shape,
        dtype=dtype,
        spacing=spacing,
        geometry=geometry,
        acquisition=facts,
        answers={} if is_trimmed else header.answers,
    )


def _holding_sums(dtype: np.dtype, cells: int) -> str:
    """The shortest type of the same kind that holds the sum of any `cells` values."""
    if dtype.kind == "f":
        return "<f4" if dtype.itemsize == 2 else dtype.str
    low, high = _range(dtype)
    wider = [np.dtype(name) for name in DTYPES if name[1] == dtype.kind]
    fitting = (other.str for other in wider if _range(other)[0] <= cells * low and cells * high <= _range(other)[1])
    return next(fitting, wider[-1].str)


def _binned_slices(geometry: Geometry, k: int) -> int | None:
    """As many slices as cover those of a cone beam; other beams have one for each row."""
    return ceil(geometry.volume_shape[0] / k) if geometry.kind == "cone" else None


def _binned_row(geometry: Geometry, k: int) -> float | None:
    """The row of a cone beam in the plane of the orbit, in rows k times as high; None while it is in the middle."""
    if geometry.kind != "cone" or (geometry.row_centre is None and geometry.rows % k == 0):
        return None
    return (geometry.principal_row + 0.5) / k - 0.5


def _means(stack: Stack, header: Header, factors: tuple[int, int, int]) -> Iterator[Array]:
    dtype = np.dtype(header.dtype)
    (_, rows, columns), (along, across, over) = header.shape, factors
    combine: Callable[..., Array] = np.sum if header.unit == "counts" else np.mean
    for block in stack.blocks(along):
        if len(block) < along:
            continue  # the rest that fills no bin
        cells = block[:, : rows * across, : columns * over].reshape(1, along, rows, across, columns, over)
        made = combine(cells, axis=(1, 3, 5), dtype=np.float64)
        with np.errstate(over="ignore"):  # what becomes infinite is refused where it is written
            made = (made if dtype.kind == "f" else np.rint(made)).astype(dtype)
        yield made


def cast(stack: Stack, dtype: str) -> Stack:
    """The same values in another type, by one rule: the nearest value of that type, or refusal.

    To integers: rounded half to even. To shorter floating types: rounded to nearest. A value outside the
    range of the type is refused, never clipped and never rescaled; a mask type takes 0 and 1 only.

    Parameters
    ----------
    stack : Stack
    dtype : str
        A numpy name such as ``uint8``, ``u1``, ``float32``, ``<f4``.

    Raises
    ------
    UsageError
        When there is no such type; or, from the slabs, when values do not fit, with their number and range.
    """
    try:
        there = np.dtype(dtype).newbyteorder("<")
    except (TypeError, ValueError, SyntaxError) as error:  # numpy knows a language of its own for types
        raise UsageError(_no_type(dtype)) from error
    if there.str not in DTYPES:
        raise UsageError(_no_type(dtype))
    header = stack.header
    if there.str == header.dtype:
        return stack
    low, high = _range(there)

    def fits(slab: Array) -> Array:
        if slab.dtype.kind == "f":
            wide = slab.astype(np.float64)
            nearest = np.rint(wide) if there.kind in "iu" else wide
            above = nearest < float(high) + 1 if there.kind in "iu" else nearest <= high
            inside: Array = (nearest >= low) & above
        else:
            inside = (slab >= low) & (slab <= high)
        return inside & ((slab == 0) | (slab == 1)) if there.kind == "b" else inside

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> UsageError:
        return UsageError(
            f"{counted(count, 'value does', 'values do')}"
            f" not fit {there.name} ({low:.7g} to {high:.7g}), the first is {bad:.7g} at {at}; "
            "choose a wider type (values are never rescaled)"
        )

    def change(slab: Array) -> Array:
        return (np.rint(slab) if there.kind in "iu" and slab.dtype.kind == "f" else slab).astype(there)

    return _screened(stack, fits, refuse).map(change, header.replace(dtype=there.str))


def windowed(stack: Stack, dtype: str, low: float, high: float) -> Stack:
    """Whole numbers of 8 or 16 bits that stand for the values of a window; the header keeps how.

    The least number of the type stands for `low`, the largest for `high`, and the others for equal steps between: a
    value is kept to half a step. What lies outside is clipped, and counted in a note.

    Parameters
    ----------
    stack : Stack
    dtype : str
        uint8, uint16, int8 or int16, by any of numpy's names.
    low, high : float
        In the stack's unit.

    Raises
    ------
    UsageError
        When the type is another, the window is empty, or the stack is a mask.
    """
    try:
        there = np.dtype(dtype).newbyteorder("<")
    except TypeError as error:
        raise UsageError(_no_type(dtype)) from error
    if there.kind not in "iu" or there.itemsize > 2:
        raise UsageError(f"--window is for uint8, uint16, int8 and int16, not {there.name}")
    if not (isfinite(low) and isfinite(high) and low < high and isfinite(high - low)):
        raise UsageError(f"a window from {low:g} to {high:g}; give LO:HI, the lower value first")
    header = stack.header
    if header.unit == "label" or header.dtype == "|b1":
        raise UsageError("a mask has no window; leave out --window")
    least, most = _range(there)
    slope = (high - low) / (most - least)
    intercept = low - least * slope

    def slabs() -> Iterator[Array]:
        below = above = 0
        for slab in stack.slabs:
            below += int(np.count_nonzero(slab < low))
            above += int(np.count_nonzero(slab > high))
            yield np.rint((slab.astype(np.float64) - intercept) / slope).clip(least, most).astype(there)
        if below or above:
            share = (below + above) / prod(header.shape)
            said = counted(below + above, "voxel", "voxels")
            where = f"outside {low:g} to {high:g}: {below} below, {above} above"
            progress.note(f"{said} ({share:.2g} of all) {where}; clipped")

    return Stack(header.replace(dtype=there.str, scaling=(slope, intercept)), slabs())


def _range(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _no_type(dtype: str) -> str:
    return f"no type {dtype!r}; there are {', '.join(np.dtype(d).name for d in DTYPES)}"


def cost(header: Header, *, turned: bool) -> Cost:
    """What changing a stack takes, about: slabs on their way, and a scan that is turned where it is held."""
    held = turned and turning.is_held(header)
    return Cost(
        memory_bytes=memory.resident() + PASSING * max(SLAB_BYTES, header.slice_bytes) + held * header.total_bytes,
        scratch_bytes=header.total_bytes if turned and not held else None,
        seconds=header.total_bytes / (RATE / 2 if turned else RATE),
        threads=1,
    )


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-3 * abs(a)


def _may_be_infinite(header: Header) -> bool:
    return header.dtype[1] == "f"


def _not_finite(name: str, count: int, at: tuple[int, ...]) -> DataError:
    values = counted(count, "value is", "values are")
    return DataError(f"{name}: {values} NaN or infinite, the first at {at}; --nan zero makes them 0, fill mends them")


def _screened(
    stack: Stack, good: Callable[[Array], Array], refuse: Callable[[Array, int, tuple[int, ...]], Exception]
) -> Stack:
    """The same stack, as long as all values are good; the first bad one is located, and all are counted."""

    def slabs() -> Iterator[Array]:
        start = count = 0
        first: tuple[Array, tuple[int, ...]] | None = None
        for slab in stack.slabs:
            mask = good(slab)
            if not mask.all():
                count += mask.size - int(np.count_nonzero(mask))
                if first is None:
                    z, y, x = (int(i) for i in np.argwhere(~mask)[0])
                    first = slab[z, y, x], (start + z, y, x)
            start += len(slab)
            if first is None:
                yield slab
        if first is not None:
            raise refuse(first[0], count, first[1])

    return Stack(stack.header, slabs())
