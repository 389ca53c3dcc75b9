"""Slabs made while those before them are used, so that reading, work and writing overlap."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from bonectl.core.slabs import Array

NAME = "bonectl-ahead"


def ahead(slabs: Iterable[Array]) -> Iterator[Array]:
    """The same slabs; while the caller works on one, the next is made by another thread.

    One slab more is held than without, and what making it takes. What that raises comes in the slab's turn. Whoever
    stops before the end does not wait: a slab that is being made is finished and dropped.

    Parameters
    ----------
    slabs : iterable of arrays
        Walked by one thread at a time, always in a copy of the context in which the first slab is asked for. What
        libraries keep for each thread (torch's gradients, numba's count of threads) must be set where they are made.
    """
    source, step = iter(slabs), copy_context().run

    def following() -> Array | None:
        return next(source, None)

    executor = ThreadPoolExecutor(1, thread_name_prefix=NAME)
    try:
        coming = executor.submit(step, following)
        while (slab := coming.result()) is not None:
            coming = executor.submit(step, following)  # and lets go of the slab
            yield slab
            del slab  # or it would be held while the next one is waited for
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
