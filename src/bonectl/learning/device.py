"""Where tensors are computed."""

import torch

from bonectl.core import threads
from bonectl.errors import UnavailableError, UsageError


def choose(name: str) -> torch.device:
    """Return the device of that name; on the CPU, torch's threads are settled (`bonectl.core.threads.settle_torch`).

    Parameters
    ----------
    name : str
        ``auto`` (CUDA where there is a device, else CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    UsageError
        Another name.
    UnavailableError
        CUDA, or that CUDA device, is not there.
    """
    threads.settle_torch()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise UsageError(f"there is no device {name!r}; there are auto, cpu, cuda and cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise UnavailableError(
            f"device {name} is not there: {there} CUDA devices are seen; use --device cpu, or install a "
            "CUDA build of torch and its driver"
        )
    return torch.device(name)


def half(where: torch.device) -> bool:
    """Return whether networks compute in bfloat16 there: on NVIDIA GPUs from compute capability 8.0 on, which have
    arithmetic for it. A CPU does so only where it gains by it, which torch does not tell: there it is float32."""
    return where.type == "cuda" and torch.cuda.get_device_capability(where) >= (8, 0)
