"""Perceptual loss without training: features of a random network (Liu, Chen, Chen and Yu 2021, CVPR)."""

from torch import Tensor

from bonectl.learning.sample import Sample
from bonectl.losses._vgg import distance, randomised


def randvgg(
    sample: Sample,
    *,
    net: str = "vgg16",
    layer: str = "relu3_3",
    seed: int = 0,
    low: float = 0.0,
    high: float = 1.0,
) -> Tensor:
    """Mean absolute difference of the features that a VGG network with random weights sees in each slice.

    Needs no weight file. It is not the loss of papers that say VGG.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; patches of 4 pixels or more for a layer of block 3, 8 of block 4,
        16 of block 5.
    net : str
        vgg16 or vgg19.
    layer : str
        relu3_3: behind the third convolution of the third block; conv3_3: before its ReLU.
    seed : int
        Of the weights (He-normal, no biases), the same on every machine.
    low, high : float
        Values the network sees as black and white [normalised units]; nothing is clipped.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    UsageError
        When there is no such network or layer, or patches are too small for it.
    """
    features = randomised(net, layer, seed, str(sample.estimate.device), sample.estimate.dtype)
    return distance(sample, features, low, high)
