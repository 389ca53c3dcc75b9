"""The linear map from a volume to its scan: what it is for all arrays, and how NumPy arrays go through it on a CPU.

`bonectl.projection.projector` says how the rays run, and has the same map for tensors: with gradients, and on a GPU.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from math import sqrt
from typing import Any

import numpy as np

from bonectl.core import arrays
from bonectl.core.arrays import Values
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.projection import divergent, fsp, joseph

MODELS = ("strip", "bandlimited", "joseph")
BACKENDS = ("auto", "reference", "astra")


def check_backend(backend: str) -> None:
    """Raise UsageError when there is no such backend (`bonectl.projection.backends.engine`)."""
    if backend not in BACKENDS:
        raise UsageError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")


class Map:
    """What a projector of arrays and one of tensors share; knobs as `bonectl.projection.projector.Projector`."""

    _float32: Any = np.dtype(np.float32)

    def __init__(
        self,
        geometry: Geometry,
        *,
        model: str | None = None,
        response: Values | None = None,
        shares: Values | None = None,
        backend: str = "auto",
    ) -> None:
        check_backend(backend)
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
        self.filter = _filter(response, shares)
        self._norm: float | None = None

    def like(self, geometry: Geometry, **knobs: Any) -> Any:
        """The map of another geometry, for arrays of the same kind."""
        return type(self)(geometry, backend=self.backend, **knobs)

    @property
    def block(self) -> int:
        """Slices (rows of the scan in a cone beam) that are worked on together."""
        match self.geometry.kind:
            case "parallel":
                return joseph.BLOCK if self.model == "joseph" else fsp.BLOCK
            case "fan":
                return divergent.block(self.geometry.size)
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

    def forward(self, x: Values) -> Values:
        """Line integrals (..., row, view, col) of attenuation (..., z, y, x) [1/cm]."""
        self._check(x, self.domain, "a volume", ("z", "y", "x"))
        return _mapped(x, self.domain, self.codomain, self._project)

    def back(self, y: Values) -> Values:
        """The transpose: (..., row, view, col) to (..., z, y, x)."""
        self._check(y, self.codomain, "a scan", ("row", "view", "col"))
        return _mapped(y, self.codomain, self.domain, self._backproject)

    def compiles(self, values: Values) -> bool:
        """Whether these values are worked on by code that is compiled for a CPU."""
        return arrays.is_array(values)

    def norm(self, like: Values | None = None) -> float:
        """The largest singular value, by 12 steps of the power method where `like` lies; kept once it is known."""
        if self._norm is None:
            self._norm = self._largest(np.zeros(0, dtype=np.float32) if like is None else like)
        return self._norm

    def _largest(self, like: Values) -> float:
        # a positive operator's first singular vector is positive: start from ones and few steps are enough
        x = arrays.ones(like, 1, *self.domain)
        axes = tuple(range(-x.ndim, 0))
        for _ in range(12):
            x = x / arrays.norm(x, axes)
            x = self.back(self.forward(x))
        return sqrt(arrays.norm(x, axes).item())

    def _check(self, x: Values, tail: tuple[int, ...], what: str, axes: tuple[str, ...]) -> None:
        if x.ndim < len(axes) or tuple(x.shape[-len(tail) :]) != tail:
            named, needed = ", ".join(axes[-len(tail) :]), ", ".join(map(str, tail))
            raise UsageError(f"{what} of shape {tuple(x.shape)}; the geometry needs (..., {named}) = (..., {needed})")
        if x.dtype != self._float32:
            raise UsageError(f"{what} of {x.dtype}; the projector works in float32")

    def _project(self, x: Values) -> Values:
        raise NotImplementedError

    def _backproject(self, y: Values) -> Values:
        raise NotImplementedError


class System(Map):
    """The map of one geometry for NumPy arrays on a CPU; knobs and errors as `bonectl.projection.projector.Projector`.

    Arrays have one engine, the compiled kernels: another backend than ``auto`` is refused.

    ``A(x)`` takes attenuation (..., z, y, x) [1/cm] and gives line integrals (..., row, view, col), float32;
    ``A.T(y)`` is the exact transpose, and ``A.T.T is A``.
    """

    def __init__(self, geometry: Geometry, *, backend: str = "auto", **knobs: Any) -> None:
        super().__init__(geometry, backend=backend, **knobs)
        if backend != "auto":
            raise UsageError(
                f"backend {backend} is for tensors, by Projector; arrays go through compiled kernels alone"
            )

    def __call__(self, x: Array) -> Array:
        """Line integrals (..., row, view, col) of attenuation (..., z, y, x) [1/cm]."""
        scan: Array = self.forward(x)
        return scan

    @property
    def T(self) -> "Transpose":
        """The transpose."""
        return Transpose(self)

    def collect(self, lines: Values) -> Values:
        """The back-projection of filtered back-projection: over the squared distance from the source, no transpose.

        Parameters
        ----------
        lines : (row, view, col) float32
            Of a fan or cone beam with an upright detector.

        Returns
        -------
        (z, y, x) array
            The sum over views, see `bonectl.projection.numba.fan.collect` and `bonectl.projection.numba.cone.collect`.
        """
        collected: Array = _kernels(self.geometry.kind).collect(divergent.tables_of(self.geometry), lines)
        return collected

    def _project(self, x: Values) -> Values:
        return self._run("project", x)

    def _backproject(self, y: Values) -> Values:
        return self._run("backproject", y)

    def _run(self, which: str, values: Array) -> Array:
        """One of the two functions of a kernel's file, on (item, ...) arrays."""
        tables, kernels = self._tables(), _kernels(self._kind)
        run: Callable[[Array], Array] = partial(getattr(kernels, which), tables)
        values = np.ascontiguousarray(values)
        if self.geometry.kind != "cone":
            return run(values)
        return run(values[0])[None] if len(values) == 1 else np.stack([run(one) for one in values])

    @property
    def _kind(self) -> str:
        """The file of its kernels."""
        if self.geometry.kind != "parallel":
            return self.geometry.kind
        return "joseph" if self.model == "joseph" else "fsp"

    def _tables(self) -> Any:
        if self.geometry.kind != "parallel":
            return divergent.tables_of(self.geometry)
        beam = joseph.Beam.of(self.geometry)
        return joseph.tables(beam) if self.model == "joseph" else fsp.tables(beam, self.model, self.filter)


class Transpose:
    """The transpose of a map of arrays; ``A.T.T is A``."""

    def __init__(self, of: System) -> None:
        self.T = of

    def __call__(self, y: Array) -> Array:
        """Scan (..., row, view, col) to volume (..., z, y, x)."""
        volume: Array = self.T.back(y)
        return volume


def _kernels(kind: str) -> Any:
    """The compiled kernels of a beam; imported here, because a plan is made without them."""
    return import_module(f"bonectl.projection.numba.{kind}")


def _filter(response: Values | None, shares: Values | None) -> fsp.Filter | None:
    if response is None or shares is None:
        return None
    factors = [arrays.plain(part).astype(np.float32) for part in (response, shares)]
    return fsp.Filter(*(part.tobytes() for part in factors))


def _mapped(
    values: Values, domain: tuple[int, ...], codomain: tuple[int, ...], run: Callable[[Values], Values]
) -> Values:
    """Values (..., domain) as (..., codomain), item by item."""
    head = values.shape[: values.ndim - len(domain)]
    flat = values.reshape(-1, *domain)
    if not len(flat):
        return arrays.zeros(values, *head, *codomain)
    return run(flat).reshape(*head, *codomain)
