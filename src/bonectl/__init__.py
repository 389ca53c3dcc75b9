"""Low-dose bone micro-CT as composable Unix tools."""

__version__ = "0.1.0"
__date__ = "2026-11-22"  # of this version; the man pages carry it

from bonectl.core import kernel_cache

kernel_cache.settle()  # before anything imports numba, whichever way in
