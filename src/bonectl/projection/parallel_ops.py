"""The parallel beam's projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_parallel`` takes a stack of slices (slice, y, x) to (slice, view, col), ``backproject_parallel`` back.
Beside the tensor they take the angles (float64, degrees), a filter's response and shares (empty for none), the columns
or the side of a slice, `numbers` (pitch, centre [column], voxel; lengths in mm), the pixel model, and the backend
(`bonectl.projection.backends`). Angles and filter are on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonectl.projection import astra_gpu, fsp, joseph
from bonectl.projection.backends import engine
from bonectl.projection.pairs import Pair, compiled, named
from bonectl.projection.torch_joseph import parallel_rays

# The bytes of the angles, columns, pitch, centre, size, voxel: see `joseph.plan`.
Key = tuple[bytes, int, float, float, int, float]


def _astra_project(key: Key, volume: Tensor) -> Tensor:
    _degrees, columns, _pitch, _centre, _size, voxel = key
    return astra_gpu.project(_astra_vectors(key), "parallel3d_vec", volume, (len(volume), columns), voxel)


def _astra_backproject(key: Key, scan: Tensor) -> Tensor:
    *_, size, voxel = key
    return astra_gpu.backproject(_astra_vectors(key), "parallel3d_vec", scan, (len(scan), size, size), voxel)


def _astra_vectors(key: Key) -> NDArray[np.float64]:
    degrees, columns, pitch, centre, _size, voxel = key
    return astra_gpu.parallel_vectors(np.frombuffer(degrees), columns, pitch, centre, voxel)


# By engine; ASTRA takes the key itself for its plan.
JOSEPH = {
    "numba": compiled(joseph),
    "torch": named("torch_joseph", parallel_rays),
    "triton": named("triton_joseph", parallel_rays),
    "astra": Pair(_astra_project, _astra_backproject),
}
FSP = {"numba": compiled(fsp), "torch": named("torch_fsp"), "triton": named("triton_fsp")}


def _planned(run: str, key: Key, model: str, response: Tensor, shares: Tensor) -> tuple[Any, Pair]:
    """The plan of a geometry, and the pair of the engine `run` that takes it."""
    if model == "joseph":
        return key if run == "astra" else joseph.plan(*key), JOSEPH[run]
    return fsp.plan(*key, model, _filter(response, shares)), FSP[run]


def project_now(  # noqa: PLR0913 (an operator's arguments are flat)
    x: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    """The operator `project_parallel` without torch's dispatch."""
    pitch, centre, voxel = numbers
    key = (degrees.numpy().tobytes(), columns, pitch, centre, x.shape[-1], voxel)
    plan, pair = _planned(engine(x.device, backend), key, model, response, shares)
    return pair.project(plan, x.detach().contiguous())


def backproject_now(  # noqa: PLR0913
    y: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    """The operator `backproject_parallel` without torch's dispatch."""
    pitch, centre, voxel = numbers
    key = (degrees.numpy().tobytes(), y.shape[-1], pitch, centre, size, voxel)
    plan, pair = _planned(engine(y.device, backend), key, model, response, shares)
    return pair.backproject(plan, y.detach().contiguous())


def _filter(response: Tensor, shares: Tensor) -> fsp.Filter | None:
    return fsp.Filter(response.numpy().tobytes(), shares.numpy().tobytes()) if response.numel() else None


project_parallel = torch.library.custom_op("bonectl::project_parallel", project_now, mutates_args=())
backproject_parallel = torch.library.custom_op("bonectl::backproject_parallel", backproject_now, mutates_args=())


@project_parallel.register_fake
def _(  # noqa: PLR0913
    x: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    return x.new_empty((x.shape[0], degrees.shape[0], columns))


@backproject_parallel.register_fake
def _(  # noqa: PLR0913
    y: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    return y.new_empty((y.shape[0], size, size))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, degrees, response, shares, _side, numbers, model, backend = inputs
    ctx.save_for_backward(degrees, response, shares)
    ctx.rest = x.shape[-1], numbers, model, backend


def _project_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return backproject_parallel(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 7


def _backproject_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return project_parallel(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 7


project_parallel.register_autograd(_project_gradient, setup_context=_remember)
backproject_parallel.register_autograd(_backproject_gradient, setup_context=_remember)
