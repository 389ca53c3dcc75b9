"""What changing a stack takes."""

from bonectl.core import memory
from bonectl.core.cost import Cost
from bonectl.core.header import Header
from bonectl.core.slabs import SLAB_BYTES
from bonectl.stacks import view_order

# Bytes that are read, changed and written in a second; copies of a slab that are on their way.
RATE = 300e6
PASSING = 10


def cost(header: Header, *, reordered: bool) -> Cost:
    """What changing a stack takes, about: slabs on their way, and the scan where it is held to reorder its views."""
    held = reordered and view_order.is_held(header)
    return Cost(
        memory_bytes=memory.resident() + PASSING * max(SLAB_BYTES, header.slice_bytes) + held * header.total_bytes,
        scratch_bytes=header.total_bytes if reordered and not held else None,
        seconds=header.total_bytes / (RATE / 2 if reordered else RATE),
        threads=1,
    )
