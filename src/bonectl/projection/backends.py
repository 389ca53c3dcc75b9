"""Which code runs a projector, for a tensor where it lies."""

from importlib.util import find_spec

import torch

from bonectl.errors import UnavailableError
from bonectl.projection.system import check_backend

# CUDA devices that Triton compiles for, from this compute capability on.
CAPABILITY = (8, 0)


def engine(device: torch.device, backend: str) -> str:
    """The engine that runs a projector.

    Parameters
    ----------
    device : torch.device
        Where the tensor lies.
    backend : {"auto", "reference", "astra"}
        ``auto`` is the fastest with exact transposes: on the CPU compiled with numba; on CUDA compiled with Triton
        where it is installed (CUDA builds of torch bring it) and knows the device, else torch's operators.
        ``reference`` is torch's operators anywhere, with the same weights. ``astra`` is the ASTRA toolbox on CUDA,
        whose back-projection is not the transpose of its projection.

    Returns
    -------
    str
        ``numba``, ``torch``, ``triton`` or ``astra``.

    Raises
    ------
    UsageError
        When there is no such backend.
    UnavailableError
        When it does not run on this device.
    """
    check_backend(backend)
    if device.type not in ("cpu", "cuda"):
        raise UnavailableError(f"a tensor on {device}; projectors run on the CPU and on CUDA")
    if backend == "astra":
        if device.type != "cuda":
            raise UnavailableError("backend astra runs on CUDA, the tensor is on the CPU; use --device cuda, or auto")
        return "astra"
    if backend == "reference":
        return "torch"
    if device.type == "cpu":
        return "numba"
    knows = find_spec("triton") and torch.cuda.get_device_capability(device) >= CAPABILITY
    return "triton" if knows else "torch"
