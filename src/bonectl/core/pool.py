"""Work shared between threads: pieces that release the interpreter lock (numba with ``nogil``, FFT, numpy).

The pieces are cut by the caller, by what is computed and never by the number of threads, so that one thread
and many give the same bits. Plain threads serve instead of numba's parallel layers: those spin while idle,
abort when two Python threads enter them, and do not survive a fork.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache

from bonectl.core import threads


@lru_cache(maxsize=1)
def _executor(count: int, _process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="bonectl")


def each(work: Callable[[int, int], None], pieces: Iterable[tuple[int, int]]) -> None:
    """Call ``work(low, high)`` for every piece, and return when all are done.

    Raises
    ------
    Exception
        Whatever a piece raised first.
    """
    count = threads.count()
    if count == 1:
        for low, high in pieces:
            work(low, high)
        return
    # the process id is part of the key because a fork inherits the executor but not its threads
    # each piece in the caller's context: what NumPy shall warn of is kept there
    submit = _executor(count, os.getpid()).submit
    futures = [submit(copy_context().run, work, low, high) for low, high in pieces]
    for future in futures:
        future.result()


def cut(total: int, step: int) -> list[tuple[int, int]]:
    """The pieces [0, step), [step, 2 step), ... of `total`; the last one may be shorter."""
    return [(low, min(low + step, total)) for low in range(0, total, step)]
