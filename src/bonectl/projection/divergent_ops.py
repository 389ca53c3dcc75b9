"""Fan and cone projectors as torch operators: each is the gradient of its transpose, and the reverse.

``project_fan`` and ``backproject_fan`` take a stack of slices, (slice, y, x) to (slice, view, col) and back;
``project_cone`` and ``backproject_cone`` a stack of volumes, (batch, z, y, x) to (batch, row, view, col) and back.
Beside the tensor they take the angles (float64, degrees), and `sizes` and `numbers` as `divergent.plan` does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bonectl.projection import cone, divergent, fan
from bonectl.projection.fsp import Array

Run = Callable[[Tensor, Tensor, Sequence[int], Sequence[float]], Tensor]


def _plan(degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> divergent.Plan:
    size, columns, rows, slices = sizes
    return divergent.plan(degrees.numpy().tobytes(), (size, columns, rows, slices), tuple(numbers))


def _each(run: Callable[[divergent.Plan, Array], Array], p: divergent.Plan, stack: Tensor) -> Tensor:
    return torch.from_numpy(np.stack([run(p, one) for one in stack.detach().contiguous().numpy()]))


def project_fan_now(x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> Tensor:
    """The operator `project_fan` without torch's dispatch."""
    return torch.from_numpy(fan.project(_plan(degrees, sizes, numbers), x.detach().contiguous().numpy()))


def backproject_fan_now(y: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> Tensor:
    """The operator `backproject_fan` without torch's dispatch."""
    return torch.from_numpy(fan.backproject(_plan(degrees, sizes, numbers), y.detach().contiguous().numpy()))


def project_cone_now(x: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> Tensor:
    """The operator `project_cone` without torch's dispatch."""
    return _each(cone.project, _plan(degrees, sizes, numbers), x)


def backproject_cone_now(y: Tensor, degrees: Tensor, sizes: Sequence[int], numbers: Sequence[float]) -> Tensor:
    """The operator `backproject_cone` without torch's dispatch."""
    return _each(cone.backproject, _plan(degrees, sizes, numbers), y)


def _fan_scan(x: Tensor, degrees: Tensor, sizes: Sequence[int], _numbers: Sequence[float]) -> Tensor:
    return x.new_empty((x.shape[0], degrees.shape[0], sizes[1]))


def _fan_volume(y: Tensor, _degrees: Tensor, sizes: Sequence[int], _numbers: Sequence[float]) -> Tensor:
    return y.new_empty((y.shape[0], sizes[0], sizes[0]))


def _cone_scan(x: Tensor, degrees: Tensor, sizes: Sequence[int], _numbers: Sequence[float]) -> Tensor:
    return x.new_empty((x.shape[0], sizes[2], degrees.shape[0], sizes[1]))


def _cone_volume(y: Tensor, _degrees: Tensor, sizes: Sequence[int], _numbers: Sequence[float]) -> Tensor:
    return y.new_empty((y.shape[0], sizes[3], sizes[0], sizes[0]))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _x, degrees, sizes, numbers = inputs
    ctx.save_for_backward(degrees)
    ctx.sizes, ctx.numbers = sizes, numbers


def _pair(kind: str, there: Run, back: Run, scan: Run, volume: Run) -> tuple[Run, Run]:
    """Register two operators, what shapes they give, and each as the gradient of the other."""
    forward = torch.library.custom_op(f"bonectl::project_{kind}", there, mutates_args=(), device_types="cpu")
    reverse = torch.library.custom_op(f"bonectl::backproject_{kind}", back, mutates_args=(), device_types="cpu")
    forward.register_fake(scan)
    reverse.register_fake(volume)

    def forward_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return reverse(grad, *ctx.saved_tensors, ctx.sizes, ctx.numbers), None, None, None

    def reverse_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return forward(grad, *ctx.saved_tensors, ctx.sizes, ctx.numbers), None, None, None

    forward.register_autograd(forward_gradient, setup_context=_remember)
    reverse.register_autograd(reverse_gradient, setup_context=_remember)
    return forward, reverse


project_fan, backproject_fan = _pair("fan", project_fan_now, backproject_fan_now, _fan_scan, _fan_volume)
project_cone, backproject_cone = _pair("cone", project_cone_now, backproject_cone_now, _cone_scan, _cone_volume)

# By kind of beam: without torch's dispatch, and with it.
PROJECT = {"fan": (project_fan_now, project_fan), "cone": (project_cone_now, project_cone)}
BACKPROJECT = {"fan": (backproject_fan_now, backproject_fan), "cone": (backproject_cone_now, backproject_cone)}
