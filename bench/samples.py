"""How often the intervals of `bonectl denoise --samples` and `bonectl measure --samples` hold the truth.

    python bench/samples.py [--steps 300] [--bones 10]

Four small networks are trained on low-dose scans of three phantoms, from four seeds. Phantoms that they have not seen
are scanned, denoised several times over and measured; counted is how often the 95 % interval holds the phantom's own
number. An interval that keeps its word holds it 19 times of 20.

The answers themselves are judged, for intervals around garbage say nothing: the mean of the samples must be near to
the bone, and its density right; the scan itself, the control, is not. The run ends with status 1 where they are not.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from truth import Judge, apart

from bonectl.core import threads
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.io import npy
from bonectl.ops.denoise import Model, trained
from bonectl.ops.measure import measure
from bonectl.ops.phantom import phantom
from bonectl.ops.reconstruct import reconstruct
from bonectl.ops.samples import predicted, sampled
from bonectl.ops.simulate import simulate
from bonectl.ops.train import train
from bonectl.scanning.detector import Detector
from bonectl.training.recipe import Recipe
from bonectl.training.request import Request
from bonectl.training.saving import Saving

SHAPE, VOXEL = (32, 64, 64), 0.03
TRAINED_ON, TESTED_FROM = (1, 2, 3), 11
METRICS, NUMBERS = "bvtv + euler + bmd + tmd", ("bvtv", "chi", "bmd", "tmd")
# Networks and samples.
ENSEMBLES = {"4 networks": (4, 4), "1 network, 8 symmetries": (1, 8), "4 networks, 4 symmetries": (4, 16)}

# Errors of the mean of the samples: root mean square over that of the bone, and of mean density.
MOST, DENSITY = 0.3, 0.04


def scanned(folder: Path, seed: int) -> tuple[Path, Path]:
    """Make a bone and its low-dose reconstruction."""
    truth, low = folder / f"bone{seed}.npy", folder / f"low{seed}.npy"
    bone = phantom(parse("iliac"), SHAPE, VOXEL, seed)
    values = bone.collect()
    scan = simulate(
        Stack.of(values, bone.header),
        geometry="parallel(views=90)",
        energy=25.0,
        detector=Detector(photons=4000.0, blur=0.0),
        seed=seed,
    )
    for path, stack in ((truth, Stack.of(values, bone.header)), (low, reconstruct(scan, unit="mgHA/cm3"))):
        with path.open("wb") as file:
            npy.write(stack, file)
    return truth, low


def networks(folder: Path, steps: int) -> list[Model]:
    """Train alike, from four seeds."""
    pairs = [scanned(folder, seed) for seed in TRAINED_ON]
    found = []
    for seed in range(4):
        path = folder / f"{seed}.safetensors"
        recipe = Recipe(model="unet25d(width=8, scales=3)", steps=steps, batch=1, run=8, patch=48, seed=seed)
        inputs, targets = tuple(low for _, low in pairs), tuple(truth for truth, _ in pairs)
        saving = Saving(output=path)
        train(Request(inputs=inputs, targets=targets, recipe=recipe, saving=saving, device_name="cpu"))
        found.append(trained(path))
    return found


def numbers(values: np.ndarray, header: Header) -> dict[str, float]:
    """Measure a volume."""
    return {row.number.name: row.number.value for row in measure(Stack.of(values, header), metrics=METRICS).rows}


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--bones", type=int, default=10)
    asked = parser.parse_args()
    threads.choose(1)
    found: dict[tuple[str, str], list[tuple[bool, float, float, float]]] = {}
    judge = Judge()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = networks(folder, asked.steps)
        for seed in range(TESTED_FROM, TESTED_FROM + asked.bones):
            truth, low = (npy.mapped(path) for path in scanned(folder, seed))
            known = numbers(truth[1], truth[0].replace(answers={}))
            judge.refuse(f"the scan of bone {seed}", apart(low[1], truth[1]), MOST)
            for ensemble, (nets, count) in ENSEMBLES.items():
                drawn = sampled(Stack.of(low[1], low[0]), models[:nets], count, device_name="cpu")
                samples = np.concatenate(list(drawn.blocks), axis=1)
                judge(f"{ensemble}, bone {seed}", apart(samples.mean(0), truth[1]), MOST)
                each = [numbers(sample, low[0].replace(answers={})) for sample in samples]
                for number in NUMBERS:
                    values = np.array([one[number] for one in each])
                    there, true = predicted(values), known[number]
                    hit = there.low <= true <= there.high
                    row = (hit, values.mean() - true, (there.high - there.low) / 2, true)
                    found.setdefault((ensemble, number), []).append(row)
    print("| samples | number | truth inside | mean error | mean half width | mean truth |")
    print("|---|---|---|---|---|---|")
    for (ensemble, number), rows in found.items():
        hits, error, half, true = np.array(rows, dtype=float).T
        print(
            f"| {ensemble} | {number} | {int(hits.sum())} of {len(hits)} | {error.mean():.3g} | {half.mean():.3g} "
            f"| {true.mean():.4g} |"
        )
        if number == "bmd":
            judge(f"{ensemble}, density", abs(error.mean() / true.mean()), DENSITY)
    judge.close()


if __name__ == "__main__":
    main()
