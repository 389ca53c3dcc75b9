"""The parallel beam's projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_parallel`` takes a stack of slices (slice, y, x) to (slice, view, col), ``backproject_parallel`` back.
Beside the tensor they take the angles (float64, degrees), a filter's response and shares (empty for none), the columns
or the side of a slice, `numbers` (pitch, centre [column], voxel; lengths in mm), the pixel model, and the backend
(`bonectl.projection.backends`). Angles and filter are on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bonectl.projection import astra_gpu, fsp, joseph, torch_fsp, torch_joseph
from bonectl.projection.backends import engine


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
    volume = x.detach().contiguous()
    key = (degrees.numpy().tobytes(), columns, pitch, centre, x.shape[-1], voxel)
    run = engine(x.device, backend)
    if run == "astra":
        vectors = astra_gpu.parallel_vectors(degrees.numpy(), columns, pitch, centre, voxel)
        return astra_gpu.project(vectors, "parallel3d_vec", volume, (len(volume), columns), voxel)
    if model == "joseph":
        return _joseph_project(run, joseph.plan(*key), volume)
    return _fsp_project(run, fsp.plan(*key, model, _filter(response, shares)), volume)


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
    scan = y.detach().contiguous()
    key = (degrees.numpy().tobytes(), y.shape[-1], pitch, centre, size, voxel)
    run = engine(y.device, backend)
    if run == "astra":
        vectors = astra_gpu.parallel_vectors(degrees.numpy(), y.shape[-1], pitch, centre, voxel)
        return astra_gpu.backproject(vectors, "parallel3d_vec", scan, (len(scan), size, size), voxel)
    if model == "joseph":
        return _joseph_backproject(run, joseph.plan(*key), scan)
    return _fsp_backproject(run, fsp.plan(*key, model, _filter(response, shares)), scan)


def _joseph_project(run: str, p: joseph.Plan, volume: Tensor) -> Tensor:
    if run == "numba":
        return torch.from_numpy(joseph.project(p, volume.numpy()))
    if run == "triton":
        from bonectl.projection import triton_joseph

        return triton_joseph.project(torch_joseph.parallel_rays(p), volume)
    return torch_joseph.project(torch_joseph.parallel_rays(p), volume)


def _joseph_backproject(run: str, p: joseph.Plan, scan: Tensor) -> Tensor:
    if run == "numba":
        return torch.from_numpy(joseph.backproject(p, scan.numpy()))
    if run == "triton":
        from bonectl.projection import triton_joseph

        return triton_joseph.backproject(torch_joseph.parallel_rays(p), scan)
    return torch_joseph.backproject(torch_joseph.parallel_rays(p), scan)


def _fsp_project(run: str, p: fsp.Plan, volume: Tensor) -> Tensor:
    if run == "numba":
        return torch.from_numpy(fsp.project(p, volume.numpy()))
    if run == "triton":
        from bonectl.projection import triton_fsp

        return torch_fsp.project(p, volume, triton_fsp.gather)
    return torch_fsp.project(p, volume)


def _fsp_backproject(run: str, p: fsp.Plan, scan: Tensor) -> Tensor:
    if run == "numba":
        return torch.from_numpy(fsp.backproject(p, scan.numpy()))
    if run == "triton":
        from bonectl.projection import triton_fsp

        return torch_fsp.backproject(p, scan, triton_fsp.scatter)
    return torch_fsp.backproject(p, scan)


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
