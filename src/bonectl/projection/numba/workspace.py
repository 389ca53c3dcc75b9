"""Arrays that kernels work in: they begin on a line of the processor's cache.

numpy's large arrays begin 16 bytes after one, so that every other vector of floats lies across two lines: 10 to 25 % of
a kernel's time. Results that callers keep are ordinary arrays.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

# Of a line of the cache [byte].
LINE = 64


def zeros(*shape: int) -> NDArray[np.float32]:
    """An array of float32 zeros; memory is taken where it is written."""
    return _aligned(np.zeros(prod(shape) + LINE // 4, dtype=np.float32), shape)


def empty(*shape: int) -> NDArray[np.float32]:
    """An array of float32 values, whatever they are."""
    return _aligned(np.empty(prod(shape) + LINE // 4, dtype=np.float32), shape)


def _aligned(whole: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    first = -(whole.ctypes.data // whole.itemsize) % (LINE // whole.itemsize)
    return whole[first : first + prod(shape)].reshape(shape)
