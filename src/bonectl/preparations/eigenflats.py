"""Counts to transmission where the beam's profile changes from view to view, by the principal components of flats."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bonectl.core import physics
from bonectl.core.preparation import Plane, Setting, Step, gathered
from bonectl.core.scan import Frames
from bonectl.core.slabs import Array
from bonectl.errors import DataError, UsageError

WORKS = "projections"
READS = ("counts",)
GIVES = "transmission"
MOVES = False
ASKS = False
FRAMES = True
BESIDE = None
BYTES = 24.0
PACE = 20.0

# The weights of a view are found on squares of so many pixels: fields are smooth, and noise averages out.
BIN = 4
# Share of the differences between neighbours that are looked at: the steepest are the object's.
LOOKED_AT = 0.5
STEPS = 4


def eigenflats(scan: Setting, *, components: int = 3, smooth: float = 2.0) -> Step:
    """Transmission by a flat of each view's own, the mean one and a share of each principal component of all flats.

    A monochromator that drifts or a source that trembles changes the profile of the beam within seconds, and no mean of
    flats from before and after is that of a view. What flats do, they do along few components; how much of each is in a
    view is found by the least squares of the differences between neighbours in its transmission, without the steeper
    half, in which the object is (after Van Nieuwenhove, De Beenhouwer, De Carlo, Mancini, Marone and Sijbers, Opt.
    Express 23, 27975, 2015, who take the total variation). Where the beam stands still it is as good as the mean flat.

    Parameters
    ----------
    scan : Setting
    components : int
        How many; fewer than there are flats.
    smooth : float
        Standard deviation of the Gaussian that takes the noise from them [pixel].

    Raises
    ------
    UsageError
        When there are not more flats than components, or a knob is out of range.
    DataError
        When flats, darks and scan differ in size, or a pixel is not brighter in the flats: badpixels fills such.
    """
    frames, there = scan.flats, (scan.lengths["row"], scan.lengths["col"])
    if frames is None or not 1 <= components < frames.count or smooth < 0:
        count = 0 if frames is None else frames.count
        raise UsageError(f"eigenflats(components={components}) of {count} flats; there must be more flats than that")
    if min(there) < 2 * BIN:
        raise UsageError(f"eigenflats of {there[0]} rows × {there[1]} columns; give {2 * BIN} of each at least")
    mean = gathered(frames, ())[1][0]
    dark = np.zeros_like(mean) if scan.darks is None else gathered(scan.darks, ())[1][0]
    if mean.shape != there or dark.shape != there:
        raise DataError(f"flats are {mean.shape}, darks {dark.shape}, the detector {there} (rows, columns)")
    white = mean - dark
    if not (white > 0).all():
        raise DataError("a pixel is not brighter in the flats than in the darks; write 'badpixels + eigenflats'")
    fields = _components(frames, mean, components)
    fields = np.stack([gaussian_filter(field, smooth, mode="nearest") if smooth else field for field in fields]) / white
    coarse = np.stack([_binned(field) for field in fields])

    def work(plane: Plane, _: int) -> Plane:
        share = (plane - dark) / white
        weights = _weights(_binned(share), coarse)
        return np.asarray(share / (1 + np.einsum("k,krc->rc", weights, fields)), dtype=np.float32)

    header = scan.header
    facts = {k: v for k, v in header.acquisition.items() if k not in ("white", "dark")}
    if "photons" not in facts:
        level = float(np.median(white))
        facts["least_transmission"] = physics.least_reading(level, whole=header.dtype[1] != "f") / level
    return Step(header.replace(unit="transmission", dtype="<f4", acquisition=facts), work)


def _components(frames: Frames, mean: Array, count: int) -> NDArray[np.float32]:
    """The directions in which flats differ most from their mean, (count, row, col), each with its standard deviation.

    Their shares in each flat are those of the flats on squares of pixels, so that no more than one flat is held.
    """
    with frames.source.open() as stack:
        small = np.stack([_binned(frame - mean).ravel() for slab in stack.slabs for frame in slab]).astype(np.float64)
    _, shares = np.linalg.eigh(np.einsum("ip,jp->ij", small, small))
    chosen = shares[:, ::-1][:, :count]
    fields = np.zeros((count, *mean.shape))
    index = 0
    with frames.source.open() as stack:
        for slab in stack.slabs:
            for frame in slab:
                fields += chosen[index, :, None, None] * (frame - mean)
                index += 1
    return np.asarray(fields / np.sqrt(frames.count), dtype=np.float32)


def _weights(share: Array, fields: Array) -> NDArray[np.float32]:
    """How much of each field is in a transmission: the shares whose removal leaves the least between neighbours.

    By some steps of Gauss and Newton, since the transmission is divided by the fields and not less them.
    """
    weights = np.zeros(len(fields))
    for _ in range(STEPS):
        flat = 1 + np.einsum("k,krc->rc", weights, fields)
        rest = share / flat
        steps = _differences(rest)
        sides = np.stack([_differences(rest * field / flat) for field in fields])
        sides = np.where(np.abs(steps) <= np.quantile(np.abs(steps), LOOKED_AT), sides, 0.0)
        normal = np.einsum("ip,jp->ij", sides, sides)
        scale = max(float(np.trace(normal)), np.finfo(np.float64).tiny)
        weights += np.linalg.solve(normal + 1e-9 * scale * np.eye(len(fields)), np.einsum("ip,p->i", sides, steps))
    return np.asarray(weights, dtype=np.float32)


def _differences(values: Array) -> NDArray[np.float64]:
    """Between neighbours in a row, and in a column."""
    wide = values.astype(np.float64)
    return np.concatenate([np.diff(wide, axis=0).ravel(), np.diff(wide, axis=1).ravel()])


def _binned(plane: Array) -> Array:
    """Means over squares of pixels; what does not fill one at the end is left out."""
    rows, columns = (length // BIN for length in plane.shape)
    return np.asarray(plane[: rows * BIN, : columns * BIN].reshape(rows, BIN, columns, BIN).mean(axis=(1, 3)))
