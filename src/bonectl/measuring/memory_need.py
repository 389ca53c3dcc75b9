"""How much memory measuring takes where the volume is held as a whole: told before a voxel is read.

Counted are bytes per voxel: the values and labels of each volume, what the hungriest number works in beside them, and
what others leave for later ones to use. Each number's file states its own: measured peaks on real bone, rounded up.
They are compared with measured ones in the tests.
"""

from collections.abc import Collection
from math import prod

from bonectl.core import kit, memory
from bonectl.core.header import Header
from bonectl.errors import MemoryShortageError

# Of the cut into bone and marrow, before there is any number [byte per voxel].
LEAST = 5.0
# What stays once worked out: masks of bone, marrow and volume of interest, and what numbers leave for one another.
MASKS = 3.0
KEPT = {"purified": 1.0, "thickness": 4.0}


def additive() -> list[str]:
    """Numbers that come with the labels, slice by slice: nothing of the volume is kept for them."""
    return [name for name in kit.names("metrics", by="PLACE") if kit.describe("metrics", name).flows == ("sums",)]


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
    work = max((kit.fact("metrics", name, "BYTES") for name in names), default=LEAST)
    masks = MASKS if set(names) - set(additive()) else 0.0
    kept = masks + sum(KEPT[what] for what in {what for name in names for what in kit.fact("metrics", name, "KEEPS")})
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
    *others, last = additive()
    shape = " × ".join(map(str, next(iter(headers)).shape))
    raise MemoryShortageError(
        f"these numbers of {shape} voxels take about {memory.spoken(peak)}, and {memory.spoken(room)} may be taken; "
        f"{', '.join(others)} and {last} alone, with a number as --threshold, stream in little memory; "
        "for the others crop or bin the volume (convert --crop, --bin), or give a larger --max-memory"
    )
