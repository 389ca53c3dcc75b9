"""What the perceptual losses feel: cut struts, blur and noise, in growing amounts.

    python examples/bone-encoder/sensitivity.py --weights bone-encoder.safetensors

Distances of damaged bones from the whole ones, which none of the networks was taught by. README.md has the table. Ends
with status 1 unless distances grow with damage, and cut struts are to the encoder worth more than to a random network.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from build import BONE, blurred, noisy

from bonectl.core import draws, kit
from bonectl.core.spec import parse
from bonectl.learning.sample import Sample
from bonectl.ops.phantom import phantom

LOSSES = ("l1", "randvgg", "encoder(weights='{weights}')")

# Bones of another recipe than those the encoder is taught by: (spacing, rod, plate, plates) [mm, share].
BONES = ((0.7, 0.07, 0.055, 0.1), (0.8, 0.085, 0.07, 0.25), (1.0, 0.09, 0.07, 0.05))
VOXEL, SHAPE = 0.0195, (16, 48, 48)

# Share of the rods that are missing, standard deviations [voxels] and [normalised units].
CUTS = (0.06, 0.12, 0.24, 0.48)
BLURS = (0.4, 0.6, 0.9, 1.35)
NOISES = (0.03, 0.06, 0.12, 0.24)

# So many times as much as noise of the same L1 cut struts must cost with the encoder, and not with a random network.
WORTH = 3.0


def bone(number: int, drop: float) -> np.ndarray:
    """Make a bone, (z, y, x), normalised units; with the same number and more drop, the same with rods missing."""
    spacing, rod, plate, plates = BONES[number]
    text = f"trabecular(spacing={spacing}, rod={rod}, plate={plate}, plates={plates}, drop={drop})"
    return phantom(parse(text), SHAPE, VOXEL, 9000 + number).collect() / BONE


def series(number: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield kind of damage, amount, and the damaged bone; the random draws are the same for every amount."""
    whole = bone(number, 0.0)
    for drop in CUTS:
        yield "cut struts", drop, bone(number, drop)
    for sigma in BLURS:
        yield "blur", sigma, blurred(whole, sigma)
    for spread in NOISES:
        yield "noise", spread, noisy(whole, spread, draws.generator(0, "sensitivity", number))


def wrong(found: Mapping[tuple[str, float], np.ndarray]) -> list[str]:
    """Return what does not hold of distances by kind and amount of damage, (bones, losses) in the order of `LOSSES`."""
    said, worth = [], {}
    for kind in dict.fromkeys(kind for kind, _ in found):
        amounts = sorted(amount for there, amount in found if there == kind)
        values = np.array([found[kind, amount] for amount in amounts])
        if not (np.diff(values, axis=0, prepend=0) > 0).all():
            said.append(f"a distance does not grow with {kind}")
        means = values.mean(axis=1)
        worth[kind] = means / means[:, :1]
    least = worth["cut struts"].min(axis=0) / worth["noise"].max(axis=0)
    if not least[2] > WORTH:
        said.append(f"cut struts cost the encoder {least[2]:.2g} times as much as noise, not {WORTH:g}")
    if not least[1] < WORTH:
        said.append(f"a random network, the control, passes: {least[1]:.2g} times")
    return said


@torch.no_grad()
def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    asked = parser.parse_args()
    losses = [kit.bind("losses", parse(text.format(weights=asked.weights))) for text in LOSSES]
    found: dict[tuple[str, float], list[list[float]]] = {}
    for number in range(len(BONES)):
        whole = torch.from_numpy(bone(number, 0.0))[None]
        for kind, amount, damaged in series(number):
            estimate = torch.from_numpy(damaged.astype(np.float32))[None]
            there = [float(loss(Sample(estimate=estimate, clean=whole))) for loss in losses]
            found.setdefault((kind, amount), []).append(there)
    print("| damage | amount | L1 | randvgg | encoder | randvgg / L1 | encoder / L1 | grows on all bones |")
    print("|---|---|---|---|---|---|---|---|")
    before: dict[str, np.ndarray] = {}
    for (kind, amount), values in found.items():
        now = np.array(values)
        grows = (now > before.get(kind, np.zeros_like(now))).all(axis=0)
        before[kind] = now
        l1, rand, ours = now.mean(axis=0)
        told = "yes" if grows.all() else "not " + ", ".join(np.array(["L1", "randvgg", "encoder"])[~grows])
        print(
            f"| {kind} | {amount:g} | {l1:.4f} | {rand:.4f} | {ours:.4f} | {rand / l1:.2f} | {ours / l1:.2f} | {told} |"
        )
    if said := wrong({damage: np.array(values) for damage, values in found.items()}):
        sys.exit("; ".join(said))


if __name__ == "__main__":
    main()
