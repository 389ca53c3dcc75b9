"""How much memory measuring takes where the volume is held as a whole: told before a voxel is read.

Counted are bytes per voxel: the values and labels of each volume, what the hungriest number works in beside them, and
what others leave for later ones to use. The figures are measured peaks on real bone, rounded up; they are compared with
measured ones in the tests.
"""

from collections.abc import Collection, Mapping
from math import prod
from types import MappingProxyType

from bonectl.core import memory
from bonectl.core.header import Header
from bonectl.errors import MemoryShortageError

# Of the cut into bone and marrow, and of every number that is not named below.
LEAST = 5.0
# Beside values and labels, at the peak of a number; the last ones take two volumes [byte per voxel].
PEAKS: Mapping[str, float] = MappingProxyType(
    {
        "components": 15.0,
        "connd": 15.0,
        "tbth": 18.0,
        "tbn": 18.0,
        "tbsp": 12.0,
        "anisotropy": 17.0,
        "tbn_direct": 17.0,
        "concavity": 13.0,
        "porosity": 8.0,
        "ellipsoid_factor": 11.0,
        "tmd_eroded": 8.0,
        "cortical": 27.0,
        "ctth": 27.0,
        "ssim": 18.0,
        "surface_distance": 21.0,
        "fsc": 44.0,
        "mtf": 45.0,
        "bmd_distance": 28.0,
        "tbth_distance": 22.0,
    }
)
# What stays once worked out: masks of bone, marrow and volume of interest, the purified labels, the thickness map.
MASKS, PURIFIED, MAP = 3.0, 1.0, 4.0
KEEPING = (({"components", "connd"}, PURIFIED), ({"tbth", "tbn", "tbth_distance"}, MAP))

# Numbers that come with the labels, slice by slice: nothing of the volume is kept for them.
ADDITIVE = ("bvtv", "surface", "euler", "smi", "tbpf", "bmd", "tmd", "density_spread")


def needed(names: Collection[str], headers: Collection[Header]) -> int:
    """Bytes that measuring holds at its peak, beside what the process held before.

    Parameters
    ----------
    names : collection of str
        Of the metrics.
    headers : collection of Header
        Of the volume, and of its reference where there is one.
    """
    values_and_labels = sum(header.item_bytes + 1 for header in headers)
    work = max((PEAKS.get(name, LEAST) for name in names), default=LEAST)
    masks = MASKS if set(names) - set(ADDITIVE) else 0.0
    kept = masks + sum(size for those, size in KEEPING if those & set(names))
    voxels = prod(next(iter(headers)).shape)
    return memory.KERNELS + int(voxels * (values_and_labels + work + len(headers) * kept))


def check(names: Collection[str], headers: Collection[Header], limit: int | None) -> None:
    """Refuse what does not fit into memory.

    Parameters
    ----------
    names, headers
        As `needed`.
    limit : int, optional
        Bytes that the process may hold; nothing is most of what is free.

    Raises
    ------
    MemoryShortageError
    """
    room = limit or memory.available()
    peak = memory.resident() + needed(names, headers)
    if peak <= room:
        return
    shape = " × ".join(map(str, next(iter(headers)).shape))
    raise MemoryShortageError(
        f"these numbers of {shape} voxels take about {memory.spoken(peak)}, and {memory.spoken(room)} may be taken; "
        f"{', '.join(ADDITIVE[:-1])} and {ADDITIVE[-1]} alone, with a number as --threshold, stream in little memory; "
        "for the others crop or bin the volume (convert --crop, --bin), or give a larger --max-memory"
    )
