"""Stripes of sinograms, which a reconstruction would turn into rings."""

from collections.abc import Callable
from functools import partial

import numpy as np

from bonectl.core.preparation import Plane, Setting, Step
from bonectl.errors import UsageError
from bonectl.preparations._smooth import along_turn, fine, regular
from bonectl.preparations._vo import bridged_over, sorted_out, sorted_wide

WORKS = "sinograms"
READS = ("transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = False
FRAMES = False
BESIDE = 0
BYTES = 18.0
PACE = 15.0

METHODS = ("smoothing", "wavelet", "sorting", "vo")


def stripes(
    scan: Setting, *, method: str = "smoothing", size: int = 21, large: int = 51, snr: float = 3.0, sigma: float = 1.0
) -> Step:
    """Stripes that a pixel leaves in all views of its column, each of which would be a ring.

    First, pixels that do not answer or fluctuate are found and their columns lie between the nearest others (Vo, Atwood
    and Drakopoulos, Opt. Express 26, 28396, 2018, algorithm 6). Then, by the method:

    smoothing: from the mean of all views what makes it rough across columns is taken off, by the least squares of
    Titarenko, Withers and Yagola (Appl. Math. Lett. 23, 1489, 2010). For stripes that are the same in all views; it
    costs least and changes a clean scan least.

    wavelet: what varies across columns on a scale below the size and hardly at all along the views is taken off, by
    Daubechies wavelets across columns and a Gaussian in the frequencies along the views (Münch, Trtik, Marone and
    Stampanoni, Opt. Express 17, 8567, 2009). For stripes that come and go.

    sorting: the readings of each column are sorted, a median across columns is taken at each rank, and every reading
    gets that of its rank (Vo, algorithm 3). For stripes that depend on how much light there is.

    vo: wide stripes first (Vo, algorithm 5), and then sorting.

    Smoothing and wavelet take off line integrals, of transmissions a factor. A ring around the axis that is part of
    the object is a stripe too: nothing in a sinogram tells them apart.

    Parameters
    ----------
    scan : Setting
    method : {"smoothing", "wavelet", "sorting", "vo"}
        How.
    size : int
        Width of what is a stripe [column]: of the median of sorting, of the coarsest wavelet (a power of 2 near it),
        or period at which smoothing takes off half.
    large : int
        Width of the median beside which pixels that do not answer, and wide stripes of vo, stand out [column].
    snr : float
        How far these stand out, in ranges of all columns; the higher, the fewer.
    sigma : float
        wavelet: turns of the pattern along all views up to which it is a stripe, as a standard deviation.

    Raises
    ------
    UsageError
        When there is no such method, or a knob is out of range.
    """
    if method not in METHODS:
        raise UsageError(f"stripes(method={method}); there are {', '.join(METHODS)}")
    if not (size >= 2 and large >= 2 and snr > 0 and sigma >= 0):
        raise UsageError(f"stripes(size={size}, large={large}, snr={snr:g}, sigma={sigma:g}); give sizes from 2")
    lines = scan.header.unit == "line integral"
    work: Callable[[Plane], Plane] = {
        "vo": partial(sorted_wide, size=size, large=large, snr=snr, additive=lines),
        "sorting": partial(sorted_out, size=size),
        "wavelet": partial(_less, found=partial(fine, size=size, sigma=sigma), lines=lines),
        "smoothing": partial(_less, found=partial(regular, size=size), lines=lines),
    }[method]
    order = scan.turning()

    def answering(plane: Plane) -> Plane:
        return work(bridged_over(plane, large=large, snr=snr))

    def in_turn(plane: Plane, _: int) -> Plane:
        return answering(plane) if order is None else along_turn(plane, order, answering)

    return Step(scan.header.replace(dtype="<f4"), in_turn)


def _less(plane: Plane, *, found: Callable[[Plane], Plane], lines: bool) -> Plane:
    """Line integrals less the stripes that are found in them; transmissions divided by them."""
    if lines:
        return np.asarray(plane - found(plane))
    positive = plane[plane > 0]
    if positive.size == 0:
        return plane
    return np.asarray(plane * np.exp(-found(np.log(np.maximum(plane, positive.min())))))
