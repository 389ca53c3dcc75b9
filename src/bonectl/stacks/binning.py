"""A stack of larger voxels, or of larger detector pixels."""

from collections.abc import Callable, Iterator
from math import ceil, prod

import numpy as np

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import DTYPES, Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.stacks import placing
from bonectl.stacks.number_type import limits
from bonectl.stacks.screening import screened


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

    return screened(stack, lambda slab: (slab <= most) & (slab >= -most), refuse)


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
    low, high = limits(dtype)
    wider = [np.dtype(name) for name in DTYPES if name[1] == dtype.kind]
    fitting = (other.str for other in wider if limits(other)[0] <= cells * low and cells * high <= limits(other)[1])
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
