"""The parallel beam's projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_parallel`` takes a stack of slices (slice, y, x) to (slice, view, col), ``backproject_parallel`` back.
Beside the tensor they take the angles (float64, degrees), a filter (`filter_of`; empty for none), the columns or the
side of a slice, `numbers` (pitch, centre [column], voxel; lengths in mm), the pixel model, and the backend
(`bonectl.projection.backends`). Angles and filter are on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bonectl.projection import fsp, joseph
from bonectl.projection.backends import engine
from bonectl.projection.joseph import Beam
from bonectl.projection.numba import fsp as numba_fsp
from bonectl.projection.numba import joseph as numba_joseph
from bonectl.projection.pairs import Pair, on_arrays, on_tensors
from bonectl.projection.torch.joseph import parallel_rays

# By engine; ASTRA takes the beam itself for its tables.
JOSEPH = {
    "numba": on_arrays(numba_joseph),
    "torch": on_tensors("torch.joseph", parallel_rays),
    "triton": on_tensors("triton.joseph", parallel_rays),
    "astra": on_tensors("astra.joseph"),
}
FSP = {"numba": on_arrays(numba_fsp), "torch": on_tensors("torch.fsp"), "triton": on_tensors("triton.fsp")}


def filter_of(filter_: fsp.Filter | None) -> Tensor:
    """A filter as one tensor: the response along the detector, then the share of each view; empty for none."""
    if filter_ is None:
        return torch.empty(0)
    return torch.frombuffer(bytearray(filter_.response + filter_.shares), dtype=torch.float32)


def project_now(
    x: Tensor,
    degrees: Tensor,
    filter_: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    """The operator `project_parallel` without torch's dispatch."""
    pitch, centre, voxel = numbers
    beam = Beam(degrees.numpy().tobytes(), columns, pitch, centre, x.shape[-1], voxel)
    tables, pair = _prepared(engine(x.device, backend), beam, model, _split(filter_, len(degrees)))
    return pair.project(tables, x.detach().contiguous())


def backproject_now(
    y: Tensor,
    degrees: Tensor,
    filter_: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    """The operator `backproject_parallel` without torch's dispatch."""
    pitch, centre, voxel = numbers
    beam = Beam(degrees.numpy().tobytes(), y.shape[-1], pitch, centre, size, voxel)
    tables, pair = _prepared(engine(y.device, backend), beam, model, _split(filter_, len(degrees)))
    return pair.backproject(tables, y.detach().contiguous())


def _prepared(run: str, beam: Beam, model: str, filter_: fsp.Filter | None) -> tuple[Any, Pair]:
    """The tables of a beam, and the pair of the engine `run` that takes them."""
    if model == "joseph":
        return beam if run == "astra" else joseph.tables(beam), JOSEPH[run]
    return fsp.tables(beam, model, filter_), FSP[run]


def _split(filter_: Tensor, views: int) -> fsp.Filter | None:
    """The inverse of `filter_of`, as the bytes that make a key."""
    if not filter_.numel():
        return None
    values = filter_.numpy()
    return fsp.Filter(values[:-views].tobytes(), values[-views:].tobytes())


project_parallel = torch.library.custom_op("bonectl::project_parallel", project_now, mutates_args=())
backproject_parallel = torch.library.custom_op("bonectl::backproject_parallel", backproject_now, mutates_args=())


@project_parallel.register_fake
def _(
    x: Tensor,
    degrees: Tensor,
    filter_: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    return x.new_empty((x.shape[0], degrees.shape[0], columns))


@backproject_parallel.register_fake
def _(
    y: Tensor,
    degrees: Tensor,
    filter_: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
    backend: str = "auto",
) -> Tensor:
    return y.new_empty((y.shape[0], size, size))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, degrees, filter_, _side, numbers, model, backend = inputs
    ctx.save_for_backward(degrees, filter_)
    ctx.rest = x.shape[-1], numbers, model, backend


def _project_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return backproject_parallel(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 6


def _backproject_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return project_parallel(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 6


project_parallel.register_autograd(_project_gradient, setup_context=_remember)
backproject_parallel.register_autograd(_backproject_gradient, setup_context=_remember)
