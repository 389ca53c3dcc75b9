"""A threshold, how it was found, and the filter before it."""

from dataclasses import dataclass
from math import pi
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing
from bonectl.errors import UsageError

Grey = NDArray[np.float32]

# Widest Gaussian before a threshold [voxel]: far wider than any bone that could be left.
WIDEST = 100.0


class Filter(Protocol):
    """What is done to the grey values before they are cut; keeps their unit."""

    @property
    def reach(self) -> int | None:
        """How many slices away a voxel still matters; None is any."""

    def __call__(self, values: NDArray[np.number]) -> NDArray[np.number]:
        """The filtered values, (z, y, x)."""


@dataclass(frozen=True)
class NoFilter:
    """The values as they are."""

    @property
    def reach(self) -> int:
        """0."""
        return 0

    def __call__(self, values: NDArray[np.number]) -> NDArray[np.number]:
        """The values as they are."""
        return values

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True)
class Gaussian:
    """Gaussian filter, cut at 4 sigma, mirrored at the border.

    Parameters
    ----------
    sigma : float
        Standard deviation [voxel].
    """

    sigma: float

    # Where the filter ends, in sigmas.
    TRUNCATE = 4.0

    @property
    def reach(self) -> int:
        """Half the filter's length."""
        return int(self.TRUNCATE * self.sigma + 0.5)

    def __call__(self, values: NDArray[np.number]) -> NDArray[np.number]:
        """The filtered values, (z, y, x) float32."""
        from scipy.ndimage import gaussian_filter

        result: Grey = gaussian_filter(values.astype(np.float32, copy=False), self.sigma, truncate=self.TRUNCATE)
        return result

    def __str__(self) -> str:
        return f"gaussian(sigma={self.sigma:g} voxels)"


@dataclass(frozen=True)
class LaplaceHamming:
    """Edges raised by a Laplacian, noise cut by a Hamming window, in the Fourier domain.

    The transfer function at |k| cycles per mm is (1 + ε/(1 - ε) |k|²) (1 - A/2 + A/2 cos(π |k| / K)) below K, 0 from
    there on: wide structures keep their value. The volume is mirrored at its border.

    Parameters
    ----------
    epsilon : float
        ε, the weight of the Laplacian [mm²]: 0 is none, below 1.
    cutoff : float
        K [cycles/voxel of the shortest side].
    amplitude : float
        A of the window; 1 is Hann's.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    """

    epsilon: float
    cutoff: float
    amplitude: float
    spacing: Spacing

    @property
    def reach(self) -> None:
        """Any."""
        return None

    def response(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transfer function at `squared` |k|² [cycles²/mm²]."""
        k = np.sqrt(squared) * (min(self.spacing) / self.cutoff)
        window = np.where(k < 1, 1 - self.amplitude / 2 + self.amplitude / 2 * np.cos(pi * k), 0)
        gain: NDArray[np.float64] = (1 + self.epsilon / (1 - self.epsilon) * squared) * window
        return gain

    def __call__(self, values: NDArray[np.number]) -> NDArray[np.number]:
        """The filtered values, (z, y, x) float32."""
        from scipy.fft import dctn, idctn

        # The cosine transform is the Fourier transform of the volume and its mirror images: index m is m / 2n cycles.
        waves = dctn(values.astype(np.float32))
        z, y, x = ((np.arange(n) / (2 * n * side)) ** 2 for n, side in zip(values.shape, self.spacing, strict=True))
        across = y[:, None] + x
        for plane, height in zip(waves, z, strict=True):
            plane *= self.response(height + across).astype(np.float32)
        result: Grey = idctn(waves, overwrite_x=True)
        return result

    def __str__(self) -> str:
        return f"laplace_hamming(epsilon={self.epsilon:g}, cutoff={self.cutoff:g}, amplitude={self.amplitude:g})"


NONE = NoFilter()


def blur(sigma: float) -> Filter:
    """A Gaussian filter of `sigma` voxels; of 0, none.

    Raises
    ------
    UsageError
        When sigma is negative, or larger than `WIDEST`.
    """
    if not 0 <= sigma <= WIDEST:
        raise UsageError(f"sigma={sigma:g} voxels before the threshold; it must be 0 to {WIDEST:g}")
    return Gaussian(sigma) if sigma else NONE


@dataclass(frozen=True)
class Threshold:
    """Bone is what lies above `value` after a filter.

    Parameters
    ----------
    value : float
        In `unit`. A voxel of exactly this value is marrow.
    unit : str
    rule : str
        The segmentation that found it, printed with every result.
    filter : Filter
    mask : bool
        Whether what is cut is a mask: its values say on which side of the surface a voxel lies, not how far away.
    doubts : tuple of str
        Why the value may be wrong.
    """

    value: float
    unit: str
    rule: str
    filter: Filter = NONE
    mask: bool = False
    doubts: tuple[str, ...] = ()

    def bone(self, grey: NDArray[np.number]) -> NDArray[np.bool_]:
        """Which voxels are bone, (z, y, x); the filter's reach of slices around them is needed."""
        with np.errstate(over="ignore"):  # a threshold beyond the type of the values is above them all, or below
            return np.asarray(self.filter(grey) > self.value)

    def __str__(self) -> str:
        unit = "" if self.unit in ("label", "grey") else f" {self.unit}"
        return f"> {self.value:.7g}{unit}, {self.rule}"


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

    @property
    def has_two_levels(self) -> bool:
        """Whether the values inside the volume of interest are two, whatever they are: the volume is a mask."""
        levels: set[float] = set()
        for k, plane in enumerate(self.values):
            there = plane if self.voi is None else plane[self.voi[k]]
            if there.size:
                low, high = there.min(), there.max()
                levels |= {float(low), float(high)}
                if len(levels) > 2 or not ((there == low) | (there == high)).all():
                    return False
        return len(levels) == 2

    def inside(self, before: Filter) -> NDArray[np.number]:
        """The values inside the volume of interest, filtered, in one row."""
        filtered = before(self.values)
        return filtered.ravel() if self.voi is None else filtered[self.voi]
