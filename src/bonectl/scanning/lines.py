"""From what a detector gives to line integrals in sinogram order: what every reconstruction starts from.

Each function here is a stack in, a stack out; what the header cannot answer is refused before a voxel is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonectl.core import physics, pool, progress
from bonectl.core.bridging import bridged
from bonectl.core.counted import counted
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.core.total import Total
from bonectl.errors import DataError, UsageError
from bonectl.geometries.parallel import parallel
from bonectl.stacks.screening import finite, single
from bonectl.stacks.view_order import ordered

READY = ("counts", "transmission", "line integral")

# What makes line integrals of some rows, and the number of the first: with how many readings it raised.
Convert = Callable[[Array, int], tuple[Array, int]]
# Bytes that a thread converts at a time.
PIECE = 1 << 20

# No line integral is larger: of a million, exp(-1,000,000) of the beam passes, and squares still add up in float32.
MOST = 1e6

# A detector of which more than this share is dead was not read with the beam on [share of its pixels].
MOST_DEAD = 0.01


@dataclass(frozen=True, eq=False)
class Fields:
    """What the detector reads without a sample.

    Parameters
    ----------
    white : (row, col) array, or float
        With the beam on, dark subtracted [counts].
    dark : (row, col) array, or float
        With the beam off [counts].
    dead : (row, col) bool array, optional
        Pixels that read nothing of use.
    """

    white: NDArray[np.float32] | float
    dark: NDArray[np.float32] | float = 0.0
    dead: NDArray[np.bool_] | None = None

    @classmethod
    def averaged(cls, flats: Array, darks: Array | None = None, *, fill: bool = True) -> "Fields":
        """Fields from frames (frame, row, col), averaged over the frames.

        A pixel that is not brighter with the beam on, or not finite, is dead.

        Parameters
        ----------
        flats, darks : (frame, row, col) or (row, col) array
        fill : bool
            Whether a few dead pixels, at most `MOST_DEAD` of all, may be taken from their neighbours; a note says
            how many.

        Raises
        ------
        DataError
            When the frames do not match, and for dead pixels that may not or cannot be filled.
        """
        flat = _mean_frame(flats)
        dark = np.zeros_like(flat) if darks is None else _mean_frame(darks)
        if dark.shape != flat.shape:
            raise DataError(f"flats are {_by(flat.shape)} pixels and darks {_by(dark.shape)}; they must match")
        white = flat - dark
        dead = ~(white > 0) | ~np.isfinite(white)
        if not dead.any():
            return cls(white, dark)
        said = _said_of(dead)
        if (reason := _why_not(dead)) is not None or not fill:
            raise DataError(f"{said}; {reason or '--dead-pixels fill takes their neighbours'}")
        progress.note(f"{said}: taken from their neighbours in the row")
        return cls(np.where(dead, np.float32(1), white), np.where(dead, np.float32(0), dark), dead)

    def check(self, header: Header) -> None:
        """Refuse fields of another detector.

        Raises
        ------
        DataError
            When rows or columns differ from those of the scan.
        """
        lengths = dict(zip(header.axes, header.shape, strict=True))
        there = (lengths["row"], lengths["col"])
        for name, field in (("flats", self.white), ("darks", self.dark)):
            if isinstance(field, np.ndarray) and field.shape != there:
                raise DataError(
                    f"{name} are {_by(field.shape)} pixels, the scan {_by(there)} (rows × columns); they must match"
                )

    def of_rows(self, low: int, high: int) -> "Fields":
        """The fields of detector rows [low, high)."""
        white, dark = (field if isinstance(field, float) else field[low:high] for field in (self.white, self.dark))
        return Fields(white, dark, None if self.dead is None else self.dead[low:high])

    @property
    def level(self) -> float:
        """What the open beam reads in a usual pixel."""
        alive = self.white if self.dead is None else np.asarray(self.white)[~self.dead]
        return float(np.median(alive))

    def rows(self, low: int, high: int) -> tuple[Array | float, Array | float]:
        """White and dark of rows [low, high), to be broadcast against (row, view, col)."""
        white = self.white if isinstance(self.white, float) else self.white[low:high, None]
        dark = self.dark if isinstance(self.dark, float) else self.dark[low:high, None]
        return white, dark


def _mean_frame(frames: Array) -> NDArray[np.float32]:
    if frames.ndim == 2:
        frames = frames[None]
    mean: NDArray[np.float32] = frames.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _said_of(dead: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(dead)[0]
    many = counted(int(dead.sum()), "pixel is", "pixels are")
    return f"{many} not brighter in the flats than in the darks, the first in row {row}, column {column}"


def _why_not(dead: NDArray[np.bool_]) -> str | None:
    """Why dead pixels cannot be taken from their neighbours."""
    if dead.sum() > max(1, MOST_DEAD * dead.size):
        return f"{dead.mean():.1%} of the detector are too many to fill; were the flats taken with the beam on?"
    if (whole := np.flatnonzero(dead.all(axis=1))).size:
        return f"row {whole[0]} has no live one: crop such rows away"
    return None


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def sinograms(scan: Stack, *, limit: int | None = None, held: bool | None = None) -> Stack:
    """The scan as (row, view, col).

    Projections (view, row, col) are turned in memory, or where they do not fit in a temporary file; a note says so.
    Sinograms stream through as they are.

    Parameters
    ----------
    scan : Stack
    limit : int, optional
        Bytes that the process may hold; nothing is most of what is free.
    held : bool, optional
        Whether it is turned in memory, where that has been decided.

    Raises
    ------
    UsageError
        When the stack is a volume.
    """
    check_scan(scan.header)
    return ordered(scan, "sinogram", limit=limit, held=held)


def check_scan(header: Header) -> None:
    """Refuse a volume where a scan is wanted.

    Raises
    ------
    UsageError
        When the header is that of a volume.
    """
    if not header.is_scan:
        raise UsageError(
            f"a volume in {header.unit} cannot be reconstructed; `bonectl simulate` makes a scan of it, "
            "and a file that is a scan without saying so needs --axes and --angles"
        )


def geometry_of(
    header: Header,
    *,
    angles: Angles | None = None,
    centre: float | None = None,
    pitch: float | None = None,
    size: int | None = None,
) -> Geometry:
    """The geometry of a scan: its header's, changed where something is given.

    Parameters
    ----------
    header : Header
        Of a scan.
    angles : Angles, optional
        Where the header has none, or wrong ones.
    centre : float, optional
        Detector column of the rotation axis (0-based, fractional).
    pitch : float, optional
        Side of a square detector pixel [mm] where the header has none; also the voxel's side then. Without it, pixels
        are as wide and as high as the header's spacing says.
    size : int, optional
        Side of the grid to reconstruct [voxel]; the header's, else what the detector sees (`Geometry.seen`).

    Raises
    ------
    UsageError
        When the header has no geometry and angles or pitch are not given.
    DataError
        When there is not one angle per view.
    """
    lengths = dict(zip(header.axes, header.shape, strict=True))
    known = header.geometry
    if angles is not None and len(angles) != lengths["view"]:
        raise DataError(
            f"{counted(len(angles), 'angle')} for {counted(lengths['view'], 'view')}; one angle per view is needed"
        )
    if known is None:
        step = pitch or header.spacing[header.axes.index("col")]
        if angles is None:
            raise UsageError("the scan carries no angles; give --angles")
        if step is None:
            raise UsageError("the detector pitch is unknown; give --voxel-size in mm")
        known = parallel(lengths["col"], lengths["row"], step, columns=lengths["col"])
        known = known.replace(angles=angles, row_pitch=pitch or header.spacing[header.axes.index("row")] or step)
    elif angles is not None:
        known = known.replace(angles=angles)
    if centre is not None:
        known = known.replace(centre=centre)
    if size is None and header.geometry is None:
        size = known.seen
    return known if size is None else known.replace(size=size)


def line_integrals(scan: Stack, fields: Fields | None = None) -> Stack:
    """A sinogram stack in any unit as line integrals, float32.

    p = -ln((reading - dark) / white). Readings that no photon reached have no logarithm: counts below the least one
    (`bonectl.core.physics.least_reading`: half a photon, half a count, or a share of an open beam of about 1) are
    taken as that; transmissions of 0 or less as half a photon of ``acquisition["photons"]``, or where that is unknown
    as the smallest positive one of their row. How many there were is noted at the end. Dead pixels lie on straight
    lines between the nearest live ones of their row.

    Parameters
    ----------
    scan : Stack
        (row, view, col) in counts, transmission, or line integral (passed on unchanged, up to `MOST`).
    fields : Fields, optional
        Readings without a sample; counts without them need ``acquisition["white"]`` in the header.

    Raises
    ------
    UsageError
        When the unit is none of these, white is unknown for counts, or fields are given for another unit.
    DataError
        When fields and scan differ in size; while streaming: for values that are not finite, for line integrals
        beyond `MOST`, and for a row without one positive transmission.
    """
    header = scan.header
    if header.unit not in READY:
        raise UsageError(
            f"a scan in {header.unit} has no line integrals; say what its values are with --input-unit counts, "
            "transmission or 'line integral'"
        )
    if fields is not None and header.unit != "counts":
        raise UsageError(f"flats and darks are for counts; this scan is in {header.unit} already")
    done = header.replace(unit="line integral", dtype="<f4")
    if header.unit == "line integral":
        return Stack(done, _as_they_are(scan), finite=True)
    photons = header.acquisition.get("photons")
    known = float(photons) if isinstance(photons, int | float) and photons > 0 else None
    if header.unit == "transmission":
        share = physics.least_transmission(header.acquisition)
        return Stack(done, _converted(scan, lambda slab, low: _from_transmission(slab, low, share)))
    used = fields or _fields_of(header)
    used.check(header)
    least = _least(header, used.level, known)
    if used.dead is not None:
        done = done.replace(acquisition={**header.acquisition, "dead_pixels": int(used.dead.sum())})
    return Stack(done, _converted(scan, lambda slab, low: _from_counts(slab, low, used, least)))


def _least(header: Header, level: float, photons: float | None) -> float:
    """The least reading; a note where the open beam says that these are no counts."""
    whole = header.dtype[1] != "f"
    if photons is None and not whole and level <= physics.NORMALISED:
        progress.note(f"the open beam reads {level:.3g}: if these are fractions of it, say --input-unit transmission")
    return physics.least_reading(level, photons, whole=whole)


def _fields_of(header: Header) -> Fields:
    white, dark = header.acquisition.get("white"), header.acquisition.get("dark", 0.0)
    if not isinstance(white, int | float) or not isinstance(dark, int | float) or white <= 0:
        raise UsageError("counts without a white level; give --flats (and --darks)")
    return Fields(float(white), float(dark))


def _converted(scan: Stack, convert: Convert) -> Iterator[Array]:
    """Slabs through `convert`, with NaN refused and clamped readings counted."""
    low = clamped = 0
    for slab in single(finite(scan, "the scan"), "the scan").slabs:
        done, count = _shared(slab, low, convert)
        yield done
        low += len(slab)
        clamped += count
    if clamped:
        share = clamped / np.prod(scan.header.shape, dtype=float)
        what = counted(clamped, "reading was", "readings were")
        progress.note(f"{what} reached by no photon and set to the least one ({share:.2g} of all)")


def _shared(slab: Array, start: int, convert: Convert) -> tuple[Array, int]:
    """A slab converted by some rows in each thread, and how many readings were raised."""
    done = np.empty(slab.shape, np.float32)
    raised = Total()

    def some(low: int, high: int) -> None:
        done[low:high], count = convert(slab[low:high].astype(np.float32, copy=False), start + low)
        raised.add(count)

    pool.each(some, pool.cut(len(slab), thickness(slab[:1].nbytes, PIECE)))
    return done, raised.count


def _as_they_are(scan: Stack) -> Iterator[Array]:
    """Slabs of line integrals, which are not copied; what is too large is refused."""
    low = 0
    for slab in single(finite(scan, "the scan"), "the scan").slabs:
        yield _looked_through(slab.astype(np.float32, copy=False), low)
        low += len(slab)
        del slab  # or it would be held while the next one arrives


def _looked_through(lines: Array, start: int) -> Array:
    """The same line integrals, looked at by some rows in each thread."""

    def some(low: int, high: int) -> None:
        _refuse_too_large(lines[low:high], start + low)

    pool.each(some, pool.cut(len(lines), thickness(lines[:1].nbytes, PIECE)))
    return lines


def _refuse_too_large(lines: Array, low: int) -> None:
    if max(lines.max(), -lines.min()) > MOST:
        row, view, column = (int(i) for i in np.argwhere(np.abs(lines) > MOST)[0])
        raise DataError(
            f"a line integral of {lines[row, view, column]:.4g} at ({low + row}, {view}, {column}) is too large: "
            f"at most {MOST:,.0f} can be; are these values in another unit?"
        )


def _from_counts(slab: Array, low: int, fields: Fields, least: float) -> tuple[Array, int]:
    high = low + len(slab)
    white, dark = fields.rows(low, high)
    readings = slab - np.float32(dark)
    if fields.dead is None or not (dead := fields.dead[low:high]).any():
        return physics.line_integrals(readings, white, least)
    readings = np.where(dead[:, None], np.float32(white), readings)  # so that they do not count as dark
    lines, clamped = physics.line_integrals(readings, white, least)
    for row in np.flatnonzero(dead.any(axis=1)):
        lines[row] = bridged(lines[row], dead[row])
    return lines, clamped


def _from_transmission(slab: Array, low: int, least: float | None) -> tuple[Array, int]:
    rows = [physics.row_of_lines(row, low + i, least) for i, row in enumerate(slab)]
    return np.stack([row for row, _ in rows]), sum(count for _, count in rows)
