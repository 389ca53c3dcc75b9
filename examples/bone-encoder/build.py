"""Build the bone encoder: the weights of the perceptual loss `encoder`.

    python examples/bone-encoder/build.py -o bone-encoder.safetensors

A small 3-D network learns, on phantoms, to tell the numbers of a bone that it is shown noisy and blurred. README.md
beside this file says why, and how good it is.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import bonectl
from bonectl import io
from bonectl.core import draws
from bonectl.core.spec import parse
from bonectl.learning.checkpoint import BONE
from bonectl.learning.encoder import Encoder, TrainedEncoder
from bonectl.losses.euler import euler_density
from bonectl.losses.surface import surface_density
from bonectl.morphology.thickness import squared_radius
from bonectl.ops.phantom import phantom

# Bone lies above this [normalised units]: 525 mgHA/cm3, half-way between marrow and bone.
THRESHOLD = 525 / BONE

# Sides of a patch, and of the windows whose numbers are told [voxels].
PATCH, WINDOW = 32, 8
# Patches per step; to fit and to try the readout; to measure means and standard deviations.
BATCH, READ, MEASURE = 4, 128, 64

# What the network is taught by: kinds of bone, and voxel sizes [mm] at which trabeculae are 4 to 14 voxels thick.
KINDS = (
    "iliac",
    "vertebra",
    "femur",
    "trabecular(drop=0.25)",
    "trabecular(drop=0.1, plates=0.5)",
    "trabecular(drop=0.0, plates=0.0, rod=0.06)",
)
VOXELS = (0.013, 0.02, 0.03)

# Numbers of a window of the clean bone.
NUMBERS = ("bone share", "density", "surface", "Euler number", "thickness")

# Extremes of the noise [normalised units, log-uniform] and of the blur [voxels, uniform].
NOISE = (0.01, 0.5)
BLUR = (0.0, 1.5)


@dataclass(frozen=True, eq=False)
class Bone:
    """A volume and its numbers, voxel by voxel.

    Parameters
    ----------
    maps : Tensor, (6, z, y, x)
        Density [normalised units], then what a window's numbers are the means of: occupancy, density inside bone,
        surface [voxel²], Euler density, thickness inside bone [voxel].
    """

    maps: Tensor

    @classmethod
    def of(cls, density: np.ndarray) -> "Bone":
        """Measure a volume, (z, y, x), normalised units."""
        u = torch.from_numpy(np.ascontiguousarray(density, dtype=np.float32))
        mask = u > THRESHOLD
        bone = mask.float()[None]
        euler = euler_density(bone, 26)[0, :-1, :-1, :-1]
        thickness = 2 * np.sqrt(squared_radius(mask.numpy()))
        inside = torch.from_numpy(np.ascontiguousarray(thickness, dtype=np.float32)) * bone[0]
        return cls(torch.stack([u, bone[0], u * bone[0], surface_density(bone)[0], euler, inside]))


def windows(maps: Tensor) -> Tensor:
    """Return the clean numbers of the windows of patches, (b, 6, z, y, x) → (b, 5, z', y', x').

    Density and thickness are means over bone; NaN where a window has too little of it (one part in 50).
    """
    means = nn.functional.avg_pool3d(maps[:, 1:], WINDOW)
    share, inside, surface, euler, thick = means.unbind(1)
    enough = torch.where(share > 0.02, share, torch.full_like(share, torch.nan))
    return torch.stack([share, inside / enough, surface, euler * WINDOW**3, thick / enough], 1)


def degraded(patch: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blur a patch, add noise that is part white and part ramp-filtered in the slice, as after back-projection."""
    blur = float(random.uniform(*BLUR))
    spread = float(np.exp(random.uniform(*np.log(NOISE))))
    return noisy(blurred(patch, blur), spread, random)


def blurred(volume: np.ndarray, sigma: float) -> np.ndarray:
    """Convolve with a Gaussian of a standard deviation [voxels] along every axis, periodic ends."""
    squares = sum(
        np.fft.fftfreq(n).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
        for axis, n in enumerate(volume.shape)
    )
    return np.fft.ifftn(np.fft.fftn(volume) * np.exp(-2 * np.pi**2 * sigma**2 * squares)).real


def noisy(volume: np.ndarray, spread: float, random: np.random.Generator) -> np.ndarray:
    """Add normal noise of a standard deviation, of which a random share is ramp-filtered in each slice."""
    white = random.standard_normal(volume.shape)
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, volume.shape[1:]), indexing="ij"))
    ramp = np.fft.ifft2(np.fft.fft2(random.standard_normal(volume.shape)) * frequency).real
    share = random.random()
    mixed = np.sqrt(1 - share) * white + np.sqrt(share) * ramp / np.sqrt((frequency**2).mean())
    return volume + spread * mixed


def batch(bones: Sequence[Bone], size: int, seed: int, *key: int | str) -> tuple[Tensor, Tensor]:
    """Draw patches and their numbers.

    Returns
    -------
    tuple of Tensor, (size, PATCH, PATCH, PATCH) and (size, 5, z', y', x')
    """
    shown, told = [], []
    for index in range(size):
        random = draws.generator(seed, *key, index)
        maps = bones[int(random.integers(len(bones)))].maps
        corner = [int(random.integers(n - PATCH + 1)) for n in maps.shape[1:]]
        z, y, x = (slice(start, start + PATCH) for start in corner)
        cut = maps[:, z, y, x]
        order = [int(axis) for axis in random.permutation(3)]
        flips = [1 + axis for axis in range(3) if random.random() < 0.5]
        # Surface and Euler density lie at a voxel's first corner: a flip moves them by one voxel, of a window's eight.
        cut = cut.permute(0, *(1 + axis for axis in order)).flip(flips)
        patch = degraded(cut[0].numpy(), random)
        shown.append(torch.from_numpy(patch.astype(np.float32)))
        told.append(windows(cut[None])[0])
    return torch.stack(shown), torch.stack(told)


class Reader(nn.Module):
    """Tells the numbers of the windows by one linear map from the features of all scales, and nothing more."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.read = nn.Conv3d(sum(encoder.widths), len(NUMBERS), 1)
        nn.init.zeros_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    def forward(self, shown: Tensor) -> Tensor:
        """Map (b, z, y, x) to (b, 5, z', y', x'), standardised."""
        return self.read(self.means(self.encoder, shown))

    @staticmethod
    def means(encoder: Encoder, shown: Tensor) -> Tensor:
        """Return the means of the features over windows, (b, z, y, x) → (b, channels, z', y', x')."""
        return torch.cat([nn.functional.avg_pool3d(x, WINDOW >> scale) for scale, x in enumerate(encoder(shown))], 1)


def missed(estimate: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error of each number, (5,), windows without it left out."""
    square = torch.where(torch.isnan(truth), torch.zeros_like(truth), (estimate - truth.nan_to_num()) ** 2)
    return square.sum((0, 2, 3, 4)) / (~torch.isnan(truth)).sum((0, 2, 3, 4)).clamp(min=1)


@dataclass(frozen=True)
class Standard:
    """Means and standard deviations of the numbers over the training bones, each (1, 5, 1, 1, 1)."""

    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, bones: Sequence[Bone], seed: int) -> "Standard":
        """Measure patches."""
        _, told = batch(bones, MEASURE, seed, "standard")
        flat = told.transpose(0, 1).flatten(1)
        mean = flat.nanmean(1)
        spread = (flat - mean[:, None]).square().nanmean(1).sqrt()
        return cls(mean.view(1, -1, 1, 1, 1), spread.view(1, -1, 1, 1, 1))

    def __call__(self, told: Tensor) -> Tensor:
        """Standardise."""
        return (told - self.mean) / self.spread


def taught(reader: Reader, bones: Sequence[Bone], standard: Standard, steps: int, seed: int) -> None:
    """Train what of the reader wants a gradient, by Adam with a warm-up and a cosine."""
    wanted = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(wanted, 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps, pct_start=0.1)
    begun = time.monotonic()
    for step in range(steps):
        shown, told = batch(bones, BATCH, seed, "train", step)
        loss = missed(reader(shown), standard(told)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}, loss {loss:.3f}, {time.monotonic() - begun:.0f} s", file=sys.stderr)


@torch.no_grad()
def explained(
    encoder: Encoder, teach: Sequence[Bone], test: Sequence[Bone], standard: Standard, seed: int
) -> dict[str, float]:
    """Return the share of variance that the best linear readout tells, by number: 1 - squared error / variance.

    The readout is the least-squares one over patches that are taught by, and is tried on as many of other bones.
    """
    (x, truth), (x_test, truth_test) = (
        _seen(encoder, *batch(bones, READ, seed, "readout"), standard) for bones in (teach, test)
    )
    shares = {}
    for number, name in enumerate(NUMBERS):
        there, there_test = (~torch.isnan(t[:, number]) for t in (truth, truth_test))
        fit = torch.linalg.lstsq(x[there], truth[there, number], driver="gelsd").solution
        wanted = truth_test[there_test, number]
        error = (x_test[there_test] @ fit - wanted).square().mean()
        shares[name] = round(float(1 - error / wanted.var(correction=0)), 3)
    return shares


def _seen(encoder: Encoder, shown: Tensor, told: Tensor, standard: Standard) -> tuple[Tensor, Tensor]:
    """Return features with a column of ones, (n, channels + 1), and standardised numbers, (n, 5), by window."""
    parts = [Reader.means(encoder, some) for some in shown.split(16)]
    features = torch.cat(parts).transpose(0, 1).flatten(1).T.double()
    return torch.cat([features, torch.ones(len(features), 1)], 1), standard(told).transpose(0, 1).flatten(1).T.double()


@torch.no_grad()
def spreads(encoder: Encoder, bones: Sequence[Bone], seed: int) -> list[Tensor]:
    """Return the standard deviation of every channel."""
    shown, _ = batch(bones, MEASURE, seed, "spread")
    return [seen.transpose(0, 1).flatten(1).std(1) for seen in encoder(shown)]


def phantoms(side: int, seeds: Sequence[int]) -> Iterator[Bone]:
    """Make every kind of bone at every voxel size, each with a seed of its own."""
    for number, (kind, voxel) in enumerate(itertools.product(KINDS, VOXELS)):
        for seed in seeds:
            stack = phantom(parse(kind), (side, side, side), voxel, 1000 * seed + number)
            yield Bone.of(stack.collect() / BONE)


def given(path: Path) -> Bone:
    """Read a volume in mgHA/cm3 as a bone to teach by."""
    with io.open(path) as stack:
        if stack.header.unit != "mgHA/cm3":
            raise SystemExit(f"{path} is in {stack.header.unit}; give mgHA/cm3 (bonectl convert --calibrate)")
        return Bone.of(stack.collect() / BONE)


def initial(seed: int) -> Encoder:
    """Return an encoder with He-normal weights of a seed, biases of zero."""
    encoder = Encoder()
    for number, parameter in enumerate(encoder.parameters()):
        drawn = draws.generator(seed, "encoder", number).standard_normal(parameter.shape)
        taps = parameter[0].numel()
        parameter.data = torch.from_numpy(drawn * ((2 / taps) ** 0.5 if parameter.ndim > 1 else 0.0)).float()
    return encoder


def main(argv: Sequence[str] | None = None) -> None:
    """Build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="weights to write, .safetensors")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--side", type=int, default=64, help="side of a phantom [voxels]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("volumes", type=Path, nargs="*", help="more bones to teach by: stacks in mgHA/cm3")
    asked = parser.parse_args(argv)
    torch.set_num_threads(asked.threads)
    teach = [*phantoms(asked.side, [1 + asked.seed]), *map(given, asked.volumes)]
    test = list(phantoms(max(PATCH, 3 * asked.side // 4), [501 + asked.seed]))
    standard = Standard.of(teach, asked.seed)

    encoder = initial(asked.seed)
    reader = Reader(encoder).to(memory_format=torch.channels_last_3d)
    taught(reader, teach, standard, asked.steps, asked.seed)
    # The floor: the same readout, from the network before it was taught anything.
    good, floor = (explained(network, teach, test, standard, asked.seed) for network in (encoder, initial(asked.seed)))

    encoder.rescale(spreads(encoder, teach, asked.seed))
    facts = {
        "pretext": f"bone numbers of windows of {WINDOW} voxels, from a noisy and blurred view, by a linear readout",
        "bones": [*KINDS, *(path.name for path in asked.volumes)],
        "voxel_mm": list(VOXELS),
        "steps": asked.steps,
        "seed": asked.seed,
        "held_out_r2": good,
        "held_out_r2_random_weights": floor,
        "versions": {"bonectl": bonectl.__version__, "torch": torch.__version__},
    }
    TrainedEncoder(encoder, facts).save(asked.output)
    print(f"{'number':14s}{'R² held out':>14s}{'random weights':>18s}")
    for name in NUMBERS:
        print(f"{name:14s}{good[name]:14.3f}{floor[name]:18.3f}")


if __name__ == "__main__":
    main()
