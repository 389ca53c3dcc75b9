"""Perceptual loss: features of a network trained on the numbers of bones."""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.encoder import Encoder, TrainedEncoder, frozen
from bonectl.learning.sample import Sample
from bonectl.learning.weights import edition, located

VARIABLE = "BONECTL_ENCODER_WEIGHTS"
MADE = "python examples/bone-encoder/build.py -o bone-encoder.safetensors"


def encoder(sample: Sample, *, weights: str = "", low: float = 0.0, high: float = 1.0) -> Tensor:
    """Mean absolute difference of the features that a network trained on bone numbers sees in each run of slices.

    The network looks at 3-D structure: it was trained to tell local bone numbers (bone share, density, surface, Euler
    number, thickness) of phantoms that it was shown noisy and blurred (``examples/bone-encoder``). A feature counts in
    units of its standard deviation over those bones; the mean is over channels and voxels of each of three scales, and
    over the scales. It costs about as much as the training step of a small network. It was not taught what values
    mean beyond that: put ``l1``, ``lowpass`` or ``hist`` beside it.

    Needs the weight file, which ``python examples/bone-encoder/build.py -o FILE`` makes in minutes on a
    CPU. Looked for: ``weights``, then the environment variable BONECTL_ENCODER_WEIGHTS. Nothing stands in for it.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    weights : str
        File (.safetensors).
    low, high : float
        Values the network sees as 0 and 1200 mgHA/cm³ [normalised units]; nothing is clipped. 0 and 1 for calibrated
        data.

    Returns
    -------
    Tensor, ()
        [standard deviations of the features]

    Raises
    ------
    UnavailableError
        When no weight file is named, or there is none.
    DataError
        When the file is no bone encoder, or damaged.
    UsageError
        When ``low`` is not below ``high``.
    """
    if not low < high:
        raise UsageError(f"encoder(low={low}, high={high}): the window of values must not be empty")
    path = weights_file(weights=weights)
    network = _pretrained(path, edition(path), str(sample.estimate.device), sample.estimate.dtype)
    estimate, target = (network((values - low) / (high - low)) for values in (sample.estimate, sample.target))
    differences = [(a - b).abs().mean() for a, b in zip(estimate, target, strict=True)]
    return torch.stack(differences).mean()


def weights_file(*, weights: str = "") -> Path:
    """Return the file of weights: as given, else by the environment.

    Raises
    ------
    UnavailableError
        Neither names a file.
    """
    return located(weights, VARIABLE, "encoder", MADE)


@lru_cache(maxsize=4)
def _pretrained(path: Path, edition: tuple[int, int, int], place: str, dtype: torch.dtype) -> Encoder:
    """Return the network of a file, frozen."""
    return frozen(TrainedEncoder.load(path).network, place, dtype)
