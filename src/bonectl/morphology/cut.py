"""A threshold, and how it was found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Bone is what lies above `value`, after a Gaussian filter of `sigma`.

    Parameters
    ----------
    value : float
        In `unit`. A voxel of exactly this value is marrow.
    unit : str
    rule : str
        The segmentation that found it, printed with every result.
    sigma : float
        Standard deviation of the filter [voxel]; 0 is none.
    """

    value: float
    unit: str
    rule: str
    sigma: float = 0.0

    def bone(self, grey: NDArray[np.number]) -> NDArray[np.bool_]:
        """Which voxels are bone, (z, y, x); the whole volume is needed when `sigma` > 0."""
        return np.asarray(smoothed(grey, self.sigma) > self.value)

    def __str__(self) -> str:
        unit = "" if self.unit in ("label", "grey") else f" {self.unit}"
        return f"> {self.value:.7g}{unit}, {self.rule}"


def smoothed(values: NDArray[np.number], sigma: float) -> NDArray[np.number]:
    """Gaussian filter of `sigma` voxels, cut at 4 sigma, mirrored at the border; float32 unless `sigma` is 0."""
    if sigma == 0:
        return values
    from scipy.ndimage import gaussian_filter

    result: Grey = gaussian_filter(values.astype(np.float32, copy=False), sigma, truncate=4.0)
    return result


@dataclass(frozen=True, eq=False)
class Volume:
    """What a segmentation may look at.

    Parameters
    ----------
    values : (z, y, x) array
    unit : str
    voi : (z, y, x) bool array, optional
        Volume of interest; None is all of it.
    """

    values: NDArray[np.number]
    unit: str
    voi: NDArray[np.bool_] | None = None

    def inside(self, sigma: float) -> NDArray[np.number]:
        """The values inside the volume of interest, filtered, in one row."""
        filtered = smoothed(self.values, sigma)
        return filtered.ravel() if self.voi is None else filtered[self.voi]
