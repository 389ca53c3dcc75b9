"""The ASTRA toolbox's 3-D projectors on CUDA, as a second opinion (van Aarle et al., Opt. Express 24, 25129, 2016).

Tensors are handed over by DLPack, without a copy by the caller. Forward, ASTRA follows rays through a texture, whose
linear interpolation has 8 fractional bits; back, it works voxel by voxel: neither agrees with the CPU's projectors to
more than about 1e-3, and one is not the exact transpose of the other.

Coordinates are cells from the middle of the grid, and as ASTRA's 3-D arrays (z, y, x) count along z, y and x, a
point's are those of `bonectl.projection.projector`.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonectl.core.lengths import MM_PER_CM
from bonectl.errors import UnavailableError


def library() -> ModuleType:
    """The module `astra`, where it is installed and sees CUDA.

    Raises
    ------
    UnavailableError
        When it does not: without a driver ASTRA's 3-D calls do not fail, they end the process.
    """
    try:
        import astra
    except ImportError as error:
        raise UnavailableError(f"backend astra needs the ASTRA toolbox ({error}); pip install astra-toolbox") from None
    if not astra.use_cuda():
        raise UnavailableError("backend astra needs CUDA, and ASTRA sees none; use --backend auto")
    found: ModuleType = astra
    return found


def project(vectors: NDArray[np.float64], beam: str, volume: Tensor, shape: tuple[int, int], voxel: float) -> Tensor:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm.

    Parameters
    ----------
    vectors : (views, 12) float64
    beam : {"parallel3d_vec", "cone_vec"}
    volume : (z, y, x) float32 tensor on CUDA
    shape : (2,) tuple of int
        Detector rows and columns.
    voxel : float
        Side of a voxel [mm].
    """
    scan = volume.new_empty(shape[0], len(vectors), shape[1])
    _direct("direct_FP", vectors, beam, volume, scan)
    return scan.mul_(voxel / MM_PER_CM)


def backproject(vectors: NDArray[np.float64], beam: str, scan: Tensor, shape: tuple[int, ...], voxel: float) -> Tensor:
    """ASTRA's back-projection of a scan (row, view, column) to a volume of shape (z, y, x); else as `project`."""
    volume = scan.new_empty(shape)
    _direct("direct_BP", vectors, beam, volume, scan)
    return volume.mul_(voxel / MM_PER_CM)


def _direct(name: str, vectors: NDArray[np.float64], beam: str, volume: Tensor, scan: Tensor) -> None:
    astra = library()
    astra.set_gpu_index(volume.device.index or 0)
    depth, height, width = volume.shape
    rows, _views, columns = scan.shape
    rays: dict[str, Any] = astra.create_proj_geom(beam, rows, columns, np.ascontiguousarray(vectors))
    projector = astra.create_projector("cuda3d", rays, astra.create_vol_geom(height, width, depth))
    given, out = (volume, scan) if name == "direct_FP" else (scan, volume)
    try:
        torch.cuda.synchronize(volume.device)  # ASTRA works on a stream of its own
        getattr(astra.projector3d, name)(projector, given, out=out)
        torch.cuda.synchronize(volume.device)
    finally:
        astra.projector3d.delete(projector)
