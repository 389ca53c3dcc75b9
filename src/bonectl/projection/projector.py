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

import torch
from torch import Tensor, nn

from bonectl.core.arrays import Values
from bonectl.core.geometry import Geometry
from bonectl.projection import backends, divergent, divergent_ops, parallel_ops
from bonectl.projection.system import Map


class Projector(Map, nn.Module):
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
    response : (length / 2 + 1,) array or tensor, optional
        A filter along the detector: its factors at the frequencies of a real transform of `length` samples, at least
        twice the columns. ``A.T`` then filters before it back-projects, at no cost: filtered back-projection.
    shares : (views,) array or tensor, optional
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

    _float32 = torch.float32

    def __init__(
        self,
        geometry: Geometry,
        *,
        model: str | None = None,
        response: Values | None = None,
        shares: Values | None = None,
        backend: str = "auto",
    ) -> None:
        nn.Module.__init__(self)
        Map.__init__(self, geometry, model=model, response=response, shares=shares, backend=backend)
        self._views = torch.from_numpy(geometry.angles.degrees.copy())
        self._filter = parallel_ops.filter_of(self.filter)
        # known before anybody traces the call
        self._beam = None if geometry.kind == "parallel" else divergent.sizes_and_numbers(geometry)
        # in a tuple, so that torch does not take the transpose for a part of its transpose
        self._transpose = (Transpose(self),)

    @property
    def T(self) -> "Transpose":
        """The transpose."""
        return self._transpose[0]

    def collect(self, lines: Tensor) -> Tensor:
        """As `bonectl.projection.system.System.collect`, where the lines lie."""
        return divergent_ops.collect(self.geometry, lines, self.backend)

    def compiles(self, values: Tensor) -> bool:
        """Whether these values are worked on by code that is compiled for a CPU."""
        return backends.engine(values.device, self.backend) == "numba"

    def _project(self, x: Tensor) -> Tensor:
        return self._project_parallel(x) if self._beam is None else self._project_divergent(x, *self._beam)

    def _backproject(self, y: Tensor) -> Tensor:
        return self._backproject_parallel(y) if self._beam is None else self._backproject_divergent(y, *self._beam)

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

    @torch.no_grad()
    def _largest(self, like: Values) -> float:
        return super()._largest(like if isinstance(like, Tensor) else torch.empty(0))

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
        volume: Tensor = self._of[0].back(y)
        return volume


def _plain(x: Tensor) -> bool:
    """Whether nobody records what happens to `x`: then the first call need not import torch's compiler (a second)."""
    recorded = x.requires_grad and torch.is_grad_enabled()
    return type(x) is Tensor and x.device.type != "meta" and not recorded and not torch.compiler.is_compiling()
