"""How many threads the kernels use: one number for numba, FFT and torch alike.

numba and torch keep counts of their own. In a process of the command line these follow; in a notebook's they are its
own, and no verb sets them.
"""

import os
from contextvars import ContextVar

from bonectl.errors import UsageError

# More threads than this for each processor are a slip of the hand: a million take the whole process table with them.
MOST_PER_PROCESSOR = 16

# So many may always be asked for, as a script for a larger machine does.
MOST_ANYWHERE = 64

# How many turns a thread that waits for others spins before it sleeps: about 0.1 ms, which bridges the gap between two
# operators. GNU's OpenMP, which torch and numba use, takes 300,000: on a machine that others use too, threads then
# spend twice the work's CPU time and more on waiting for one that does not run.
SPINS = 10_000

# Threads of OpenBLAS, of which NumPy and SciPy load one each for every processor, spin for 2 to this power of cycles
# before they sleep, from the moment they are loaded on: 26 if nothing is said, a third of a short command's CPU time on
# two processors, and more on more.
BLAS_SPINS = 4

_chosen: ContextVar[int] = ContextVar("threads", default=0)
_ours: ContextVar[bool] = ContextVar("ours", default=False)


def available() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count() -> int:
    """Threads to use: what `choose` was given, else all processors this process may run on."""
    return _chosen.get() or available()


def choose(threads: int) -> None:
    """Use this many threads from now on; 0 means all.

    Raises
    ------
    UsageError
        When negative, or far more than there are processors.
    """
    if threads < 0:
        raise UsageError(f"{threads} threads; give 0 for all, or a positive number")
    most = max(MOST_ANYWHERE, MOST_PER_PROCESSOR * available())
    if threads > most:
        raise UsageError(f"more than {most} threads are too many for {available()} processors; give 0 for one on each")
    _chosen.set(threads)


def govern(threads: int) -> None:
    """As `choose`, in a process that is ours alone: numba's and torch's own counts follow when they are first needed.

    Raises
    ------
    UsageError
        As `choose`.
    """
    choose(threads)
    _ours.set(True)


def let_sleep() -> None:
    """Let threads that wait sleep soon, in a process that is ours alone, before NumPy or torch is loaded.

    Whoever has said in the environment how threads wait is obeyed.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", str(BLAS_SPINS))


def settle_numba() -> None:
    """Let numba's kernels use `count` threads, where the process is ours."""
    if _ours.get():
        import numba

        numba.set_num_threads(min(count(), numba.config.NUMBA_NUM_THREADS))


def kernels_may_meet() -> bool:
    """Whether several threads may be in numba's parallel kernels at a time: its own scheduler ends the process then."""
    import numba

    numba.get_num_threads()  # starts the scheduler, which is not known before
    return numba.threading_layer() in ("omp", "tbb")


def settle_torch() -> None:
    """Let torch's operators on the CPU use `count` threads, where the process is ours."""
    if _ours.get():
        import torch

        torch.set_num_threads(count())
