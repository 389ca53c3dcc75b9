"""The projector: from attenuation to line integrals, its exact transpose, and the gradients of both.

Orientation, for every geometry. Indices count in the direction of the axes. A voxel with indices (z, y, x) of a
grid of side N lies at ``X = (x - (N-1)/2) voxel``, ``Y = (y - (N-1)/2) voxel``: y grows downwards in a picture
that shows row 0 on top. The rotation axis is X = Y = 0. A view at angle t sees this point in the detector row of
its z, at column ``centre + (X cos t + Y sin t) / pitch``: at 0 degrees columns count along x and rays run along y,
at 90 degrees columns count along y. The angle turns from +x to +y, which is clockwise in that picture (and
right-handed about +z). A scanner that turned the other way has negative angles; ASTRA and scikit-image have y
pointing up, so that their angle t is -t here.

Lengths are in mm and attenuation in 1/cm; the division by ten is made here, line integrals are dimensionless.
"""

from collections.abc import Sequence
from functools import cached_property
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from bonectl.core import fsp, joseph
from bonectl.core.geometry import Geometry
from bonectl.errors import UnavailableError, UsageError

MODELS = ("strip", "bandlimited", "joseph")


class Projector(nn.Module):
    """The linear map from a volume to its scan, for one geometry.

    ``A(x)`` takes attenuation (..., z, y, x) [1/cm], float32, and gives line integrals (..., row, view, col).
    ``A.T(y)`` is the exact transpose, and ``A.T.T is A``. Any number of slices goes through at a time; slices are
    worked on in blocks of `block`, so that a volume cut into multiples of `block` gives the same bits as the whole.
    Either map is the gradient of the other, to any order. The result is a fresh tensor.

    Parameters
    ----------
    geometry : Geometry
        Where the rays run. A parallel beam needs no agreement between its `rows` and the slices of `x`.
    model : {"strip", "bandlimited", "joseph"}
        What a voxel and a detector pixel are. ``strip``: square voxels, pixels that average over their width (what
        a detector does: use it to simulate and inside iterations). ``bandlimited``: no frequency above the grid's,
        points on the detector (sharpest, for filtered back-projection; rings at edges). ``joseph``: linear
        interpolation along rays, in space instead of frequency; slower, and an independent check of the others.
    response : (length / 2 + 1,) tensor, optional
        A filter along the detector: its factors at the frequencies of a real transform of `length` samples, at least
        twice the columns. ``A.T`` then filters before it back-projects, at no cost: filtered back-projection.
    shares : (views,) tensor, optional
        A factor for each view, with `response`.

    Raises
    ------
    UsageError
        When the geometry is not a parallel beam, there is no such model, or a filter is incomplete or given to
        ``joseph``; when a tensor does not fit the geometry or is not float32.
    UnavailableError
        When a tensor is not in the CPU's memory.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        model: str = "strip",
        response: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> None:
        super().__init__()
        if geometry.kind != "parallel":
            raise UsageError(f"there is no projector for a {geometry.kind} beam; there is one for parallel")
        if model not in MODELS:
            raise UsageError(f"no pixel model {model!r}; there are {', '.join(MODELS)}")
        if (response is None) != (shares is None):
            raise UsageError("a filter is a response along the detector and a share for each view; give both")
        if model == "joseph" and response is not None:
            raise UsageError("joseph works in space and takes no filter; use strip or bandlimited")
        self.geometry = geometry
        self.model = model
        none = torch.empty(0)
        self._views = torch.from_numpy(geometry.angles.degrees.copy())
        self._filter = (none if response is None else response.float(), none if shares is None else shares.float())
        # in a tuple, so that torch does not take the transpose for a part of its transpose
        self._transpose = (Transpose(self),)

    @property
    def T(self) -> "Transpose":  # noqa: N802 (the transpose is T)
        """The transpose."""
        return self._transpose[0]

    @property
    def block(self) -> int:
        """Slices that are worked on together."""
        return joseph.BLOCK if self.model == "joseph" else fsp.block(self.geometry.size)

    def forward(self, x: Tensor) -> Tensor:
        """Line integrals (..., row, view, col) of attenuation (..., z, y, x) [1/cm]."""
        g = self.geometry
        _check(x, (g.size, g.size), "a volume", "y, x")
        run = _project_now if _plain(x) else _project
        flat: Tensor = run(
            x.reshape(-1, g.size, g.size), self._views, *self._filter, g.columns, self._numbers, self.model
        )
        return flat.reshape(*x.shape[:-2], g.views, g.columns)

    def back(self, y: Tensor) -> Tensor:
        """The transpose: (..., row, view, col) to (..., z, y, x)."""
        g = self.geometry
        _check(y, (g.views, g.columns), "a scan", "view, col")
        run = _backproject_now if _plain(y) else _backproject
        flat: Tensor = run(
            y.reshape(-1, g.views, g.columns), self._views, *self._filter, g.size, self._numbers, self.model
        )
        return flat.reshape(*y.shape[:-2], g.size, g.size)

    @property
    def _numbers(self) -> list[float]:
        return [self.geometry.pitch, self.geometry.centre, self.geometry.voxel]

    @cached_property
    def _norm(self) -> float:
        # a positive operator's first singular vector is positive: start from ones and few steps are enough
        x = torch.ones(1, self.geometry.size, self.geometry.size)
        value = 0.0
        with torch.no_grad():
            for _ in range(12):
                x = x / torch.linalg.vector_norm(x)
                x = self.back(self.forward(x))
                value = sqrt(float(torch.linalg.vector_norm(x)))
        return value

    def norm(self) -> float:
        """The largest singular value, by 12 steps of the power method; kept once it is known."""
        return self._norm

    def extra_repr(self) -> str:
        """The geometry as the call that makes it, and the model."""
        return f"{self.geometry}, model={self.model!r}"


class Transpose(nn.Module):
    """The transpose of a projector; ``A.T.T is A``."""

    def __init__(self, of: Projector) -> None:
        super().__init__()
        self._of = (of,)

    @property
    def T(self) -> Projector:  # noqa: N802 (the transpose is T)
        """The projector."""
        return self._of[0]

    def forward(self, y: Tensor) -> Tensor:
        """Scan (..., row, view, col) to volume (..., z, y, x)."""
        return self._of[0].back(y)


def _check(x: Tensor, tail: tuple[int, int], what: str, axes: str) -> None:
    if x.ndim < 3 or tuple(x.shape[-2:]) != tail:
        raise UsageError(
            f"{what} of shape {tuple(x.shape)}; the geometry needs (..., {axes}) = (..., {tail[0]}, {tail[1]})"
        )
    if x.dtype != torch.float32:
        raise UsageError(f"{what} of {x.dtype}; the projector works in float32")
    if x.device.type not in ("cpu", "meta"):
        raise UnavailableError(f"{what} on {x.device}; the projector runs on the CPU")


def _plain(x: Tensor) -> bool:
    """Whether nobody records what happens to `x`: then the first call need not import torch's compiler (a second)."""
    recorded = x.requires_grad and torch.is_grad_enabled()
    return type(x) is Tensor and x.device.type == "cpu" and not recorded and not torch.compiler.is_compiling()


def _project_now(
    x: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
) -> Tensor:
    pitch, centre, voxel = numbers
    volume = x.detach().contiguous().numpy()
    key = (degrees.numpy().tobytes(), columns, pitch, centre, x.shape[-1], voxel)
    if model == "joseph":
        return torch.from_numpy(joseph.project(joseph.plan(*key), volume))
    return torch.from_numpy(fsp.project(fsp.plan(*key, model, _filter(response, shares)), volume))


def _backproject_now(
    y: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
) -> Tensor:
    pitch, centre, voxel = numbers
    scan = y.detach().contiguous().numpy()
    key = (degrees.numpy().tobytes(), y.shape[-1], pitch, centre, size, voxel)
    if model == "joseph":
        return torch.from_numpy(joseph.backproject(joseph.plan(*key), scan))
    return torch.from_numpy(fsp.backproject(fsp.plan(*key, model, _filter(response, shares)), scan))


def _filter(response: Tensor, shares: Tensor) -> fsp.Filter | None:
    return fsp.Filter(response.numpy().tobytes(), shares.numpy().tobytes()) if response.numel() else None


_project = torch.library.custom_op("bonectl::project_parallel", _project_now, mutates_args=(), device_types="cpu")
_backproject = torch.library.custom_op(
    "bonectl::backproject_parallel", _backproject_now, mutates_args=(), device_types="cpu"
)


@_project.register_fake
def _(
    x: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    columns: int,
    numbers: Sequence[float],
    model: str,
) -> Tensor:
    return x.new_empty((x.shape[0], degrees.shape[0], columns))


@_backproject.register_fake
def _(
    y: Tensor,
    degrees: Tensor,
    response: Tensor,
    shares: Tensor,
    size: int,
    numbers: Sequence[float],
    model: str,
) -> Tensor:
    return y.new_empty((y.shape[0], size, size))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, degrees, response, shares, _side, numbers, model = inputs
    ctx.save_for_backward(degrees, response, shares)
    ctx.side, ctx.numbers, ctx.model = x.shape[-1], numbers, model


def _project_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return _backproject(grad, *ctx.saved_tensors, ctx.side, ctx.numbers, ctx.model), *[None] * 6


def _backproject_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return _project(grad, *ctx.saved_tensors, ctx.side, ctx.numbers, ctx.model), *[None] * 6


_project.register_autograd(_project_gradient, setup_context=_remember)
_backproject.register_autograd(_backproject_gradient, setup_context=_remember)
