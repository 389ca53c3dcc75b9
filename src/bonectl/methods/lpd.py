"""Learned primal-dual reconstruction."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.errors import DataError, UsageError
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.primal_dual import PrimalDual
from bonectl.learning.weights import edition, located
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection.projector import Projector

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan")
USUAL = ()
CLOSED = True
MOMENTS = ((3, 6, "back"),)

VARIABLE = "BONECTL_LPD_WEIGHTS"
MADE = "bonectl train SCAN --target VOLUME --model lpd -o FILE"

# Beyond this ratio between the training scans and this one, a note says so.
APART = 1.1


def lpd(A: Any, y: Values, *, weights: str = "") -> Values:
    """Learned primal-dual: an iterative method whose proximal steps are networks trained on scans and their truths.

    Adler and Öktem, IEEE Trans. Med. Imaging 37, 1322 (2018), algorithm 3, from a filtered back-projection with a Hann
    window; slice by slice, for parallel and fan beams. It wants scans like those it was trained on: views, voxels and
    dose; other views or voxels are noted. ``bonectl train --model lpd`` makes the weights. Looked for: ``weights``,
    then the environment variable BONECTL_LPD_WEIGHTS.

    Parameters
    ----------
    A : System or Projector
        The geometry of the scan.
    y : (..., row, view, col) array or tensor
        Line integrals.
    weights : str
        File (.safetensors).

    Returns
    -------
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UnavailableError
        When no weight file is named, or there is none.
    DataError
        When the file holds no weights of this method.
    UsageError
        When the beam is a cone.
    """
    if arrays.is_array(y):  # networks take tensors
        return lpd(Projector(A.geometry, backend=A.backend), arrays.tensor(y), weights=weights).numpy()
    geometry = A.geometry
    path = weights_file(weights=weights)
    network, scale = _trained(path, edition(path), str(y.device))
    _compare(path, edition(path), geometry.views, geometry.voxel)
    rows = y.reshape(-1, *y.shape[-2:])
    volume = network(A, rows, start(A, rows), scale)
    return volume.reshape(*y.shape[:-2], *volume.shape[-2:])


def weights_file(*, weights: str = "") -> Path:
    """Return the file of weights: as given, else by the environment.

    Raises
    ------
    UnavailableError
        Neither names a file.
    """
    return located(weights, VARIABLE, "lpd", MADE)


@torch.no_grad()
def start(A: Projector, y: Tensor) -> Tensor:
    """Return the reconstruction it begins with, (row, view, col) → (z, y, x).

    Raises
    ------
    UsageError
        When the beam is a cone.
    """
    if A.geometry.kind == "cone":
        raise UsageError("lpd works slice by slice; use fdk or sirt for a cone beam")
    first: Tensor = fbp(A, y, window="hann") if A.geometry.kind == "parallel" else fdk(A, y, window="hann")
    return first


@lru_cache(maxsize=4)
def _trained(path: Path, edition: tuple[int, int, int], place: str) -> tuple[PrimalDual, float]:
    """Return the network of a file, frozen, and the attenuation that it sees as 1 [1/cm]."""
    checkpoint = Checkpoint.load(path)
    network = checkpoint.network(path, "lpd")
    if not isinstance(network, PrimalDual):
        raise DataError(f"{path}: these are no weights of lpd, but of {checkpoint.model}; they are for bonectl denoise")
    return network.to(place), checkpoint.normalisation.scale


@lru_cache(maxsize=64)
def _compare(path: Path, edition: tuple[int, int, int], views: int, voxel: float) -> None:
    """Note once where a scan is unlike those that were trained on."""
    checkpoint = Checkpoint.load(path)
    there = {"views": checkpoint.acquisition.get("views"), "voxel [mm]": checkpoint.spacing[-1]}
    for (name, then), now in zip(there.items(), (views, voxel), strict=True):
        if isinstance(then, int | float) and not 1 / APART <= now / then <= APART:
            progress.note(f"warning: {name} is {now:g}, lpd was trained at {then:g}; train it for this scan")
