"""Command lines that are printed, and run where their output is not there yet."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
THIRD = "trab1240_61um"  # a scan of another scanner, which is not in examples/data
ENERGY = 25  # of all scans [keV]


@dataclass(frozen=True)
class Exposure:
    """One scan: of what, at which dose, in how many views, reconstructed how.

    Parameters
    ----------
    truth : Path
    photons : float
        Per pixel and view.
    views : int
        Of a half turn.
    seed : int
    method : str
        Of the reconstruction; empty is the usual one.
    """

    truth: Path
    photons: float
    views: int
    seed: int
    method: str = ""

    @property
    def name(self) -> str:
        """Tells it from others of the same folder."""
        behind = self.method.removeprefix("fbp(window=").removesuffix(")").replace(", cutoff=", "")
        return f"{self.truth.stem}_{self.photons:g}x{self.views}{behind and '_'}{behind}_{self.seed}"


@dataclass
class Work:
    """Runs command lines whose output is missing.

    Parameters
    ----------
    output : Path
    third : Path, optional
        A volume that is only judged on.
    """

    output: Path
    third: Path | None = None

    def say(self, *stages: Sequence[str | Path]) -> bytes:
        """Run a pipe of bonectl commands; what the last one printed."""
        line = " | ".join(shlex.join(["bonectl", *map(str, stage), "--quiet", "--threads", "1"]) for stage in stages)
        print(line, file=sys.stderr, flush=True)
        return subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, stdout=subprocess.PIPE).stdout

    def make(self, made: Path, *stages: Sequence[str | Path]) -> Path:
        """Run a pipe whose last command writes `made`, unless it is there."""
        made.parent.mkdir(parents=True, exist_ok=True)
        if not made.exists():
            self.say(*stages[:-1], [*stages[-1], "-o", made])
        return made

    def truth(self, name: str, crop: str = "") -> Path:
        """A specimen at one of its voxel sizes, or a part of it; 39 um are pairs of 19.5."""
        if name == THIRD and self.third is not None:
            return self.third
        source = name.replace("_39um", "_19um")
        changed = [*(["--crop", crop] if crop else []), *(["--bin", "2"] if source != name else [])]
        made = self.output / "truths" / f"{name}{'_part' if crop else ''}.npy"
        return self.make(made, ["convert", DATA / f"{source}.tif", *changed])

    def scan(self, exposure: Exposure, folder: str) -> Path:
        """Scan and reconstruct."""
        made = self.output / folder / f"{exposure.name}.npy"
        return self.make(
            made,
            ["simulate", exposure.truth, "--views", str(exposure.views), "--photons", f"{exposure.photons:g}",
             "--energy", str(ENERGY), "--seed", str(exposure.seed)],
            ["reconstruct", "--unit", "mgHA/cm3", *(("--method", exposure.method) if exposure.method else ())],
        )  # fmt: skip
