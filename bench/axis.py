"""The rotation axis that `--centre auto` finds, against the one that was simulated.

    python bench/axis.py [--seeds 20] [--columns 128]

Slices of bone are scanned over half a turn, a whole turn, golden angles folded into half a turn, and golden angles as
they are written cumulatively; whole, cut off by a narrow detector, with rings, and with few photons; each with another
axis and other bone by seed. Two rules are printed for each: the share within a quarter of a column, and how many are
off by more than a column without a word of doubt. The control is a guess, the middle of the detector: it must fail.
Ends with status 1 where auto is silently wrong, or where the control passes.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch

import bonectl
from bonectl.core import progress
from bonectl.core.geometry import Angles, Geometry
from bonectl.geometries.parallel import parallel
from bonectl.projection.projector import Projector
from bonectl.scanning.axis import found_centre

GOLDEN = 180 * (5**0.5 - 1) / 2
ANGLES = {
    "180": lambda views: np.arange(views) * 180 / views,
    "360": lambda views: np.arange(2 * views) * 180 / views,
    "golden": lambda views: np.sort(np.arange(views) * GOLDEN % 180),
    "cumulative": lambda views: np.arange(views) * GOLDEN,
}
TROUBLES = ("none", "cut off", "rings", "noise")
ROWS, VIEWS = 6, 180


class Heard:
    """What is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def task(self, name: str, total: int | None, unit: str) -> nullcontext:
        """Show nothing."""
        return nullcontext(lambda done=1, **facts: None)

    def note(self, message: str) -> None:
        """Keep a line."""
        self.lines.append(message)

    @property
    def doubts(self) -> bool:
        """Whether it was said that the column is not to be relied on."""
        return any(
            word in line for line in self.lines for word in ("uncertain", "disagree", "instead", "differ", "look at")
        )


def scan(kind: str, trouble: str, seed: int, columns: int) -> tuple[Geometry, np.ndarray]:
    """Line integrals of rows of bone, (row, view, col), and their geometry with the true axis."""
    random = np.random.default_rng([seed, list(ANGLES).index(kind), TROUBLES.index(trouble)])
    angles = ANGLES[kind](VIEWS)
    seen = int(columns * 0.75) if trouble == "cut off" else int(columns * 1.2)
    centre = (seen - 1) / 2 + random.uniform(-8, 8)
    geometry = parallel(columns, ROWS, 0.02, columns=seen, centre=centre).replace(angles=Angles.of(angles))
    made = bonectl.phantom("trabecular", shape=(ROWS, columns, columns), voxel_size=0.02, seed=seed)
    bone = np.concatenate(list(made.slabs)) / 1100 * 8.0  # 1/cm
    y, x = np.indices((columns, columns)) - (columns - 1) / 2
    bone *= np.hypot(y, x) < columns * 0.48
    lines = Projector(geometry)(torch.from_numpy(bone.astype(np.float32))).numpy()
    photons = 150 if trouble == "noise" else 5000
    lines = -np.log(np.maximum(random.poisson(photons * np.exp(-lines)), 0.5) / photons).astype(np.float32)
    if trouble == "rings":
        lines += random.normal(0, 0.03, (ROWS, 1, seen)).astype(np.float32)
    return geometry, lines


def errors(kind: str, trouble: str, seeds: int, columns: int) -> Iterator[tuple[float, bool, float]]:
    """Error of auto [column], whether it doubted, and the error of the middle."""
    for seed in range(seeds):
        geometry, lines = scan(kind, trouble, seed, columns)
        heard = Heard()
        with progress.reporting(heard):
            found = found_centre(geometry, lines).column
        yield found - geometry.centre, heard.doubts, (geometry.columns - 1) / 2 - geometry.centre


def main() -> int:
    """Print the table; 1 where a rule is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--columns", type=int, default=128)
    given = parser.parse_args()
    silent, controls = 0, []
    head = ("angles", "trouble", "within 0.25", "median", "worst", "doubted", "silent > 1", "middle")
    print("{:12}{:10}{:>12}{:>9}{:>8}{:>9}{:>12}{:>9}".format(*head))
    for kind in ANGLES:
        for trouble in TROUBLES:
            found = list(errors(kind, trouble, given.seeds, given.columns))
            off = np.abs([error for error, _, _ in found])
            wrong = sum(abs(error) > 1 and not doubted for error, doubted, _ in found)
            middle = np.mean(np.abs([guess for _, _, guess in found]) <= 0.25)
            silent += wrong
            controls.append(middle)
            doubted = sum(doubted for _, doubted, _ in found)
            share, median, worst = np.mean(off <= 0.25), np.median(off), off.max()
            row = f"{kind:12}{trouble:10}{share:12.0%}{median:9.3f}{worst:8.2f}{doubted:9}{wrong:12}{middle:9.0%}"
            print(row, flush=True)
    print(f"silently wrong: {silent}; the middle is within 0.25 in {np.mean(controls):.0%} (control)")
    return int(silent > 0 or np.mean(controls) > 0.2)


if __name__ == "__main__":
    sys.exit(main())
