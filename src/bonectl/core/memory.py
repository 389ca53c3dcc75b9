"""How much memory this process holds, and how much it may come to hold."""

import os
from pathlib import Path

# Compiled kernels, FFT tables and the like, which are there once work has begun [byte].
KERNELS = 160 << 20

# How much of the memory that is free now may be taken, where nobody said: the rest is for what others do meanwhile.
SHARE = 0.9


def resident() -> int:
    """Bytes of memory that this process holds now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def available() -> int:
    """Bytes that this process may come to hold: a share of what is free on the machine and in its control group."""
    free = _free()
    return int(resident() + SHARE * free) if free is not None else 1 << 62


def _free() -> int | None:
    found = [value for value in (_free_on_machine(), _free_in_group()) if value is not None]
    return min(found, default=None)


def _free_on_machine() -> int | None:
    """MemAvailable of Linux: what can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return kibibytes[0] << 10 if kibibytes else None


def _free_in_group() -> int | None:
    """What the limit of the control group (version 2, or 1) leaves."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int(Path(limit).read_text("ascii")) - int(Path(used).read_text("ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None


def spoken(size: float) -> str:
    """A size for people, as 1.3 GiB or 240 MiB."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
