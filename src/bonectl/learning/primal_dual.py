"""The learned primal-dual algorithm (Adler and Öktem, IEEE Trans. Med. Imaging 37, 1322, 2018, algorithm 3).

The proximal steps of a primal-dual method are replaced by small networks, one for each step; the projector and its
transpose stay what physics says. Between the steps both the volume and the scan have a memory of several channels.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bonectl.core.geometry import Geometry
from bonectl.errors import UsageError
from bonectl.learning.denoiser import Trainable


def proximal(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Return three 3 × 3 convolutions with PReLU between them, as in the paper; the last one starts at zero."""
    layers = nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1),
        nn.PReLU(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.PReLU(width),
        nn.Conv2d(width, outputs, 3, padding=1),
    )
    nn.init.zeros_(layers[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(layers[-1].bias)  # type: ignore[arg-type]
    return layers


class Operator(Protocol):
    """What is asked of a projector: ``bonectl.projection.projector.Projector`` has it."""

    geometry: Geometry

    @property
    def T(self) -> Callable[[Tensor], Any]:
        """The transpose."""
        ...

    def __call__(self, x: Tensor) -> Any:
        """Project, (z, y, x) → (row, view, col)."""
        ...

    def norm(self, like: Tensor) -> float:
        """Largest singular value."""
        ...


class PrimalDual(Trainable):
    """From a scan to a volume, slice by slice, for parallel and fan beams.

    It starts from a given reconstruction (the paper: from zero, or from filtered back-projection), so that before any
    training it returns just that.

    Parameters
    ----------
    iterations : int
        Steps.
    width : int
        Channels inside a step's networks.
    memory : int
        Channels of the volume and of the scan between the steps.

    Raises
    ------
    UsageError
        A number below 1.
    """

    def __init__(self, iterations: int, width: int, memory: int) -> None:
        super().__init__()
        if min(iterations, width, memory) < 1:
            raise UsageError(f"iterations={iterations}, width={width}, memory={memory}: all must be at least 1")
        self.memory = memory
        # Dual: its memory, the projected volume, the scan. Primal: its memory, the back-projected dual.
        self.duals = nn.ModuleList(proximal(memory + 2, width, memory) for _ in range(iterations))
        self.primals = nn.ModuleList(proximal(memory + 1, width, memory) for _ in range(iterations))

    def forward(self, A: Operator, y: Tensor, start: Tensor, scale: float) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        A : Operator
            Of a parallel or fan beam.
        y : (row, view, col) tensor
            Line integrals.
        start : (z, y, x) tensor
            A first reconstruction [1/cm].
        scale : float
            Attenuation that the networks see as 1 [1/cm].

        Returns
        -------
        (z, y, x) tensor
            Attenuation [1/cm].

        Raises
        ------
        UsageError
            A cone beam.
        """
        if A.geometry.kind == "cone":
            raise UsageError("the learned primal-dual works slice by slice; use sirt or fdk for a cone beam")
        # Scans in units in which the projector has norm 1: the networks then see numbers of one size in both spaces.
        norm = A.norm(y)
        measured = (y / (norm * scale)).unsqueeze(1)
        volume = (start / scale).unsqueeze(1).repeat(1, self.memory, 1, 1)
        dual = torch.zeros(len(y), self.memory, *y.shape[1:], dtype=y.dtype, device=y.device)
        for prox_dual, prox_primal in zip(self.duals, self.primals, strict=True):
            projected = (A(volume[:, -1].contiguous()) / norm).unsqueeze(1)
            dual = dual + prox_dual(torch.cat((dual, projected, measured), 1))
            corrected = (A.T(dual[:, 0].contiguous()) / norm).unsqueeze(1)
            volume = volume + prox_primal(torch.cat((volume, corrected), 1))
        answer: Tensor = volume[:, 0] * scale
        return answer
