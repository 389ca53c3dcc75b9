"""Counts to transmission, by readings without sample and without beam."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bonectl.core import physics, progress
from bonectl.core.bridging import bridged
from bonectl.core.counted import counted
from bonectl.core.header import Fact, Header
from bonectl.core.preparation import Plane, Setting, Step, gathered
from bonectl.core.scan import Frames
from bonectl.core.slabs import Array
from bonectl.errors import DataError, UsageError

WORKS = "either"
READS = ("counts",)
GIVES = "transmission"
MOVES = False
ASKS = False
FRAMES = True
BESIDE = 0
BYTES = 13.0
PACE = 1.0

MODES = ("mean", "linear", "nearest")

# A detector of which more than this share is dead was not read with the beam on [share of its pixels].
MOST_DEAD = 0.01


def flats(scan: Setting, *, mode: str = "mean", before: int = 0) -> Step:
    """Transmission, (reading - dark) / (flat - dark).

    A pixel that is not brighter in the flats than in the darks is taken from its neighbours in the detector row, as
    long as at most 1 % of the detector are such and no whole row is; `badpixels` written before it fills any of them,
    and from all sides. A scan that carries its white level, as simulated ones do, needs no frames.

    Parameters
    ----------
    scan : Setting
    mode : {"mean", "linear", "nearest"}
        The mean of all flats; straight lines in time between the means of those that were taken together, as before
        and after the scan; or of these the nearest in time. Darks are averaged.
    before : int
        How many of the flats were taken before the scan, the others after it, where the scan's own files do not say.

    Raises
    ------
    UsageError
        When there are no flats and no white level, or it is not known when they were taken.
    DataError
        When flats, darks and scan differ in size, or too much of the detector is dead.
    """
    if mode not in MODES:
        raise UsageError(f"flats(mode={mode}); there are {', '.join(MODES)}")
    header, lengths = scan.header, scan.lengths
    if scan.flats is None:
        white, dark = _levels(header)
        return Step(_done(header, white, 0), lambda plane, _: (plane - np.float32(dark)) / np.float32(white))
    times, whites, dark_frame = _fields(scan, scan.flats, _times(scan.flats, mode, before, lengths["view"]))
    dead = _dead(whites)
    _check_dead(dead)
    whites = np.where(dead, np.float32(1), whites)
    dark_frame = np.where(dead, np.float32(0), dark_frame)
    shares = _shares(times, lengths["view"], nearest=mode == "nearest")
    white_of = _white_of(whites, shares, by_views=scan.by_views)

    def work(plane: Plane, number: int) -> Plane:
        zero = dark_frame if scan.by_views else dark_frame[number]
        done = (plane - zero) / white_of(number)
        if scan.by_views:
            for row in np.flatnonzero(dead.any(axis=1)):
                done[row] = bridged(done[row], dead[row])
        elif dead[number].any():
            done = bridged(done, dead[number])
        return done

    level = float(np.median(whites[:, ~dead]))
    return Step(_done(header, level, int(dead.sum())), work)


def _levels(header: Header) -> tuple[float, float]:
    white, dark = header.acquisition.get("white"), header.acquisition.get("dark", 0.0)
    if not isinstance(white, int | float) or not isinstance(dark, int | float) or white <= 0:
        raise UsageError("counts without a white level; give --flats (and --darks)")
    return float(white), float(dark)


def _done(header: Header, level: float, dead: int) -> Header:
    facts: dict[str, Fact] = {k: v for k, v in header.acquisition.items() if k not in ("white", "dark")}
    if "photons" not in facts:
        facts["least_transmission"] = physics.least_reading(level, whole=header.dtype[1] != "f") / level
    if dead:
        facts["dead_pixels"] = dead
    return header.replace(unit="transmission", dtype="<f4", acquisition=facts)


def _times(frames: Frames, mode: str, before: int, views: int) -> tuple[float, ...]:
    """When each flat was read; none where they are averaged."""
    if before and not 0 < before < frames.count:
        raise UsageError(
            f"flats(before={before}): there are {frames.count} flats; some must be from before, some after"
        )
    at = (0.0,) * before + (float(views),) * (frames.count - before) if before else frames.at
    if mode == "mean":
        return ()
    if not at:
        raise UsageError(f"flats(mode={mode}): when the flats were taken is not known; say how many before the scan")
    return at


def _fields(
    scan: Setting, frames: Frames, at: tuple[float, ...]
) -> tuple[NDArray[np.float64], Array, NDArray[np.float32]]:
    """Times, white fields without the dark one (time, row, col), and the dark field (row, col)."""
    there = (scan.lengths["row"], scan.lengths["col"])
    for name, given in (("flats", frames), ("darks", scan.darks)):
        if given is not None and given.source.header.shape[1:] != there:
            found = " × ".join(map(str, given.source.header.shape[1:]))
            raise DataError(f"{name} are {found} pixels, the scan {there[0]} × {there[1]} (rows × columns)")
    times, bright = gathered(frames, at)
    dark = np.zeros(there, np.float32) if scan.darks is None else gathered(scan.darks, ())[1][0]
    return times, bright - dark, dark


def _dead(whites: Array) -> NDArray[np.bool_]:
    """Pixels that are not brighter with the beam on, at any time."""
    return np.asarray(~((whites > 0) & np.isfinite(whites)).all(axis=0))


def _check_dead(dead: NDArray[np.bool_]) -> None:
    if not dead.any():
        return
    row, column = np.argwhere(dead)[0]
    many = counted(int(dead.sum()), "pixel is", "pixels are")
    said = f"{many} not brighter in the flats than in the darks, the first in row {row}, column {column}"
    if dead.sum() > max(1, MOST_DEAD * dead.size) or dead.all(axis=1).any():
        raise DataError(f"{said}; write 'badpixels + flats' to fill them, or check that the beam was on")
    progress.note(f"{said}: taken from their neighbours in the row")


def _shares(times: NDArray[np.float64], views: int, *, nearest: bool) -> NDArray[np.float32]:
    """How much each white field counts in each view, (view, time)."""
    middle = np.arange(views) + 0.5
    places = np.interp(middle, times, np.arange(times.size))
    if nearest:
        places = np.abs(middle[:, None] - times).argmin(axis=1).astype(np.float64)
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(times.size))), dtype=np.float32)


def _white_of(whites: Array, shares: NDArray[np.float32], *, by_views: bool) -> Callable[[int], Array]:
    """The white field of a projection, or of each view of a sinogram, by its number."""
    if len(whites) == 1:
        return (lambda _: whites[0]) if by_views else (lambda row: whites[0, row])

    def of_view(view: int) -> Array:
        used = np.flatnonzero(shares[view])
        return np.asarray(sum(shares[view, i] * whites[i] for i in used))

    def of_row(row: int) -> Array:
        return np.asarray(sum(shares[:, i, None] * whites[i, row] for i in range(len(whites))))

    return of_view if by_views else of_row
