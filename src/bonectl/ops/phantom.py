"""A phantom by its spec."""

import time

from bonectl.core import memory, threads
from bonectl.core.cost import Cost
from bonectl.core.kit import bind
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid


def phantom(spec: Spec, shape: tuple[int, int, int], voxel: float, seed: int = 0) -> Stack:
    """Make a phantom.

    Parameters
    ----------
    spec : Spec
        A part of the kit of phantoms, e.g. ``iliac`` or ``ball(diameter=1)``.
    shape : (int, int, int)
        Voxels along (z, y, x).
    voxel : float
        Side of a voxel [mm].
    seed : int
        Which of all such phantoms.

    Returns
    -------
    Stack
        mgHA/cm³, float32, with what is known about it under `answers`.

    Raises
    ------
    UsageError
        When there is no such phantom or knob, or the object does not fit into the volume.
    """
    grid = Grid(tuple(shape), float(voxel), int(seed))  # type: ignore[arg-type]
    stack = bind("phantoms", spec)(grid)
    assert isinstance(stack, Stack)
    return stack


def cost(stack: Stack) -> Cost:
    """What making a phantom takes, about: two of its slabs are made, and the rest follows by their size."""
    begun = time.perf_counter()
    done = len(next(stack.slabs))
    first = seconds = time.perf_counter() - begun
    if (second := next(stack.slabs, None)) is not None:  # the first one pays for what is made once
        rest = stack.header.shape[0] - done
        seconds = first + (time.perf_counter() - begun - first) * rest / len(second)
    return Cost(memory_bytes=memory.resident(), seconds=seconds, threads=threads.count(), measured=True)
