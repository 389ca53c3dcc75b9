"""Zingers: readings of single views that are far too bright, where a stray photon hit the detector."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.counted import counted
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.core.total import Total
from bonectl.errors import UsageError

WORKS = "sinograms"
READS = ("counts", "transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = False
FRAMES = False
BESIDE = 0
BYTES = 36.0
PACE = 14.0

# Standard deviation of normal noise over the median of its magnitude; that of a reading less the mean of two others
# over its own.
PER_MEDIAN, OF_THREE = 1.4826, 1.5**0.5
# So many views tell a column's noise to 8 %.
ENOUGH = 256
# A reading is no zinger unless it is above its neighbours by this share too.
LEAST = 0.02


def zingers(scan: Setting, *, size: int = 3, threshold: float = 8.0) -> Step:
    """Readings that are brighter than all of the views beside them, taken from these.

    A reading counts as a zinger when it is above the brightest of the views beside it, at its own and the neighbouring
    columns, by a number of standard deviations of its column's noise (from the median of how far readings are from the
    mean of the views on either side), and by 2 %. It becomes the median of the views beside it. So an edge or a bright
    gap that moves on by a column in a view is none, and a spot may be as wide as it likes. Views are compared in the
    order of their angles.

    Parameters
    ----------
    scan : Setting
    size : int
        Views, and columns, that are compared: an odd number. A spot that stays for two views needs 5.
    threshold : float
        Standard deviations of the noise.

    Raises
    ------
    UsageError
        When the size is even or below 3, the threshold is not positive, or there are fewer views than that.
    """
    if size < 3 or size % 2 == 0 or not threshold > 0:
        raise UsageError(f"zingers(size={size}, threshold={threshold:g}); give an odd size from 3 and a positive one")
    if scan.lengths["view"] < size:
        raise UsageError(f"zingers(size={size}) of {scan.lengths['view']} views; a smaller size would do")
    order, found = scan.turning(), Total()
    back = None if order is None else np.argsort(order)
    darker = scan.header.unit == "line integral"

    def work(plane: Plane, _: int) -> Plane:
        views = plane if order is None else plane[order]
        done, count = _without(-views if darker else views, size // 2, threshold, relative=not darker)
        found.add(count)
        if not count:
            return plane
        done = -done if darker else done
        return done if back is None else done[back]

    def told() -> str | None:
        return f"zingers: {counted(found.count, 'reading')} taken from the views beside" if found.count else None

    return Step(scan.header.replace(dtype="<f4"), work, told=told)


def _without(views: Plane, reach: int, threshold: float, *, relative: bool) -> tuple[Plane, int]:
    """The sinogram without its zingers, and how many there were."""
    count = len(views)
    around = np.pad(views, ((reach, reach), (0, 0)), mode="reflect")
    beside = [place for place in range(2 * reach + 1) if place != reach]
    brightest = around[beside[0] : beside[0] + count].copy()
    for place in beside[1:]:
        np.maximum(brightest, around[place : place + count], out=brightest)
    brightest = _widened(brightest, reach)
    above = views - brightest
    odd = above > (np.float32(LEAST) * np.abs(brightest) if relative else np.float32(LEAST))
    seen = np.flatnonzero(odd.any(axis=0))  # the noise of other columns need not be known
    some = np.arange(0, count, max(1, count // ENOUGH))[:, None]
    before, after = around[some + reach - 1, seen], around[some + reach + 1, seen]
    noise = np.zeros(views.shape[1], np.float32)
    noise[seen] = np.median(np.abs(views[some, seen] - (before + after) / 2), axis=0) * (PER_MEDIAN / OF_THREE)
    odd &= above > np.float32(threshold) * noise
    places: NDArray[np.intp] = np.argwhere(odd)
    if len(places) == 0:
        return views, 0
    done = views.copy()
    rows, columns = places.T
    done[rows, columns] = np.median([around[rows + place, columns] for place in beside], axis=0)
    return done, len(places)


def _widened(views: Plane, reach: int) -> Plane:
    """The greatest of each column and of so many on either side of it."""
    done = views.copy()
    for away in range(1, reach + 1):
        np.maximum(done[:, away:], views[:, :-away], out=done[:, away:])
        np.maximum(done[:, :-away], views[:, away:], out=done[:, :-away])
    return done
