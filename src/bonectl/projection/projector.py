"""The projector: from attenuation to line integrals, its exact transpose, and the gradients of both.

Orientation, for every geometry. Indices count in the direction of the axes. A voxel with indices (z, y, x) of a grid
of side N lies at ``X = (x - (N-1)/2) voxel``, ``Y = (y - (N-1)/2) voxel``: y grows downwards in a picture that shows
row 0 on top. The rotation axis is X = Y = 0. A view at angle t sees this point in the detector row of its z, at column
``centre + (X cos t + Y sin t) / pitch``: at 0 degrees columns count along x and rays run along y, at 90 degrees
columns count along y. A point source lies where these rays come from: at the distance sod from the axis towards (sin
t, -cos t), which is the top of the picture at 0 degrees, with the detector at sdd from it. It sees the point magnified
by ``M = sdd / (sod - X sin t + Y cos t)``, at column ``centre + M (X cos t + Y sin t) / pitch`` and, in a cone beam,
at row ``principal_row + M Z / row_pitch`` with Z from the middle slice, if the detector stands upright
(`bonectl.core.geometry.Geometry.detector_axes` says how one is turned). The angle turns from +x to +y, which is
clockwise in that picture (and right-handed about +z). A scanner that turned the other way has negative angles; ASTRA
and scikit-image have y pointing up, so that their angle t is -t here.

Lengths are in mm and attenuation in 1/cm; the division by ten is made here, line integrals are dimensionless.
"""

from math import sqrt

import torch
from torch import Tensor, nn

from bonectl.core.geometry import Geometry
from bonectl.errors import UsageError
from bonectl.projection import backends, divergent, divergent_ops, fsp, joseph, parallel_ops
from bonectl.projection.numba import fan

MODELS = ("strip", "bandlimited", "joseph")


class Projector(nn.Module):
    """The linear map from a volume to its scan, for one geometry.

    ``A(x)`` takes attenuation (..., z, y, x) [1/cm], float32, and gives line integrals (..., row, view, col).
    ``A.T(y)`` is the exact transpose, and ``A.T.T is A``. Any number of slices goes through a parallel or fan beam at a
    time; slices are worked on in blocks of `block`, so that a volume cut into multiples of `block` gives the same bits
    as the whole. A cone beam takes whole volumes of `geometry.slices`. Either map is the gradient of the other, to any
    order. The result is a fresh tensor, and lies where the argument does: on the CPU or on CUDA.

    Parameters
    ----------
    geometry : Geometry
        Where the rays run. Parallel and fan beams need no agreement between `rows` and the slices of `x`.
    model : {"strip", "bandlimited", "joseph"}, optional
        What a voxel and a detector pixel are. ``strip``: square voxels, pixels that average over their width (what
        a detector does: use it to simulate and inside iterations). ``bandlimited``: no frequency above the grid's,
        points on the detector (sharpest, for filtered back-projection; rings at edges). ``joseph``: linear
        interpolation along rays, in space instead of frequency; slower, and an independent check of the others.
        A parallel beam has all three and takes strip by default; fan and cone have joseph.
    response : (length / 2 + 1,) tensor, optional
        A filter along the detector: its factors at the frequencies of a real transform of `length` samples, at least
        twice the columns. ``A.T`` then filters before it back-projects, at no cost: filtered back-projection.
    shares : (views,) tensor, optional
        A factor for each view, with `response`.
    backend : {"auto", "reference", "astra"}, optional
        Whose code runs, see `bonectl.projection.backends.engine`. With ``astra``, `A.T` is not the exact transpose.

    Raises
    ------
    UsageError
        When there is no such model for the geometry, or a filter is incomplete or given to ``joseph``; when a tensor
        does not fit the geometry or is not float32; when there is no such backend.
    UnavailableError
        When a tensor lies where no projector, or not this backend, runs.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        model: str | None = None,
        response: Tensor | None = None,
        shares: Tensor | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        backends.check(backend)
        model = model or ("strip" if geometry.kind == "parallel" and backend != "astra" else "joseph")
        if model not in MODELS:
            raise UsageError(f"no pixel model {model!r}; there are {', '.join(MODELS)}")
        if geometry.kind != "parallel" and model != "joseph":
            raise UsageError(f"no pixel model {model!r} for a {geometry.kind} beam; there is joseph")
        if backend == "astra" and model != "joseph":
            raise UsageError(f"backend astra has no pixel model {model!r}, and no fbp; there is joseph")
        if (response is None) != (shares is None):
            raise UsageError("a filter is a response along the detector and a share for each view; give both")
        if model == "joseph" and response is not None:
            raise UsageError("joseph works in space and takes no filter; use strip or bandlimited")
        self.geometry = geometry
        self.model = model
        self.backend = backend
        self._views = torch.from_numpy(geometry.angles.degrees.copy())
        self._filter = parallel_ops.filter_of(response, shares)
        # known before anybody traces the call
        self._beam = None if geometry.kind == "parallel" else divergent.sizes_and_numbers(geometry)
        self._norm: float | None = None
        # in a tuple, so that torch does not take the transpose for a part of its transpose
        self._transpose = (Transpose(self),)

    @property
    def T(self) -> "Transpose":
        """The transpose."""
        return self._transpose[0]

    @property
    def block(self) -> int:
        """Slices (rows of the scan in a cone beam) that are worked on together."""
        match self.geometry.kind:
            case "parallel":
                return joseph.BLOCK if self.model == "joseph" else fsp.block(self.geometry.size)
            case "fan":
                return fan.block(self.geometry.size)
            case _:
                return self.geometry.rows

    @property
    def domain(self) -> tuple[int, ...]:
        """What is mapped on its own: a slice (y, x), or in a cone beam a volume (z, y, x)."""
        shape = self.geometry.volume_shape
        return shape if self.geometry.kind == "cone" else shape[1:]

    @property
    def codomain(self) -> tuple[int, ...]:
        """What it is mapped to: (view, col), or in a cone beam (row, view, col)."""
        shape = self.geometry.shape
        return shape if self.geometry.kind == "cone" else shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Line integrals (..., row, view, col) of attenuation (..., z, y, x) [1/cm]."""
        _check(x, self.domain, "a volume", ("z", "y", "x"))
        flat = x.reshape(-1, *self.domain)
        if not len(flat):
            return x.new_empty(*x.shape[: x.ndim - len(self.domain)], *self.codomain)
        scan = self._project_parallel(flat) if self._beam is None else self._project_divergent(flat, *self._beam)
        return scan.reshape(*x.shape[: x.ndim - len(self.domain)], *self.codomain)

    def back(self, y: Tensor) -> Tensor:
        """The transpose: (..., row, view, col) to (..., z, y, x)."""
        _check(y, self.codomain, "a scan", ("row", "view", "col"))
        flat = y.reshape(-1, *self.codomain)
        if not len(flat):
            return y.new_empty(*y.shape[: y.ndim - len(self.codomain)], *self.domain)
        if self._beam is None:
            volume = self._backproject_parallel(flat)
        else:
            volume = self._backproject_divergent(flat, *self._beam)
        return volume.reshape(*y.shape[: y.ndim - len(self.codomain)], *self.domain)

    def _project_parallel(self, x: Tensor) -> Tensor:
        run = parallel_ops.project_now if _plain(x) else parallel_ops.project_parallel
        side = self.geometry.columns
        scan: Tensor = run(x, self._views, self._filter, side, self._numbers, self.model, self.backend)
        return scan

    def _backproject_parallel(self, y: Tensor) -> Tensor:
        run = parallel_ops.backproject_now if _plain(y) else parallel_ops.backproject_parallel
        side = self.geometry.size
        volume: Tensor = run(y, self._views, self._filter, side, self._numbers, self.model, self.backend)
        return volume

    @property
    def _numbers(self) -> list[float]:
        return [self.geometry.pitch, self.geometry.centre, self.geometry.voxel]

    def _project_divergent(self, x: Tensor, sizes: list[int], numbers: list[float]) -> Tensor:
        now, recorded = divergent_ops.PROJECT[self.geometry.kind]
        return (now if _plain(x) else recorded)(x, self._views, sizes, numbers, self.backend)

    def _backproject_divergent(self, y: Tensor, sizes: list[int], numbers: list[float]) -> Tensor:
        now, recorded = divergent_ops.BACKPROJECT[self.geometry.kind]
        return (now if _plain(y) else recorded)(y, self._views, sizes, numbers, self.backend)

    def norm(self, device: torch.device | str = "cpu") -> float:
        """The largest singular value, by 12 steps of the power method on a device; kept once it is known."""
        if self._norm is None:
            self._norm = self._largest(torch.device(device))
        return self._norm

    @torch.no_grad()
    def _largest(self, device: torch.device) -> float:
        # a positive operator's first singular vector is positive: start from ones and few steps are enough
        x = torch.ones(1, *self.domain, device=device)
        for _ in range(12):
            x = x / torch.linalg.vector_norm(x)
            x = self.back(self.forward(x))
        return sqrt(float(torch.linalg.vector_norm(x)))

    def extra_repr(self) -> str:
        """The geometry as the call that makes it, and the model."""
        return f"{self.geometry}, model={self.model!r}"


class Transpose(nn.Module):
    """The transpose of a projector; ``A.T.T is A``."""

    def __init__(self, of: Projector) -> None:
        super().__init__()
        self._of = (of,)

    @property
    def T(self) -> Projector:
        """The projector."""
        return self._of[0]

    def forward(self, y: Tensor) -> Tensor:
        """Scan (..., row, view, col) to volume (..., z, y, x)."""
        return self._of[0].back(y)


def _check(x: Tensor, tail: tuple[int, ...], what: str, axes: tuple[str, ...]) -> None:
    if x.ndim < len(axes) or tuple(x.shape[-len(tail) :]) != tail:
        named, needed = ", ".join(axes[-len(tail) :]), ", ".join(map(str, tail))
        raise UsageError(f"{what} of shape {tuple(x.shape)}; the geometry needs (..., {named}) = (..., {needed})")
    if x.dtype != torch.float32:
        raise UsageError(f"{what} of {x.dtype}; the projector works in float32")


def _plain(x: Tensor) -> bool:
    """Whether nobody records what happens to `x`: then the first call need not import torch's compiler (a second)."""
    recorded = x.requires_grad and torch.is_grad_enabled()
    return type(x) is Tensor and x.device.type != "meta" and not recorded and not torch.compiler.is_compiling()
