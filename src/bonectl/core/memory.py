"""How much memory this process holds, and how much it may come to hold."""

import errno
import os
from dataclasses import dataclass
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
    """Bytes that this process may come to hold: a share of what is free on the machine and in its control groups."""
    free = _free()
    return int(resident() + SHARE * free) if free is not None else 1 << 62


def _free() -> int | None:
    found = [value for value in (_free_on_machine(), _free_in_groups()) if value is not None]
    return min(found, default=None)


def _free_on_machine() -> int | None:
    """MemAvailable of Linux: what can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return kibibytes[0] << 10 if kibibytes else None


@dataclass(frozen=True)
class _Version:
    """How one version of control groups tells its limits: its controller, where it is mounted, its files."""

    controller: str
    mounts: tuple[str, ...]
    limit: str
    used: str
    reclaimable: str


_VERSIONS = (
    _Version("", ("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory.max", "memory.current", "inactive_file"),
    _Version(
        "memory",
        ("sys/fs/cgroup/memory",),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def _free_in_groups(root: Path = Path("/")) -> int | None:
    """What the limits of this process's control group and of all groups around it leave: the least of them."""
    left = [
        _left(folder, version)
        for version in _VERSIONS
        for mount in version.mounts
        for folder in _ancestry(root / mount, _own_group(root, version))
    ]
    return min((size for size in left if size is not None), default=None)


def _own_group(root: Path, version: _Version) -> str:
    """The path of this process's group below the mount, as batch systems and service managers nest them."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    fields = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    paths = [path for _, controllers, path in fields if version.controller in controllers.split(",")]
    return paths[0].strip("/") if paths and ".." not in paths[0] else ""


def _ancestry(mount: Path, group: str) -> list[Path]:
    folder = mount / group
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(mount))]


def _left(folder: Path, version: _Version) -> int | None:
    """Limit less use; what the kernel can take back from its cache of files is not in use."""
    try:
        limit, used = (int((folder / name).read_text("ascii")) for name in (version.limit, version.used))
    except (OSError, ValueError):  # not there, or "max"
        return None
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        used -= int(stat.get(version.reclaimable, 0))
    except (OSError, ValueError):
        pass
    return max(0, limit - max(0, used))


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory was refused, also in words of torch, its loader and threads."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno is not None:  # its text holds the name of a file
        return error.errno == errno.ENOMEM
    said = (
        "allocate memory",
        "not enough memory",
        "out of memory",
        "std::bad_alloc",
        "failed to map segment",
        "can't allocate lock",
        "can't start new thread",
    )
    if isinstance(error, RuntimeError | ImportError | OSError) and any(part in str(error).lower() for part in said):
        return True
    before = error.__context__  # which llvmlite does not name as the cause
    return isinstance(error, OSError) and before is not None and is_shortage(before)


def spoken(size: float) -> str:
    """A size for people, as 1.3 GiB or 240 MiB."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
