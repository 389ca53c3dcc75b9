"""Reconstruction with a trained denoiser as prior: plug and play."""

from functools import lru_cache
from math import inf, prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bonectl.core import arrays, physics, progress
from bonectl.core.arrays import Values
from bonectl.errors import DataError, UsageError
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.tiles import apply
from bonectl.learning.weights import edition, located

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((5, 8, "project"), (4, 9, "back"))

VARIABLE = "BONECTL_PNP_WEIGHTS"
MADE = "bonectl train CLEAN --pairs white --model drunet --run 1 -o FILE"

# Steps of conjugate gradients in each data step, which begins at the prior's answer.
INNER = 6
# In the first one there is no answer yet that could be trusted: more steps, from nothing, and that share of the trust.
FIRST, LITTLE = 20, 0.03
# Side of a tile that the network is given, without its halo [pixels].
TILE = 512
# Below any square that counts: a slice of nothing has a residual of 0.
TINY = 1e-30


def pnp(
    A: Any,
    y: Values,
    *,
    weights: str = "",
    strength: float = 0.1,
    iterations: int = 8,
    tolerance: float = 1e-3,
    energy: float = 0.0,
) -> Values:
    """A denoiser that knows bone and no scanner, asked again and again between steps towards the data.

    Half-quadratic splitting (Zhang et al., IEEE Trans. Pattern Anal. Mach. Intell. 44, 6360, 2022, eqs. 6a and 6b) with
    a fixed weight: x is the minimum of ‖A x - y‖² / ‖A‖² + strength ‖x - z‖², rays weighted by how much of the beam
    passed, and z what the network makes of x; z is the answer. Where it ends, z = D(x) and x agrees with the scan as
    far as strength lets it: a fixed point and, for a network, the minimum of nothing that is known. The network is
    trained on clean bone and white noise (``train --pairs white``) and serves every dose, every number of views and
    every beam; one that is trained on scans like this one (``denoise``) is better at these. Slice by slice: models that
    look at neighbouring slices cannot serve.

    Parameters
    ----------
    A : System or Projector
    y : (..., row, view, col) array or tensor
        Line integrals.
    weights : str
        File (.safetensors) of a network in two dimensions. Looked for: here, then in the environment variable
        BONECTL_PNP_WEIGHTS.
    strength : float
        Trust in the network; more for noisier scans: 0.3 for 300 photons a pixel, 0.1 for 3000.
    iterations : int
        Rounds at most.
    tolerance : float
        A slice (in a cone beam, the volume) is done when a round changes it, in the Euclidean norm, by less than this
        share of itself.
    energy : float
        Photon energy of this scan, for a network that was trained on mgHA/cm³ [keV].

    Returns
    -------
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UnavailableError
        When no weight file is named, or there is none.
    DataError
        When the file holds no weights of a denoiser.
    UsageError
        When a knob is out of range, the network looks at neighbouring slices, or wants an energy.
    """
    if iterations < 1 or not 0 <= tolerance <= 1 or not 0 < strength < inf:
        raise UsageError(
            f"pnp(strength={strength}, iterations={iterations}, tolerance={tolerance}); give a strength above 0, "
            "at least 1 iteration, and a tolerance of 0 to 1"
        )
    if arrays.is_recorded(y):
        raise UsageError("pnp gives no gradient; use torch.no_grad()")
    path = weights_file(weights=weights)
    prior = _Prior(*_trained(path, edition(path)), energy)
    step = _DataStep(A, y)
    nothing = arrays.zeros(y, *y.shape[: y.ndim - len(A.codomain)], *A.domain)
    z = prior(step(nothing, LITTLE * strength, FIRST))
    busy = arrays.norm(z, step.axes) >= 0  # all of them
    with progress.task("pnp", iterations, "round") as advance:
        for _ in range(iterations):
            before, z = z, arrays.space(y).where(busy, prior(step(z, strength, INNER)), z)
            advance(1)
            busy = busy & (arrays.norm(z - before, step.axes) > tolerance * arrays.norm(z, step.axes))
            if not busy.any():
                break
    return z


def weights_file(*, weights: str = "") -> Path:
    """Return the file of weights: as given, else by the environment.

    Raises
    ------
    UnavailableError
        Neither names a file.
    """
    return located(weights, VARIABLE, "pnp", MADE)


class _DataStep:
    """The volume that is nearest to z and to the scan: conjugate gradients from z on.

    Parameters
    ----------
    A, y
        As :func:`pnp`.
    """

    def __init__(self, A: Any, y: Values) -> None:
        self.A = A
        self.scale = 1 / A.norm(y) ** 2
        self.axes = tuple(range(-len(A.domain), 0))
        passed = arrays.space(y).exp(-y.clip(min=0.0))  # the variance of a line integral goes with its inverse
        rays = tuple(range(-len(A.codomain), 0))
        self.trust = passed / (arrays.inner(passed, arrays.space(y).ones_like(y), rays) / prod(A.codomain))
        self.data = self.scale * A.T(self.trust * y)

    def __call__(self, z: Values, strength: float, steps: int) -> Values:
        """The volume after so many steps; `strength` as :func:`pnp`."""
        x = z
        residual = self.data + strength * z - self._normal(z, strength)
        direction, squared = residual, arrays.squares(residual, self.axes)
        for _ in range(steps):
            image = self._normal(direction, strength)
            length = squared / arrays.inner(direction, image, self.axes).clip(min=TINY)
            x = x + length * direction
            residual = residual - length * image
            now = arrays.squares(residual, self.axes)
            direction = residual + now / squared.clip(min=TINY) * direction
            squared = now
        return x

    def _normal(self, x: Values, strength: float) -> Values:
        return self.scale * self.A.T(self.trust * self.A(x)) + strength * x


class _Prior:
    """What a network makes of attenuation, slice by slice.

    Parameters
    ----------
    network : Denoiser
    checkpoint : Checkpoint
    energy : float
        As :func:`pnp`.

    Raises
    ------
    UsageError
        It was trained on mgHA/cm³ and there is no energy, or on no unit that attenuation can be turned into.
    """

    def __init__(self, network: Denoiser, checkpoint: Checkpoint, energy: float) -> None:
        known = checkpoint.normalisation
        slope, intercept = 1.0, 0.0
        if known.unit == "mgHA/cm3":
            if not energy > 0:
                raise UsageError("pnp's network was trained on mgHA/cm3; say the energy of this scan: pnp(energy=KEV)")
            slope, intercept = physics.mineral_law(energy)
        elif known.unit != "1/cm":
            raise UsageError(f"pnp's network was trained on {known.unit}; train it on 1/cm or mgHA/cm3")
        self.network = network
        # One affine map from attenuation to what the network sees.
        self.gain, self.shift = slope / known.scale, (intercept - known.offset) / known.scale

    @torch.inference_mode()
    def __call__(self, x: Values) -> Values:
        volume = torch.from_numpy(x) if arrays.is_array(x) else x
        self.network.to(volume.device)
        slices = volume.reshape(-1, 1, *volume.shape[-2:])
        answer: Tensor = torch.empty_like(slices)
        for number, one in enumerate(slices):  # one at a time: bytes do not depend on how many there are
            u = (self.gain * one + self.shift).unsqueeze(0)
            # Only the correction goes through the scale, as in `bonectl denoise`.
            answer[number] = one + (apply(self.network, u, TILE) - u)[0] / self.gain
        found = answer.reshape(volume.shape)
        return found.numpy() if arrays.is_array(x) else found.clone()


@lru_cache(maxsize=4)
def _trained(path: Path, edition: tuple[int, int, int]) -> tuple[Denoiser, Checkpoint]:
    """Return the network of a file, frozen, and what is known of it."""
    checkpoint = Checkpoint.load(path)
    network = checkpoint.network(path, "a denoiser")
    if not isinstance(network, Denoiser):
        raise DataError(f"{path}: these are no weights of a denoiser, but of {checkpoint.model}")
    if network.reach.slices:
        raise UsageError(
            f"{path}: {checkpoint.model} looks at neighbouring slices, and pnp works slice by slice; train unet2d, "
            "drunet, nafnet, msd or redcnn"
        )
    return network, checkpoint
