"""Perceptual loss: features of a network trained on photographs (Johnson, Alahi and Fei-Fei 2016)."""

from torch import Tensor

from bonectl.learning.sample import Sample
from bonectl.losses._vgg import distance, pretrained


def vgg(
    sample: Sample,
    *,
    net: str = "vgg16",
    layer: str = "relu3_3",
    weights: str = "",
    low: float = 0.0,
    high: float = 1.0,
) -> Tensor:
    """Mean absolute difference of the features that a VGG network trained on ImageNet sees in each slice.

    Needs the user's weight file; nothing is downloaded and nothing stands in for it (``randvgg`` is another loss).
    Looked for: ``weights``, the environment variable BONECTL_VGG_WEIGHTS, then TORCH_HOME/hub/checkpoints
    (~/.cache/torch without TORCH_HOME); the name's last digits must be the file's SHA-256. Features shift grey
    values: put ``l1``, ``lowpass`` or ``hist`` beside it.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; patches of 4 pixels or more for a layer of block 3, 8 of block 4,
        16 of block 5.
    net : str
        vgg16 or vgg19.
    layer : str
        relu3_3: behind the third convolution of the third block; conv3_3: before its ReLU.
    weights : str
        File (.pth or .safetensors), or the folder that holds it.
    low, high : float
        Values the network sees as black and white [normalised units]; nothing is clipped.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    UnavailableError
        When there is no weight file.
    DataError
        When the file is not what its name says.
    UsageError
        When there is no such network or layer, or patches are too small for it.
    """
    features = pretrained(net, layer, weights, str(sample.estimate.device), sample.estimate.dtype)
    return distance(sample, features, low, high)
