"""Bad and dead pixels of the detector, filled from those around them."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.sparse import csr_array

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.preparation import Plane, Setting, Step, gathered
from bonectl.errors import DataError, UsageError

WORKS = "projections"
READS = ("counts", "transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = False
FRAMES = True
BESIDE = 32
BYTES = 9.0
PACE = 1.0

# Side of the neighbourhood that a pixel is compared with [pixel].
AROUND = 7
# So many live pixels are wanted around a bad one before a wider square is looked at.
ENOUGH = 3


def badpixels(scan: Setting, *, mask: str | None = None, deviation: float = 0.5, most: float = 0.2) -> Step:
    """Pixels that tell nothing, filled with the mean of the nearest live ones around, weighted by 1 / distance².

    Found where flats are given: pixels whose open beam (flat - dark) differs from the median of the 7 × 7 around by
    more than a share of it, dead ones among them, and those whose dark reads more than that share above. Flats and
    darks are filled too. A linear slope of values across a single bad pixel is kept.

    Parameters
    ----------
    scan : Setting
    mask : str, optional
        A file of the detector's rows × columns in which bad pixels are not 0: they are filled beside the found ones.
    deviation : float
        Share of the open beam around by which a pixel may differ; 0 finds only pixels that read no beam at all.
    most : float
        Share of the detector that may be bad.

    Raises
    ------
    UsageError
        When there are neither flats nor a mask, or a knob is out of range.
    DataError
        When sizes differ, or more pixels are bad than may be.
    """
    if deviation < 0 or not 0 < most <= 1:
        raise UsageError(f"badpixels(deviation={deviation:g}, most={most:g}); give shares, 0.5 and 0.2 as they are")
    if scan.flats is None and mask is None:
        raise UsageError("badpixels finds bad pixels in flats, or takes a mask; give --flats, or badpixels(mask=FILE)")
    there = (scan.lengths["row"], scan.lengths["col"])
    bad = np.zeros(there, np.bool_)
    if mask is not None:
        bad |= _told(scan.read(mask), there, mask)
    if scan.flats is not None:
        bad |= _found(scan, there, deviation)
    if bad.mean() > most or bad.all():
        raise DataError(f"{bad.mean():.1%} of the detector are bad, more than badpixels(most={most:g}) allows")
    if not bad.any():
        return Step(scan.header.replace(dtype="<f4"), lambda plane, _: plane)
    fill = _filling(bad)
    progress.note(f"{counted(int(bad.sum()), 'bad pixel')} ({bad.mean():.2g} of all), filled from those around")

    def filled(plane: Plane) -> Plane:
        done = plane.copy()
        done[bad] = fill @ np.where(bad, np.float32(0), plane).ravel()
        return done

    return Step(scan.header.replace(dtype="<f4"), lambda plane, _: filled(plane), frames=filled)


def _told(values: NDArray[np.generic], there: tuple[int, int], name: str) -> NDArray[np.bool_]:
    if values.shape[-2:] != there or values.size != there[0] * there[1]:
        raise DataError(f"{name} has the shape {values.shape}, the detector {there} (rows, columns)")
    return np.asarray(values.reshape(there) != 0)


def _found(scan: Setting, there: tuple[int, int], deviation: float) -> NDArray[np.bool_]:
    assert scan.flats is not None
    bright = gathered(scan.flats, ())[1][0]
    dark = np.zeros_like(bright) if scan.darks is None else gathered(scan.darks, ())[1][0]
    if bright.shape != there or dark.shape != there:
        raise DataError(f"flats are {bright.shape}, darks {dark.shape}, the detector {there} (rows, columns)")
    white = bright - dark
    dead = ~(np.isfinite(white) & (white > 0))
    if not deviation:
        return np.asarray(dead)
    usual = median_filter(np.where(dead, np.float32(0), white), AROUND, mode="reflect")
    rest = median_filter(np.where(dead, np.float32(0), dark), AROUND, mode="reflect")
    with np.errstate(invalid="ignore"):
        odd = (np.abs(white - usual) > deviation * usual) | (dark - rest > deviation * usual)
    return np.asarray(dead | (odd & (usual > 0)))


def _filling(bad: NDArray[np.bool_]) -> csr_array:
    """Weights of all pixels for each bad one, (bad, pixels)."""
    rows, columns = bad.shape
    values: list[float] = []
    places: list[int] = []
    ends = [0]
    for row, column in np.argwhere(bad):
        for reach in range(1, max(bad.shape) + 1):
            top, left = max(0, row - reach), max(0, column - reach)
            live = np.argwhere(~bad[top : row + reach + 1, left : column + reach + 1]) + np.array([top, left])
            if len(live) >= min(ENOUGH, rows * columns - int(bad.sum())):
                break
        near = 1.0 / ((live - np.array([row, column])) ** 2).sum(axis=1)
        values += (near / near.sum()).tolist()
        places += (live[:, 0] * columns + live[:, 1]).tolist()
        ends.append(len(values))
    return csr_array((np.array(values, np.float32), places, ends), shape=(len(ends) - 1, rows * columns))
