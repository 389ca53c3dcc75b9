"""What is a stripe by its frequencies: fine across columns, constant or nearly so along the views."""

from collections.abc import Callable
from functools import lru_cache
from math import ceil, comb, log2, pi, sin

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from bonectl.core.preparation import Plane

# Vanishing moments of the Daubechies wavelets.
MOMENTS = 5
# Frequencies along the views beyond so many standard deviations count nothing.
TAIL = 4.0


def along_turn(plane: Plane, order: NDArray[np.intp], work: Callable[[Plane], Plane]) -> Plane:
    """What `work` makes of views in the order of their angles, in their own order again."""
    done = np.empty_like(plane)
    done[order] = work(plane[order])
    return done


def regular(lines: Plane, *, size: int) -> Plane:
    """Stripes by the mean of all views: the s for which |D(p - s)|² + α |s|² is least, (1, col).

    Their normal equations (DᵀD + α) s = DᵀD p have three diagonals; D takes differences of neighbouring columns. Of a
    wave of period T, 4 sin²(π/T) / (4 sin²(π/T) + α) is taken off: with α = 4 sin²(π/size) half of that of `size`.
    """
    mean = lines.mean(axis=0, dtype=np.float64)
    return np.asarray((mean - smoothed(mean, 4 * sin(pi / size) ** 2))[None], dtype=np.float32)


def smoothed(values: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The u for which |D u|² + α |u - values|² is least."""
    bands = np.empty((2, values.size))
    bands[0], bands[1] = 2.0 + alpha, -1.0
    bands[0, [0, -1]] -= 1.0
    return np.asarray(solveh_banded(bands, alpha * values, lower=True))


def fine(lines: Plane, *, size: int, sigma: float) -> Plane:
    """Stripes by wavelets across columns and frequencies along views.

    All detail coefficients of the wavelets down to a scale of `size` are damped by 1 - exp(-k² / 2σ²) in their
    frequency k along the views. Both transforms act on another axis, so they may change places: the few frequencies
    that are damped at all are taken first, of these the details across columns, and that much is taken off.
    """
    views = len(lines)
    most = min(ceil(TAIL * sigma), (views - 1) // 2)
    waves = np.arange(most + 1)[:, None] * (2 * pi / views) * np.arange(views)
    basis = np.concatenate([np.cos(waves), np.sin(waves[1:])]).astype(np.float32)
    share = np.exp(-0.5 * (np.arange(most + 1) / sigma) ** 2) if sigma else np.ones(1)
    weight = np.where(np.arange(most + 1) == 0, 1.0, 2.0) / views * share
    # einsum and no product of matrices, whose threads would be their own, and whose rounding theirs
    modes = np.einsum("kv,vc->kc", basis, lines) * np.concatenate([weight, weight[1:]])[:, None].astype(np.float32)
    details = modes - coarse(modes, max(1, round(log2(size))))
    return np.asarray(np.einsum("kv,kc->vc", basis, details.astype(np.float32)))


def coarse(rows: NDArray[np.floating], levels: int) -> NDArray[np.float64]:
    """What is left of rows without the details of so many levels; ends are mirrored."""
    columns = rows.shape[-1]
    whole = 2**levels * ceil(2 * columns / 2**levels)
    there = np.concatenate([rows, rows[..., ::-1]], axis=-1, dtype=np.float64)
    there = np.concatenate([there, np.repeat(there[..., :1], whole - 2 * columns, axis=-1)], axis=-1)
    low = daubechies(MOMENTS)
    for _ in range(levels):
        there = sum(low[m] * np.roll(there, -m, axis=-1)[..., ::2] for m in range(low.size))
    for _ in range(levels):
        up = np.zeros((*there.shape[:-1], 2 * there.shape[-1]))
        up[..., ::2] = there
        there = sum(low[m] * np.roll(up, m, axis=-1) for m in range(low.size))
    return np.asarray(there[..., :columns])


@lru_cache(maxsize=4)
def daubechies(moments: int) -> NDArray[np.float64]:
    """The scaling filter of the orthogonal wavelet with so many vanishing moments, (2 moments,); its sum is √2.

    By the roots of P(y) = Σ C(N - 1 + k, k) y^k, y = (2 - z - 1/z) / 4, inside the unit circle (Daubechies, Comm. Pure
    Appl. Math. 41, 909, 1988, section 4).
    """
    ascending = [comb(moments - 1 + k, k) for k in range(moments)]
    roots = []
    for y in np.roots(ascending[::-1]) if moments > 1 else []:
        pair = np.roots([1.0, 4 * y - 2, 1.0])
        roots.append(pair[np.abs(pair) < 1][0])
    filter_ = np.real(np.poly([*([-1.0] * moments), *roots]))
    return np.asarray(filter_ * (np.sqrt(2) / filter_.sum()))
