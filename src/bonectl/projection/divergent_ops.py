"""Fan and cone projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_fan`` and ``backproject_fan`` take a stack of slices, (slice, y, x) to (slice, view, col) and back;
``project_cone`` and ``backproject_cone`` a stack of volumes, (batch, z, y, x) to (batch, row, view, col) and back.
Beside the tensor they take the angles (float64, degrees, on the CPU), `sizes` and `numbers` as `divergent.tables` does,
and the backend (`bonectl.projection.backends`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.projection import divergent
from bonectl.projection.backends import engine
from bonectl.projection.numba import cone, fan
from bonectl.projection.pairs import Pair, Step, each, on_arrays, on_tensors
from bonectl.projection.torch import cone as torch_cone
from bonectl.projection.torch import joseph as torch_joseph


class Run(Protocol):
    """An operator, with or without torch's dispatch."""

    def __call__(
        self, x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        """The result, a fresh tensor."""


def _arrays(run: Callable[[divergent.Tables, Array], Array]) -> Step:
    return lambda p, scan: torch.from_numpy(run(p, scan.numpy()))


# By engine: for stacks of slices, for stacks of volumes, and by kind of beam what fdk takes.
FAN = {
    "numba": on_arrays(fan),
    "torch": on_tensors("torch.joseph", torch_joseph.fan_rays),
    "triton": on_tensors("triton.joseph", torch_joseph.fan_rays),
    "astra": on_tensors("astra.fan"),
}
CONE = {
    "numba": each(on_arrays(cone)),
    "torch": each(on_tensors("torch.cone")),
    "triton": each(on_tensors("triton.cone")),
    "astra": each(on_tensors("astra.cone")),
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
        The sum over views, see `bonectl.projection.numba.fan.collect` and `bonectl.projection.numba.cone.collect`.
    """
    run = engine(scan.device, backend)
    if run == "astra":
        raise UsageError("backend astra has no back-projection for fdk; use --backend auto")
    run = "torch" if run == "triton" else run  # it is done once, and torch's operators suffice
    return COLLECT[geometry.kind][run](divergent.tables_of(geometry), scan.detach().contiguous())


def _project_now(pairs: dict[str, Pair]) -> Run:
    """The operator that projects by the engine's pair, without torch's dispatch."""

    def run(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        return pairs[engine(x.device, backend)].project(_tables(degrees, sizes, numbers), x.detach().contiguous())

    return run


def _backproject_now(pairs: dict[str, Pair]) -> Run:
    """The operator that projects back by the engine's pair, without torch's dispatch."""

    def run(
        x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float], backend: str = "auto"
    ) -> Tensor:
        return pairs[engine(x.device, backend)].backproject(_tables(degrees, sizes, numbers), x.detach().contiguous())

    return run


def _tables(degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> divergent.Tables:
    size, columns, rows, slices = sizes
    return divergent.tables(degrees.numpy().tobytes(), (size, columns, rows, slices), tuple(numbers))


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
