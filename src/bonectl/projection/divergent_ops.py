"""Fan and cone projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_fan`` and ``backproject_fan`` take a stack of slices, (slice, y, x) to (slice, view, col) and back;
``project_cone`` and ``backproject_cone`` a stack of volumes, (batch, z, y, x) to (batch, row, view, col) and back.
Beside the tensor they take the angles (float64, degrees, on the CPU), `sizes` and `numbers` as `divergent.plan` does,
and the backend (`bonectl.projection.backends`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.projection import astra_gpu, cone, divergent, fan, torch_cone, torch_joseph
from bonectl.projection.backends import engine
from bonectl.projection.pairs import Pair, Step, compiled, each, named


class Run(Protocol):
    """An operator, with or without torch's dispatch."""

    def __call__(
        self, x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        """The result, a fresh tensor."""


def _astra_project_fan(p: divergent.Plan, stack: Tensor) -> Tensor:
    vectors = astra_gpu.fan_vectors(p)
    slices = [astra_gpu.project(vectors, "cone_vec", one[None], (1, p.columns), p.voxel) for one in stack]
    return torch.cat(slices)


def _astra_backproject_fan(p: divergent.Plan, stack: Tensor) -> Tensor:
    vectors = astra_gpu.fan_vectors(p)
    slices = [astra_gpu.backproject(vectors, "cone_vec", one[None], (1, p.size, p.size), p.voxel) for one in stack]
    return torch.cat(slices)


def _astra_project_cone(p: divergent.Plan, volume: Tensor) -> Tensor:
    return astra_gpu.project(astra_gpu.cone_vectors(p), "cone_vec", volume, (p.rows, p.columns), p.voxel)


def _astra_backproject_cone(p: divergent.Plan, scan: Tensor) -> Tensor:
    return astra_gpu.backproject(astra_gpu.cone_vectors(p), "cone_vec", scan, (p.slices, p.size, p.size), p.voxel)


def _arrays(run: Callable[[divergent.Plan, Array], Array]) -> Step:
    return lambda p, scan: torch.from_numpy(run(p, scan.numpy()))


# By engine: for stacks of slices, for stacks of volumes, and by kind of beam what fdk takes.
FAN = {
    "numba": compiled(fan),
    "torch": named("torch_joseph", torch_joseph.fan_rays),
    "triton": named("triton_joseph", torch_joseph.fan_rays),
    "astra": Pair(_astra_project_fan, _astra_backproject_fan),
}
CONE = {
    "numba": each(compiled(cone)),
    "torch": each(named("torch_cone")),
    "triton": each(named("triton_cone")),
    "astra": each(Pair(_astra_project_cone, _astra_backproject_cone)),
}
COLLECT: dict[str, dict[str, Step]] = {
    "fan": {"numba": _arrays(fan.collect), "torch": torch_joseph.collect},
    "cone": {"numba": _arrays(cone.collect), "torch": torch_cone.collect},
}


def collect(geometry: Geometry, scan: Tensor, backend: str = "auto") -> Tensor:
    """The back-projection of filtered back-projection: over the squared distance from the source, not a transpose.

    Parameters
    ----------
    geometry : Geometry
        Of a fan or cone beam with an upright detector.
    scan : (row, view, col) float32 tensor
    backend : str
        As in `bonectl.projection.backends.engine`.

    Returns
    -------
    (z, y, x) tensor
        The sum over views, see `bonectl.projection.fan.collect` and `bonectl.projection.cone.collect`.
    """
    run = engine(scan.device, backend)
    if run == "astra":
        raise UsageError("backend astra has no back-projection for fdk; use --backend auto")
    run = "torch" if run == "triton" else run  # it is done once, and torch's operators suffice
    return COLLECT[geometry.kind][run](divergent.plan_of(geometry), scan.detach().contiguous())


def _project_now(pairs: dict[str, Pair]) -> Run:
    """The operator that projects by the engine's pair, without torch's dispatch."""

    def run(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        return pairs[engine(x.device, backend)].project(_plan(degrees, sizes, numbers), x.detach().contiguous())

    return run


def _backproject_now(pairs: dict[str, Pair]) -> Run:
    """The operator that projects back by the engine's pair, without torch's dispatch."""

    def run(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        return pairs[engine(x.device, backend)].backproject(_plan(degrees, sizes, numbers), x.detach().contiguous())

    return run


def _plan(degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> divergent.Plan:
    size, columns, rows, slices = sizes
    return divergent.plan(degrees.numpy().tobytes(), (size, columns, rows, slices), tuple(numbers))


def _fan_scan(x: Tensor, degrees: Tensor, sizes: Sequence[int]) -> Tensor:
    return x.new_empty((x.shape[0], degrees.shape[0], sizes[1]))


def _fan_volume(y: Tensor, _degrees: Tensor, sizes: Sequence[int]) -> Tensor:
    return y.new_empty((y.shape[0], sizes[0], sizes[0]))


def _cone_scan(x: Tensor, degrees: Tensor, sizes: Sequence[int]) -> Tensor:
    return x.new_empty((x.shape[0], sizes[2], degrees.shape[0], sizes[1]))


def _cone_volume(y: Tensor, _degrees: Tensor, sizes: Sequence[int]) -> Tensor:
    return y.new_empty((y.shape[0], sizes[3], sizes[0], sizes[0]))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _x, degrees, *rest = inputs
    ctx.save_for_backward(degrees)
    ctx.rest = rest


Shape = Callable[[Tensor, Tensor, Sequence[int]], Tensor]


def _operator(name: str, now: Run, shape: Shape) -> Any:
    """Register an operator, and the shape of what it gives."""
    operator = torch.library.custom_op(f"bonectl::{name}", now, mutates_args=())

    def fake(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        return shape(x, degrees, sizes)

    operator.register_fake(fake)
    return operator


def _operators(kind: str, there: Run, back: Run, scan: Shape, volume: Shape) -> tuple[Run, Run]:
    """Two operators, each the gradient of the other."""
    forward = _operator(f"project_{kind}", there, scan)
    reverse = _operator(f"backproject_{kind}", back, volume)

    def forward_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return reverse(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 4

    def reverse_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return forward(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 4

    forward.register_autograd(forward_gradient, setup_context=_remember)
    reverse.register_autograd(reverse_gradient, setup_context=_remember)
    return forward, reverse


project_fan_now, backproject_fan_now = _project_now(FAN), _backproject_now(FAN)
project_cone_now, backproject_cone_now = _project_now(CONE), _backproject_now(CONE)
project_fan, backproject_fan = _operators("fan", project_fan_now, backproject_fan_now, _fan_scan, _fan_volume)
project_cone, backproject_cone = _operators("cone", project_cone_now, backproject_cone_now, _cone_scan, _cone_volume)

# By kind of beam: without torch's dispatch, and with it.
PROJECT = {"fan": (project_fan_now, project_fan), "cone": (project_cone_now, project_cone)}
BACKPROJECT = {"fan": (backproject_fan_now, backproject_fan), "cone": (backproject_cone_now, backproject_cone)}
