"""The network that comes with bonectl, `--model bone`: how it was trained, judged, and given its card.

    python examples/bone-model/bone_model.py -o bone-model-output
    python examples/bone-model/bone_model.py --check

Every step is one command line, printed before it runs, and run where its output is not there yet: what was interrupted
goes on when the same line is given again. One processor is used; README.md beside this file says for how long.
"""

import argparse
import sys
from collections.abc import Iterator
from math import exp, log
from pathlib import Path

import card
import judge
from work import Exposure, Work

HERE = Path(__file__).resolve().parent

# Doses and views that are trained for: photons per pixel and view, views of a half turn.
PHOTONS, VIEWS = (80, 12500), (90, 360)
# Scans of each stack of the bone that is trained on; the finest has the most voxels.
BONE = {"lhdl3155_58um": 20, "lhdl3155_39um": 10, "lhdl3155_19um": 5}
PHANTOMS = ("cancellous",) * 9 + ("iliac", "vertebra", "femur") * 2
MINERAL = (900, 1250)  # of a phantom's bone [mgHA/cm3]
VOXELS = (0.0165, 0.07)  # of a phantom [mm]
SMOOTHED = 4  # one scan of so many is reconstructed behind a Hann window

RECIPE = {
    "model": "unet25d(slices=9, width=16, scales=4)", "loss": "l1", "steps": 12000, "patch": 48, "batch": 2, "run": 4,
    "rate": 0.004, "every": 1000, "seed": 0,
}  # fmt: skip


def phantom(work: Work, number: int) -> Path:
    """A phantom of a voxel size and a mineral of its own."""
    voxel = between(*VOXELS, spread(number, 1 / len(PHANTOMS)))
    mineral = round(between(*MINERAL, spread(number)))
    made = work.output / "truths" / f"phantom_{number}.npy"
    what = ["phantom", f"{PHANTOMS[number]}(mineral={mineral})", "--shape", "48,80,80", "--voxel-size"]
    return work.make(made, [*what, f"{voxel:.4f}", "--seed", str(100 + number)])


def train(work: Work) -> Path:
    """Train the network, or go on where it was interrupted."""
    model = work.output / "network.safetensors"
    if model.exists() and not model.with_name(f"{model.name}.resume").exists():
        return model
    pairs = [(work.scan(exposure, "learned"), exposure.truth) for exposure in exposures(work)]
    argv: list[str | Path] = ["train", *(scan for scan, _ in pairs), "--any-voxel-size", "--no-picture"]
    for _, truth in pairs:
        argv += ["--target", truth]
    for key, value in RECIPE.items():
        argv += [f"--{key}", str(value)]
    resumed = model.with_name(f"{model.name}.resume")
    work.say([*argv, "-o", model, "--resume" if resumed.exists() else "--force"])
    resumed.unlink(missing_ok=True)
    return model


def spread(number: int, step: float = 0.618034) -> float:
    """Where in [0, 1) the number-th of a series lies that fills it evenly; by default at the golden ratio's steps."""
    return (0.5 * step + number * step) % 1


def between(least: float, most: float, share: float) -> float:
    """The value that is so far from the least to the most, in its logarithm."""
    return exp(log(least) + share * (log(most) - log(least)))


def exposures(work: Work) -> Iterator[Exposure]:
    """Scans to learn from: of every stack over all doses, in numbers of views that are no multiples of each other."""
    truths = [(work.truth(name), count) for name, count in BONE.items()]
    truths += [(phantom(work, number), 1) for number in range(len(PHANTOMS))]
    seed = 0
    for place, (truth, count) in enumerate(truths):
        for number in range(count):
            dose = spread(number, 1 / count) if count > 1 else spread(place)
            views = round(between(*VIEWS, spread(seed)))
            method = "fbp(window=hann)" if seed % SMOOTHED == 1 else ""
            yield Exposure(truth, round(between(*PHOTONS, dose)), views, 1000 + seed, method)
            seed += 1


def main() -> None:
    """Read the arguments; train, judge and ship, or check what was shipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("bone-model-output"))
    parser.add_argument("--third", type=Path, metavar="STACK", help="trab1240_61um.npy: only judged on (README.md)")
    parser.add_argument("--check", action="store_true", help="whether table.md and the card follow from judged.tsv")
    given = parser.parse_args()
    if given.check:
        sys.exit("; ".join(card.apart(judge.read(HERE / "judged.tsv"), (HERE / "table.md").read_text("utf-8"))) or 0)
    work = Work(given.output, given.third)
    network = train(work)
    judge.write(list(judge.Judge(work, network).rows()), given.output / "judged.tsv")
    rows = judge.read(given.output / "judged.tsv")
    (given.output / "table.md").write_text(card.table(rows), encoding="utf-8")
    print(card.carded(network, rows, given.output))


if __name__ == "__main__":
    main()
