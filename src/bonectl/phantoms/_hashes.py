"""Chance that depends on whole numbers alone: compiled hashes, the same however a volume is cut."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any

import numpy as np
from numba import njit

SQRT3 = 1.7320508075688772


@njit(cache=True, error_model="numpy")
def mix(value: Any) -> Any:
    """SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014): a 64-bit hash of 64 bits."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, error_model="numpy")
def join(bits: Any, value: int) -> Any:
    """The hash of a hash and one more number."""
    return mix(bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(value) + np.uint64(1))


@njit(cache=True, error_model="numpy")
def unit(bits: Any) -> float:
    """The top 53 bits of a hash as a number in [0, 1)."""
    return float(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, error_model="numpy")
def normal(bits: Any) -> float:
    """The four quarters of a hash as a number of mean 0 and SD 1: nearly normal, and within 3.46 of 0."""
    total = 0.0
    for piece in range(4):
        total += float((bits >> np.uint64(16 * piece)) & np.uint64(0xFFFF)) / 65536.0
    return (total - 2.0) * SQRT3
