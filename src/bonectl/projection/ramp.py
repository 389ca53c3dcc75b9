"""The ramp filter of filtered back-projection, right at frequency 0."""

from math import pi

import numpy as np
from numpy.typing import NDArray


def ramp(length: int) -> NDArray[np.float64]:
    """The ramp at the frequencies of a real transform of `length` samples, for unit pitch, (length // 2 + 1,).

    The transform of its band-limited impulse response, 1/4 at 0, -1/(pi n)^2 at odd n, 0 at even n (Kak and Slaney,
    *Principles of Computerized Tomographic Imaging*, 1988, eq. 3.61). Sampling |f| instead would set the mean to
    zero, and the reconstructed density off by percents.

    Parameters
    ----------
    length : int
        Even, and at least twice the detector's columns, so that nothing wraps around.
    """
    # whole numbers: one that was rounded is neither odd nor even
    n = np.minimum(np.arange(length), length - np.arange(length))
    impulse = np.zeros(length)
    odd = n % 2 == 1
    impulse[odd] = -1 / (pi * n[odd]) ** 2
    impulse[0] = 0.25
    return np.asarray(np.fft.rfft(impulse).real, dtype=np.float64)
