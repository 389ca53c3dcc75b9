"""The convolutional part of VGG networks (Simonyan and Zisserman 2015, configurations D and E), and its weights.

Layers carry the numbers that published weights have: ``features.N.weight``. There is no download: the original weights
of VGG16 up to relu3_3 come with bonectl (K. Simonyan and A. Zisserman, Visual Geometry Group, University of Oxford, CC
BY 4.0; the first convolution takes RGB of 0 to 1, normalised as torchvision does, where theirs took BGR of 0 to 255);
others are the user's, found by path. A file is checked by the hash in its name.
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
from bonectl.core.home import expanded
from bonectl.errors import DataError, MissingInputError, UnavailableError, UsageError
from bonectl.learning.sample import Sample
from bonectl.learning.weights import edition

# Convolutions per block; blocks have these channels and are halved by a pooling in between.
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)

# File names of the ImageNet weights everybody uses; the digits are the first ones of the file's SHA-256.
FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
SOURCE = "https://download.pytorch.org/models/"
# What comes with bonectl, and the layers that it does not reach.
SHIPPED = Path(__file__).with_name("vgg16_relu3_3_f16-c29d6a23.safetensors")
BEYOND = ("4_", "5_")
# Responses to a picture of 0 to 1 that is taken for one of 0 to 255 are too weak by about this much; half precision
# moves a weight by less than the tolerance, as a share of the largest.
ALIKE = 1e-2

# Means and standard deviations of ImageNet's three colours, on a scale from 0 to 1, with which they were trained.
MEANS = (0.485, 0.456, 0.406)
DEVIATIONS = (0.229, 0.224, 0.225)


def distance(sample: Sample, features: nn.Module, low: float, high: float, slices: int = 0) -> Tensor:
    """Return the mean absolute difference of the features of slices.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; y and x of a pixel or more behind every pooling.
    features : Module
        (n, 1, y, x) → (n, channels, y', x').
    low, high : float
        Window that becomes 0 to 1 [normalised units]; nothing is clipped.
    slices : int
        How many slices are looked at, evenly spread and others at each step; 0: all.

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
    chosen = _chosen(sample.target.shape[0] * sample.target.shape[1], slices, sample.step)
    images = (
        ((values - low) / (high - low)).flatten(0, 1)[chosen].unsqueeze(1)
        for values in (sample.estimate, sample.target)
    )
    estimate, target = (features(image) for image in images)
    difference: Tensor = estimate - target
    return difference.abs().mean()


def _chosen(count: int, slices: int, step: int) -> Tensor:
    """Return which of the slices are looked at at a step."""
    if slices < 0:
        raise UsageError(f"slices={slices}; give how many are looked at in a step, or 0 for all")
    if not 0 < slices < count:
        return torch.arange(count)
    return (step + torch.arange(slices) * count // slices) % count


class OnMeanColour(nn.Module):
    """A network that sees a grey picture in three equal channels, amid the mean colour it was trained on.

    The first convolution takes the picture and a plane of ones: its weights for the ones are those of the means that
    are taken off, so that what lies beyond the border counts as the mean colour, and not as black.
    """

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return features, (n, channels, y', x'), of pictures (n, 1, y, x) on a scale from 0 to 1."""
        features: Tensor = self.network(torch.cat([image, torch.ones_like(image)], dim=1))
        return features


def layers(net: str, layer: str, channels: int = 1) -> nn.Sequential:
    """Return the network up to a layer, with its weights yet to come.

    Parameters
    ----------
    net : {"vgg16", "vgg19"}
    layer : str
        ``relu3_3`` is behind the third convolution of the third block, ``conv3_3`` before its ReLU.
    channels : int
        Of the input.

    Raises
    ------
    UsageError
        No such network or layer.
    """
    if net not in BLOCKS:
        raise UsageError(f"no network {net!r}; there are {', '.join(BLOCKS)}")
    built: list[nn.Module] = []
    before = channels
    for block, (count, width) in enumerate(zip(BLOCKS[net], CHANNELS, strict=True), 1):
        for number in range(1, count + 1):
            built.append(nn.Conv2d(before, width, 3, padding=1))
            if layer == f"conv{block}_{number}":
                return nn.Sequential(*built)
            built.append(nn.ReLU())
            if layer == f"relu{block}_{number}":
                return nn.Sequential(*built)
            before = width
        built.append(nn.MaxPool2d(2))
    raise UsageError(f"{net} has no layer {layer!r}; there are conv1_1, relu1_1 to relu5_{BLOCKS[net][-1]}")


def pretrained(net: str, layer: str, weights: str, place: str, dtype: torch.dtype) -> nn.Module:
    """Return the network with its weights, frozen; a grey picture is three equal channels to it, amid the mean colour.

    Raises
    ------
    UnavailableError
        There is no weight file.
    DataError
        It is not the file its name says, holds other layers, or is for pictures of another scale.
    """
    layers(net, layer)  # says which there are
    path = located(net, layer, weights)
    return _pretrained(path, edition(path), net, layer, place, dtype)


@lru_cache(maxsize=4)
def _pretrained(
    path: Path, edition: tuple[int, int, int], net: str, layer: str, place: str, dtype: torch.dtype
) -> nn.Module:
    network = layers(net, layer, channels=2)
    state = _loaded(path)
    _check_scale(path, state)
    try:
        _fill(network, state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: these are no weights of {net} up to {layer} ({error})") from error
    return OnMeanColour(network).to(place, dtype).requires_grad_(False).eval()


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


def located(net: str, layer: str, weights: str) -> Path:
    """Return the weight file: as given or by ``BONECTL_VGG_WEIGHTS``, else bonectl's own, else torch's.

    Raises
    ------
    MissingInputError
        What is named is not there, or a folder without the file.
    UnavailableError
        None of the places has one; the message says what to fetch and where to put it.
    """
    if named := weights or os.environ.get("BONECTL_VGG_WEIGHTS", ""):
        path = expanded(named)
        if path.is_dir():
            path = path / FILES[net]
        if not path.is_file():
            raise MissingInputError(f"{path}: there are no weights of {net}; name the file that holds them")
        return path
    if net == "vgg16" and layer.removeprefix("conv").removeprefix("relu")[:2] not in BEYOND:
        return SHIPPED
    path = expanded(os.environ.get("TORCH_HOME") or "~/.cache/torch")
    path = path / "hub" / "checkpoints" / FILES[net]
    if path.is_file():
        return path
    raise UnavailableError(
        f"the weights of {net} up to {layer} are not at {path}; download {SOURCE}{FILES[net]} to there, or name the "
        "file with BONECTL_VGG_WEIGHTS or vgg(weights='FILE'); those of vgg16 up to relu3_3 come with bonectl"
    )


def _loaded(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth or .safetensors file whose name ends in the first digits of its SHA-256."""
    whole = path.read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    named = re.search(r"-([0-9a-f]{8,64})\.(?:pth|safetensors)$", path.name)
    if named is None:
        suffix = ".safetensors" if path.suffix == ".safetensors" else ".pth"
        raise DataError(
            f"{path}: its name carries no hash, by which a checkpoint tells which weights were used; rename it "
            f"{path.stem}-{digest[:8]}{suffix}"
        )
    if not digest.startswith(named[1]):
        raise DataError(f"{path}: its SHA-256 begins with {digest[: len(named[1])]}, not {named[1]}; fetch it again")
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_safetensors(whole)
            return tensors
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch and safetensors raise many kinds for damaged files
        raise DataError(f"{path}: it holds no tensors that can be read") from error


def _check_scale(path: Path, state: dict[str, Tensor]) -> None:
    """Refuse the original weights where their first convolution is for pictures of 0 to 255, without any other sign.

    They are published with the same keys for both scales; the deeper layers tell whether they are the originals, the
    first whether they are for ours. Taken wrongly, responses are some 40 times too weak.
    """
    ours = _loaded(SHIPPED)

    def alike(key: str) -> bool:
        mine, theirs = ours[key].float(), state.get(key, torch.empty(0)).float()
        return mine.shape == theirs.shape and float((mine - theirs).abs().max() / mine.abs().max()) < ALIKE

    if alike("features.2.weight") and not alike("features.0.weight"):
        raise DataError(
            f"{path}: is for pictures of 0 to 255 with means taken off; features would be 40 times too weak. "
            "Leave it out: the same weights for pictures of 0 to 1 come with bonectl"
        )


def _fill(network: nn.Sequential, state: dict[str, Tensor]) -> None:
    """Copy weights by the layers' numbers: three colours in one channel, the means taken off in another."""
    deviations = torch.tensor(DEVIATIONS, dtype=torch.float64).view(1, 3, 1, 1)
    means = torch.tensor(MEANS, dtype=torch.float64).view(1, 3, 1, 1)
    for number, module in enumerate(network):
        if not isinstance(module, nn.Conv2d) or module.bias is None:
            continue
        weight, bias = (state[f"features.{number}.{part}"].double() for part in ("weight", "bias"))
        if number == 0:
            scaled = weight / deviations
            weight = torch.cat([scaled.sum(dim=1, keepdim=True), -(scaled * means).sum(dim=1, keepdim=True)], dim=1)
        if weight.shape != module.weight.shape:
            raise ValueError(f"features.{number} has shape {tuple(weight.shape)}, not {tuple(module.weight.shape)}")
        module.weight.data = weight.to(module.weight.dtype)
        module.bias.data = bias.to(module.bias.dtype)
