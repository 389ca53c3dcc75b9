"""Low-dose bone micro-CT as composable Unix tools, and the same verbs for notebooks.

>>> import bonectl
>>> bone = bonectl.phantom("iliac", shape=(16, 32, 32), voxel_size=0.05)
>>> bonectl.measure(bone, metrics="bvtv")["bvtv"]  # doctest: +SKIP

Names are loaded when they are first used: importing this costs neither torch nor numpy.
"""

__version__ = "0.2.0"
__date__ = "2026-11-29"  # of this version; the man pages carry it

from typing import TYPE_CHECKING, Any

from bonectl.core import kernel_cache

if TYPE_CHECKING:
    from bonectl.core.geometry import Geometry
    from bonectl.core.header import Header
    from bonectl.core.stack import Stack
    from bonectl.errors import BonectlError
    from bonectl.ops.measure import measure
    from bonectl.ops.reconstruct import reconstruct
    from bonectl.projection.projector import Projector
    from bonectl.verbs import calibrate, denoise, geometry, info, phantom, prepare, read, simulate, train, write

__all__ = [
    "BonectlError",
    "Geometry",
    "Header",
    "Projector",
    "Stack",
    "calibrate",
    "denoise",
    "geometry",
    "info",
    "measure",
    "phantom",
    "prepare",
    "read",
    "reconstruct",
    "simulate",
    "train",
    "write",
]

# Where a name is, that is not among the verbs for notebooks.
_HOMES = {
    "BonectlError": "bonectl.errors",
    "Geometry": "bonectl.core.geometry",
    "Header": "bonectl.core.header",
    "Projector": "bonectl.projection.projector",
    "Stack": "bonectl.core.stack",
    "measure": "bonectl.ops.measure",
    "reconstruct": "bonectl.ops.reconstruct",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bonectl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "bonectl.verbs")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


kernel_cache.settle()  # before anything imports numba, whichever way in
