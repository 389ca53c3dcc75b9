"""Training: after as many steps, is a network of `bonectl train` as good as one of a plain loop of Adam?

    python bench/adam.py [NETWORK ...] [--steps 300] [--seeds 1] [--threads 2]

Both see the same patches of one bone (LHDL 3155, 58.5 um, 120 views of 300 photons) from the same initial weights.
Ours is the command with its defaults: warm-up, cosine, clipping, average of weights. The loop is Adam at a rate of
0.001 and the mean absolute error. Both are judged on another bone (LHDL 2923), by PSNR and by the composite of the
bone numbers (`bonectl.training.validation`; 1 is one tolerance off the truth, less is better).

Status 1 where a mean over seeds of ours is worse by more than 0.1 dB or a tenth of the composite, or where a network
did not learn: PSNR must rise over the input's.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import nn
from truth import Judge

import bonectl
from bonectl.core import kit, threads
from bonectl.core.slabs import Array
from bonectl.core.spec import parse
from bonectl.learning import device
from bonectl.learning.checkpoint import Normalisation
from bonectl.ops.denoise import Model, denoise, trained
from bonectl.training.learner import initial
from bonectl.training.patches import Patches
from bonectl.training.recipe import Recipe
from bonectl.training.validation import BoneErrors
from bonectl.training.volumes import opened

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
# redcnn takes a quarter of an hour by itself: name it to see it.
NETWORKS = ("unet2d", "unet25d", "unet3d", "nafnet", "drunet", "msd")
RATE, SCALE = 1e-3, 1200.0
LEAST_DB, LEAST_SHARE = 0.1, 0.1


def scanned(name: str, seed: int, folder: Path) -> tuple[Path, Path]:
    """A bone and its scan [mgHA/cm3], in NPY files."""
    truth, low = folder / f"{name}.npy", folder / f"{name}-low.npy"
    bonectl.write(bonectl.read(DATA / f"{name}_58um.tif"), truth)
    counted = bonectl.simulate(
        bonectl.read(truth), geometry="parallel(views=120)", photons=300.0, energy=25, blur=0.5, seed=seed
    )
    bonectl.write(bonectl.reconstruct(counted, unit="mgHA/cm3"), low)
    return truth, low


def judged(found: Array, truth: Array) -> tuple[float, float]:
    """PSNR [dB] and composite."""
    errors = BoneErrors.between(
        torch.from_numpy(found / np.float32(SCALE)), torch.from_numpy(truth / np.float32(SCALE))
    )
    return 10 * np.log10(SCALE**2 / float(np.mean((found - truth) ** 2))), errors.composite


def looped(network: nn.Module, patches: Patches, steps: int) -> nn.Module:
    """The plain loop."""
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    network.train()
    for step in range(steps):
        batch = patches(step)
        optimiser.zero_grad()
        (batch.estimate(network) - batch.clean).abs().mean().backward()
        optimiser.step()
    return network.eval()


def pair(text: str, seed: int, steps: int, given: tuple[Path, Path], folder: Path, count: int) -> list[Model]:
    """The checkpoint of the command, and the same one with what the plain loop made of its network."""
    truth, low = given
    made = folder / "made.safetensors"
    words = [sys.executable, "-m", "bonectl", "train", low, "--target", truth, "--model", text, "--steps", str(steps)]
    words += ["--seed", str(seed), "--threads", str(count), "--no-picture", "--quiet", "--force", "-o", made]
    subprocess.run(words, check=True)
    ours = trained(made)
    recipe = Recipe(model=text, steps=steps, seed=seed)
    network = initial(parse(text), seed)
    with opened([low, truth]) as volumes:
        pairing = kit.bind("pairings", parse("supervised"))(volumes[:1], volumes[1:])
        patches = Patches(pairing, Normalisation.of(volumes[0].header), network.reach, recipe)
        return [ours, replace(ours, network=looped(network, patches, steps))]


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("networks", nargs="*", default=NETWORKS)
    options.add_argument("--steps", type=int, default=300)
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args(words)
    threads.govern(given.threads)
    device.choose("cpu")
    judge = Judge()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        learned = scanned("lhdl3155", 1, folder)
        truth_path, low_path = scanned("lhdl2923", 2, folder)
        truth = bonectl.read(truth_path).collect().astype(np.float32)
        before = judged(bonectl.read(low_path).collect(), truth)
        print(f"{given.steps} steps, {given.seeds} seeds; the input: {before[0]:.2f} dB, composite {before[1]:.2f}\n")
        print("| network | ours: PSNR [dB] | composite | plain Adam: PSNR [dB] | composite |\n|---|---|---|---|---|")
        for text in given.networks:
            found: list[list[tuple[float, float]]] = []
            for seed in range(given.seeds):
                both = pair(text, seed, given.steps, learned, folder, given.threads)
                volumes = [denoise(bonectl.read(low_path), one, device_name="cpu").collect() for one in both]
                found.append([judged(volume, truth) for volume in volumes])
            (ours, composite), (theirs, other) = (
                [fmean(seed[which][number] for seed in found) for number in range(2)] for which in range(2)
            )
            print(f"| {text} | {ours:.2f} | {composite:.2f} | {theirs:.2f} | {other:.2f} |", flush=True)
            judge(f"{text}: PSNR of the input over that of the result [dB]", before[0] - ours, 0.0)
            judge(f"{text}: PSNR of the plain loop over ours [dB]", theirs - ours, LEAST_DB)
            judge(f"{text}: composite over that of the plain loop", composite / other - 1, LEAST_SHARE)
    judge.close()


if __name__ == "__main__":
    main()
