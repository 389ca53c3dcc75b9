"""What the network does to bone that it never saw, beside filters that were tuned on the bone it was trained on.

Numbers of one scan are those of `bonectl measure` against its truth, by the truth's threshold (Otsu), within the
cylinder that every view sees. A filter's knob is tuned at every dose and voxel size on the bone that is trained on, by
the mean error of the four bone numbers: it knows the dose, and the network does not.
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
from work import ENERGY, THIRD, Exposure, Work

import bonectl
from bonectl.core.table import Row
from bonectl.learning.noise import Level

PHOTONS = (100, 300, 1000, 3000, 10000)
METRICS = "bvtv + connd + tbth + tmd + psnr + bmd_distance"
# What is judged: its name in a table, the row of `measure`, whether that is a percentage of the truth, and its unit.
NUMBERS = {
    "psnr": ("psnr", False, "dB"), "connd": ("connd", True, "%"), "tbth": ("tbth", True, "%"),
    "tmd": ("tmd", True, "%"), "bvtv": ("bvtv", True, "%"), "w1": ("bmd_distance", False, "mgHA/cm3"),
}  # fmt: skip
TUNED_BY = ("bvtv", "connd", "tbth", "tmd")
MOST = 100.0  # per cent that a number may err at most, where errors are averaged


@dataclass(frozen=True, kw_only=True)
class Regime:
    """One voxel size: what filters are tuned on, what is judged, in how many views, and the knobs that are tried."""

    tuned: str
    judged: tuple[str, ...]
    views: int
    draws: int
    crop: str = ""
    filters: Mapping[str, Sequence[str]]


def filters(gaussian: Sequence[float], tv: Sequence[float], nlm: Sequence[float], cutoff: Sequence[float]) -> dict:
    """Specs of all filters, by their names."""
    return {
        "gaussian": [f"gaussian(sigma={x})" for x in gaussian],
        "tv3d": [f"tv3d(weight={x})" for x in tv],
        "nlm3d": [f"nlm3d(sigma={x}, strength=1.0)" for x in nlm],
        "fbp": [f"fbp(window=hann, cutoff={x})" for x in cutoff],
    }


COARSE = filters(
    gaussian=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0), tv=(0.005, 0.01, 0.02, 0.05, 0.1, 0.16, 0.25, 0.4),
    nlm=(0.012, 0.025, 0.05, 0.1, 0.2, 0.35, 0.6), cutoff=(1, 0.85, 0.7, 0.5, 0.35),
)  # fmt: skip
MIDDLE = filters(
    gaussian=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4),
    tv=(0.005, 0.01, 0.02, 0.05, 0.1, 0.16, 0.25, 0.4, 0.7),
    nlm=(0.012, 0.025, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9), cutoff=(1, 0.85, 0.7, 0.5, 0.35, 0.25),
)  # fmt: skip
FINE = filters(
    gaussian=(0.3, 0.5, 0.8, 1.1, 1.4, 1.8, 2.2, 2.7), tv=(0.01, 0.02, 0.05, 0.12, 0.25, 0.45, 0.8, 1.4),
    nlm=(0.03, 0.07, 0.15, 0.3, 0.5, 0.8, 1.2), cutoff=(1, 0.8, 0.6, 0.45, 0.3, 0.2),
)  # fmt: skip
REGIMES = (
    Regime(tuned="lhdl3155_58um", judged=("lhdl2923_58um", THIRD), views=120, draws=2, filters=COARSE),
    Regime(tuned="lhdl3155_19um", judged=("lhdl2923_19um",), views=240, draws=1, crop="0:64,:,:", filters=FINE),
    Regime(tuned="lhdl3155_39um", judged=("lhdl2923_39um",), views=180, draws=2, filters=MIDDLE),
)
CONTROLS = {"input": "identity", "oversmoothed": "gaussian(sigma=4)"}


@dataclass
class Judge:
    """Measures scans as they are, filtered, and denoised by the network; what is known already is not measured again.

    Parameters
    ----------
    work : Work
    network : Path
    """

    work: Work
    network: Path

    def rows(self) -> Iterator[dict]:
        """One for each scan and each way of denoising it: `judged.tsv`."""
        for regime in REGIMES:
            chosen = self.tuned(regime)
            for name in regime.judged if self.work.third else [one for one in regime.judged if one != THIRD]:
                for scan in self.scans(regime, name, 1 if name == THIRD else regime.draws, 2000):
                    for way in (*CONTROLS, *FILTERS, "network"):
                        text = chosen.get((way, scan.photons)) or CONTROLS.get(way) or str(self.network)
                        head = {"bone": name, "photons": scan.photons, "views": scan.views, "seed": scan.seed}
                        knob = "" if way in ("input", "network") else text
                        yield head | {"noise": self.noise(scan), "way": way, "knob": knob} | self.measured(scan, text)

    def scans(self, regime: Regime, name: str, draws: int, seed: int) -> list[Exposure]:
        """Scans of a specimen at every dose."""
        truth = self.work.truth(name, regime.crop if name == regime.tuned else "")
        pairs = itertools.product(range(draws), PHOTONS)
        return [Exposure(truth, photons, regime.views, seed + number) for number, (_, photons) in enumerate(pairs)]

    def tuned(self, regime: Regime) -> dict[tuple[str, float], str]:
        """The knob of each filter that errs least at each dose, on the bone that was trained on.

        From the lowest dose on, each begins at the best knob of the dose before and goes on while it becomes better.
        """
        found = {}
        for name, texts in regime.filters.items():
            best = len(texts) - 1
            for scan in self.scans(regime, regime.tuned, 1, 3000):
                best = nearest(best, len(texts), lambda place: wrong(self.measured(scan, texts[place])))  # noqa: B023
                found[name, scan.photons] = texts[best]
        return found

    def measured(self, scan: Exposure, text: str) -> dict[str, float]:
        """Numbers of one scan, denoised by a model or reconstructed by a method."""
        label = "network" if text == str(self.network) else text
        table = self.work.output / "numbers" / f"{scan.name}-{label}.json"
        if not table.exists():
            table.parent.mkdir(parents=True, exist_ok=True)
            print(table.stem, file=sys.stderr, flush=True)
            method = text if text.startswith("fbp") else ""
            noisy = reconstructed(replace(scan, method=method)) if method else bonectl.read(self.noisy(scan))
            made = noisy if method else bonectl.denoise(noisy, text, device_name="cpu")
            found = bonectl.measure(
                made, reference=bonectl.read(scan.truth), threshold=float(threshold(scan.truth)), mask="cylinder",
                metrics=METRICS, intervals="none",
            )  # fmt: skip
            table.write_text(
                json.dumps({name: number(found.row(row), share) for name, (row, share, _) in NUMBERS.items()})
            )
        return json.loads(table.read_text())

    def noisy(self, scan: Exposure) -> Path:
        """The file of a scan."""
        made = self.work.output / "judged" / f"{scan.name}.npy"
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            bonectl.write(reconstructed(scan), made)
        return made

    def noise(self, scan: Exposure) -> float:
        """Its deviation, as `denoise` sees it [mgHA/cm3]."""
        volume = np.load(self.noisy(scan), mmap_mode="r")
        return round(Level.over([Level.of([part.astype("f4")]) for part in volume]).noise_median, 1)


def reconstructed(scan: Exposure) -> bonectl.Stack:
    """Scan and reconstruct."""
    beam = {"geometry": f"parallel(views={scan.views})", "energy": ENERGY, "photons": scan.photons, "seed": scan.seed}
    made = bonectl.simulate(bonectl.read(scan.truth), **beam)
    return bonectl.reconstruct(made, unit="mgHA/cm3", **({"method": scan.method} if scan.method else {}))


@cache
def threshold(truth: Path) -> int:
    """Otsu's, of a truth [mgHA/cm3]."""
    table = bonectl.measure(bonectl.read(truth), threshold="otsu", mask="cylinder", metrics="bvtv", intervals="none")
    return round(table.conditions["threshold"])


def nearest(start: int, count: int, error: Callable[[int], float]) -> int:
    """The place of a least error, going from a start to the better neighbour while there is one."""
    known: dict[int, float] = {}
    best = start
    while True:
        near = [place for place in (best - 1, best, best + 1) if 0 <= place < count]
        known |= {place: error(place) for place in near if place not in known}
        if (better := min(near, key=known.__getitem__)) == best:
            return best
        best = better


def number(row: Row, share: bool) -> float:
    """A number, or its difference from the reference's in per cent."""
    return row.percent if share else row.number.value


FILTERS = tuple(COARSE)


def wrong(found: Mapping[str, float]) -> float:
    """The mean error of the four bone numbers [%]."""
    return fmean(min(abs(found[name]), MOST) for name in TUNED_BY)


def write(rows: Sequence[Mapping], path: Path) -> None:
    """All rows, with six digits."""
    shown = [[f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([list(rows[0]), *shown])
    part.replace(path)


def read(path: Path) -> list[dict]:
    """Rows that were written."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    words = ("bone", "way", "knob")
    return [{key: value if key in words else float(value) for key, value in row.items()} for row in rows]
