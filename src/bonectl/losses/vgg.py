"""Perceptual loss: features of a network trained on photographs (Johnson, Alahi and Fei-Fei 2016)."""

from pathlib import Path

from torch import Tensor

from bonectl.learning.sample import Sample
from bonectl.losses._vgg import distance, located, pretrained


def vgg(
    sample: Sample,
    *,
    net: str = "vgg16",
    layer: str = "relu3_3",
    weights: str = "",
    low: float = 0.0,
    high: float = 1.0,
    slices: int = 0,
) -> Tensor:
    """Mean absolute difference of the features that a VGG network trained on ImageNet sees in each slice.

    The original weights of VGG16 up to relu3_3 come with bonectl (Simonyan and Zisserman 2015, University of Oxford, CC
    BY 4.0); nothing is downloaded. Others are looked for by ``weights`` and the environment variable
    BONECTL_VGG_WEIGHTS, and for deeper layers and vgg19 in TORCH_HOME/hub/checkpoints (~/.cache/torch without
    TORCH_HOME); the name's last digits must be the file's SHA-256. torchvision's weights were trained anew: their
    features are weaker by two orders, so say which were used. Responses of the original at relu3_3 are of the order of
    200: 0.0004 beside 1 of ``l1`` pulls about as much, or let ``train --balance`` set it. What lies beyond the border
    counts as the mean colour. Features shift grey values: put ``l1``, ``lowpass`` or ``hist`` beside it.

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
    slices : int
        Slices that are looked at in a step, evenly spread over those of its patches and others in the next; 0: all. It
        is the dearest part of a step.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    MissingInputError
        When the file that is named is not there.
    UnavailableError
        When there is no file of the weights of a deeper layer, or of vgg19.
    DataError
        When the file is not what its name says, or is for pictures of 0 to 255.
    UsageError
        When there is no such network or layer, or patches are too small for it.
    """
    features = pretrained(net, layer, weights, str(sample.estimate.device), sample.estimate.dtype)
    return distance(sample, features, low, high, slices)


def weights_file(*, net: str = "vgg16", layer: str = "relu3_3", weights: str = "") -> Path:
    """Return the file of weights: as given or by the environment, else bonectl's own, else torch's.

    Raises
    ------
    MissingInputError, UnavailableError
        There is none.
    """
    return located(net, layer, weights)
