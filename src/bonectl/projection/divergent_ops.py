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
from bonectl.errors import UsageError
from bonectl.projection import astra_gpu, cone, divergent, fan, torch_cone, torch_joseph
from bonectl.projection.backends import engine
from bonectl.projection.fsp import Array

Step = Callable[[divergent.Plan, Tensor], Tensor]


class Run(Protocol):
    """An operator, with or without torch's dispatch."""

    def __call__(
        self, x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        """The result, a fresh tensor."""


def _compiled(run: Callable[[divergent.Plan, Array], Array]) -> Step:
    return lambda p, stack: torch.from_numpy(run(p, stack.numpy()))


def _each(run: Step) -> Step:
    """A step for volumes, done for a stack of them."""
    return lambda p, stack: torch.stack([run(p, one) for one in stack])


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


def _triton_project_fan(p: divergent.Plan, stack: Tensor) -> Tensor:
    from bonectl.projection import triton_joseph

    return triton_joseph.project(torch_joseph.fan_rays(p), stack)


def _triton_backproject_fan(p: divergent.Plan, stack: Tensor) -> Tensor:
    from bonectl.projection import triton_joseph

    return triton_joseph.backproject(torch_joseph.fan_rays(p), stack)


def _triton_project_cone(p: divergent.Plan, volume: Tensor) -> Tensor:
    from bonectl.projection import triton_cone

    return triton_cone.project(p, volume)


def _triton_backproject_cone(p: divergent.Plan, scan: Tensor) -> Tensor:
    from bonectl.projection import triton_cone

    return triton_cone.backproject(p, scan)


# By engine: for stacks of slices, or of volumes.
PROJECT_FAN: dict[str, Step] = {
    "numba": _compiled(fan.project),
    "torch": lambda p, stack: torch_joseph.project(torch_joseph.fan_rays(p), stack),
    "triton": _triton_project_fan,
    "astra": _astra_project_fan,
}
BACKPROJECT_FAN: dict[str, Step] = {
    "numba": _compiled(fan.backproject),
    "torch": lambda p, stack: torch_joseph.backproject(torch_joseph.fan_rays(p), stack),
    "triton": _triton_backproject_fan,
    "astra": _astra_backproject_fan,
}
PROJECT_CONE: dict[str, Step] = {
    "numba": _each(_compiled(cone.project)),
    "torch": _each(torch_cone.project),
    "triton": _each(_triton_project_cone),
    "astra": _each(_astra_project_cone),
}
BACKPROJECT_CONE: dict[str, Step] = {
    "numba": _each(_compiled(cone.backproject)),
    "torch": _each(torch_cone.backproject),
    "triton": _each(_triton_backproject_cone),
    "astra": _each(_astra_backproject_cone),
}
COLLECT: dict[str, dict[str, Step]] = {
    "fan": {"numba": _compiled(fan.collect), "torch": torch_joseph.collect},
    "cone": {"numba": _compiled(cone.collect), "torch": torch_cone.collect},
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


def _now(steps: dict[str, Step]) -> Run:
    """The operator that takes the engine's step, without torch's dispatch."""

    def run(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        size, columns, rows, slices = sizes
        p = divergent.plan(degrees.numpy().tobytes(), (size, columns, rows, slices), tuple(numbers))
        return steps[engine(x.device, backend)](p, x.detach().contiguous())

    return run


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


def _pair(kind: str, there: Run, back: Run, scan: Shape, volume: Shape) -> tuple[Run, Run]:
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


project_fan_now, backproject_fan_now = _now(PROJECT_FAN), _now(BACKPROJECT_FAN)
project_cone_now, backproject_cone_now = _now(PROJECT_CONE), _now(BACKPROJECT_CONE)
project_fan, backproject_fan = _pair("fan", project_fan_now, backproject_fan_now, _fan_scan, _fan_volume)
project_cone, backproject_cone = _pair("cone", project_cone_now, backproject_cone_now, _cone_scan, _cone_volume)

# By kind of beam: without torch's dispatch, and with it.
PROJECT = {"fan": (project_fan_now, project_fan), "cone": (project_cone_now, project_cone)}
BACKPROJECT = {"fan": (backproject_fan_now, backproject_fan), "cone": (backproject_cone_now, backproject_cone)}
