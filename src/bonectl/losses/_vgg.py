"""The convolutional part of VGG networks (Simonyan and Zisserman 2015, configurations D and E), and its weights.

Layers carry the numbers that published weights have: ``features.N.weight``. There is no download: weights are the
user's, found by path, and checked by the hash in the file's name.
"""

import hashlib
import os
import re
from functools import cache, lru_cache
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from bonectl.core import draws
from bonectl.errors import DataError, UnavailableError, UsageError
from bonectl.learning.sample import Sample
from bonectl.learning.weights import edition

# Convolutions per block; blocks have these channels and are halved by a pooling in between.
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)

# File names of the ImageNet weights everybody uses; the digits are the first ones of the file's SHA-256.
FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
SOURCE = "https://download.pytorch.org/models/"

# Means and standard deviations of ImageNet's three colours, on a scale from 0 to 1, with which they were trained.
MEANS = (0.485, 0.456, 0.406)
DEVIATIONS = (0.229, 0.224, 0.225)


def distance(sample: Sample, features: nn.Module, low: float, high: float) -> Tensor:
    """Return the mean absolute difference of the features of all slices.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; y and x of a pixel or more behind every pooling.
    features : Module
        (n, 1, y, x) → (n, channels, y', x').
    low, high : float
        Window that becomes 0 to 1 [normalised units]; nothing is clipped.

    Raises
    ------
    UsageError
        When the window is empty, or a pooling has nothing left.
    """
    least, side = 2 ** sum(isinstance(part, nn.MaxPool2d) for part in features.modules()), min(sample.target.shape[-2:])
    if side < least:
        raise UsageError(f"this layer of vgg needs patches of {least} pixels, not {side}; give a larger --patch")
    if not low < high:
        raise UsageError(f"low={low}, high={high}: the window of values must not be empty")
    images = (((values - low) / (high - low)).flatten(0, 1).unsqueeze(1) for values in (sample.estimate, sample.target))
    estimate, target = (features(image) for image in images)
    difference: Tensor = estimate - target
    return difference.abs().mean()


def layers(net: str, layer: str) -> nn.Sequential:
    """Return the network up to a layer, with one input channel and weights yet to come.

    Parameters
    ----------
    net : {"vgg16", "vgg19"}
    layer : str
        ``relu3_3`` is behind the third convolution of the third block, ``conv3_3`` before its ReLU.

    Raises
    ------
    UsageError
        No such network or layer.
    """
    if net not in BLOCKS:
        raise UsageError(f"no network {net!r}; there are {', '.join(BLOCKS)}")
    built: list[nn.Module] = []
    before = 1
    for block, (count, channels) in enumerate(zip(BLOCKS[net], CHANNELS, strict=True), 1):
        for number in range(1, count + 1):
            built.append(nn.Conv2d(before, channels, 3, padding=1))
            if layer == f"conv{block}_{number}":
                return nn.Sequential(*built)
            built.append(nn.ReLU())
            if layer == f"relu{block}_{number}":
                return nn.Sequential(*built)
            before = channels
        built.append(nn.MaxPool2d(2))
    raise UsageError(f"{net} has no layer {layer!r}; there are conv1_1, relu1_1 to relu5_{BLOCKS[net][-1]}")


def pretrained(net: str, layer: str, weights: str, place: str, dtype: torch.dtype) -> nn.Module:
    """Return the network with the user's weights, frozen.

    The three colours of the first convolution are added up and its normalisation is folded in: away from the
    border of a patch that is a grey picture in three equal channels.

    Raises
    ------
    UnavailableError
        There is no weight file.
    DataError
        It is not the file its name says, or holds other layers.
    """
    if net not in FILES:
        layers(net, layer)  # says which there are
    path = located(net, weights)
    return _pretrained(path, edition(path), net, layer, place, dtype)


@lru_cache(maxsize=4)
def _pretrained(
    path: Path, edition: tuple[int, int, int], net: str, layer: str, place: str, dtype: torch.dtype
) -> nn.Module:
    network = layers(net, layer)
    state = _loaded(path)
    try:
        _fill(network, state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: these are no weights of {net} up to {layer} ({error})") from error
    return network.to(place, dtype).requires_grad_(False).eval()


@cache
def randomised(net: str, layer: str, seed: int, place: str, dtype: torch.dtype) -> nn.Module:
    """Return the network with He-normal weights of a seed and biases of zero, frozen."""
    network = layers(net, layer)
    for number, module in enumerate(network):
        if isinstance(module, nn.Conv2d):
            taps = module.weight[0].numel()
            drawn = draws.generator(seed, "randvgg", number).standard_normal(module.weight.shape)
            module.weight.data = torch.from_numpy(drawn * (2 / taps) ** 0.5).to(module.weight.dtype)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network.to(place, dtype).requires_grad_(False).eval()


def located(net: str, weights: str) -> Path:
    """Return the weight file: as given, else by ``BONECTL_VGG_WEIGHTS``, else where torch keeps downloads.

    Raises
    ------
    UnavailableError
        None of the places has one; the message says what to fetch and where to put it.
    """
    # (os.path.expanduser leaves "~" where there is no home; Path.expanduser raises)
    home = Path(os.path.expanduser(os.environ.get("TORCH_HOME") or "~/.cache/torch"))  # noqa: PTH111
    hub = home / "hub" / "checkpoints" / FILES[net]
    named = weights or os.environ.get("BONECTL_VGG_WEIGHTS", "")
    path = Path(os.path.expanduser(named)) if named else hub  # noqa: PTH111
    if path.is_dir():
        path = path / FILES[net]
    if path.is_file():
        return path
    raise UnavailableError(
        f"the weights of {net} are not at {path}; download {SOURCE}{FILES[net]} to {hub}, or name the file with "
        "BONECTL_VGG_WEIGHTS or vgg(weights='FILE'); randvgg needs none"
    )


def _loaded(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth or .safetensors file whose name ends in the first digits of its SHA-256."""
    named = re.search(r"-([0-9a-f]{8,64})\.(?:pth|safetensors)$", path.name)
    if named is None:
        raise DataError(f"{path}: the name carries no hash to check it by; rename it NAME-<first 8 of sha256>.pth")
    whole = path.read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    if not digest.startswith(named[1]):
        raise DataError(f"{path}: its SHA-256 begins with {digest[: len(named[1])]}, not {named[1]}; fetch it again")
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_safetensors(whole)
            return tensors
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch and safetensors raise many kinds for damaged files
        raise DataError(f"{path}: it holds no tensors that can be read") from error


def _fill(network: nn.Sequential, state: dict[str, Tensor]) -> None:
    """Copy weights by the layers' numbers, three colours folded into one channel."""
    deviations = torch.tensor(DEVIATIONS, dtype=torch.float64).view(1, 3, 1, 1)
    means = torch.tensor(MEANS, dtype=torch.float64).view(1, 3, 1, 1)
    for number, module in enumerate(network):
        if not isinstance(module, nn.Conv2d) or module.bias is None:
            continue
        weight, bias = (state[f"features.{number}.{part}"].double() for part in ("weight", "bias"))
        if number == 0:
            scaled = weight / deviations
            bias = bias - (scaled * means).sum(dim=(1, 2, 3))
            weight = scaled.sum(dim=1, keepdim=True)
        if weight.shape != module.weight.shape:
            raise ValueError(f"features.{number} has shape {tuple(weight.shape)}, not {tuple(module.weight.shape)}")
        module.weight.data = weight.to(module.weight.dtype)
        module.bias.data = bias.to(module.bias.dtype)
