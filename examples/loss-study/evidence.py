"""The small files beside `runs.tsv` from which a report draws what `runs.tsv` does not hold.

They are gathered once, from the output folder of a run: how training went, and one test scan denoised by every cell.
The rules are here: the first direction, its first test realisation, the second lowest dose, seed 0.
"""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from math import log, pi, sqrt
from pathlib import Path
from statistics import fmean

import cells
import commands
import findings
import numpy as np
import report
import tables
from breaks import breaks, clearest
from findings import FLOORS, MIXTURE, Runs
from numpy.typing import NDArray
from safetensors import safe_open

from bonectl.metrics.fsc import shells

HERE = Path(__file__).resolve().parent
DRAW, SEED = "test-1", 0
DEVIATIONS = """# Deviations from registered.md

Who ran the study lists them here: a line that begins with `- ` for each, and the report repeats it.
"""
BINS = np.arange(-400.0, 1601.0, 20.0)  # of densities [mgHA/cm3]
EIGHTHS = 8
Volume = NDArray[np.float32]


def is_run(folder: Path) -> bool:
    """Whether a folder holds what a run makes, and not its report alone."""
    return (folder / "scans").is_dir() and any(folder.glob("from-*/*/*.safetensors"))


def gather(folder: Path, device: str = "auto") -> None:
    """Write `evidence/` and an empty list of deviations into a run's folder, where they are not there yet."""
    to = folder / "evidence"
    to.mkdir(exist_ok=True)
    runs = findings.read(folder / "runs.tsv")
    if not (folder / "deviations.md").exists():
        (folder / "deviations.md").write_text(DEVIATIONS, encoding="utf-8")
    if not (to / "training.tsv").exists():
        tables.write(to / "training.tsv", list(training(folder)))
    if not (to / "methods.tsv").exists():
        Example(folder, runs, device).write(to)
    if not (to / "truths.tsv").exists():
        tables.write(to / "truths.tsv", list(truths(folder, runs)))
    if not (to / "about.tsv").exists():
        tables.write(to / "about.tsv", [{"what": what, "is": text} for what, text in about().items()])


def about() -> dict[str, str]:
    """The commit in which the study was registered, and whether its rules changed after it; empty without git."""
    rules = ("registered.md", "findings.py")
    try:
        line = ["git", "-C", str(HERE), "log", "-1", "--format=%H", "--", rules[0]]
        commit = subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
        line = ["git", "-C", str(HERE), "log", "-1", "--format=%H", "--", "registered-2.md"]
        second = subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
        line = ["git", "-C", str(HERE), "diff", "--quiet", commit, "--", *rules]
        changed = subprocess.run(line, capture_output=True, check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return {}
    told = {"registered": commit, "changed since": "yes" if changed else "no"} if commit else {}
    return told | ({"registered-2": second} if second else {})


def truths(folder: Path, runs: Runs) -> Iterator[dict]:
    """The numbers of every bone, at the threshold that it is judged at."""
    for bone in sorted({one.split(" > ")[1] for one in runs.directions}):
        truth = folder / "bones" / f"{bone}.npy"
        table = json.loads(next(folder.glob(f"from-*/l1/0-on-{bone}.json")).read_text(encoding="utf-8"))
        threshold = next(iter(table.values()))["conditions"]["threshold"]
        metrics = "bvtv + euler + connd + tbth + tmd + mtf(reach=3)"
        line = ["measure", truth, "--reference", truth, "--mask", "cylinder", "--threshold", str(threshold)]
        said, _ = commands.run([*line, "--metrics", metrics, "--intervals", "none", "--json", "--quiet"])
        known = {row["name"]: row["value"] for row in json.loads(said)["rows"]}
        yield {"bone": bone, "threshold": threshold} | {
            name: known[name] for name in ("bvtv", "connd", "tbth", "tmd", "mtf10")
        }


def training(folder: Path) -> Iterator[dict]:
    """Of every network, at each step at which slices were held out: their PSNR, and the mean loss since the last."""
    for path in sorted(folder.glob("from-*/*/*.safetensors.csv")):
        losses: list[float] = []
        before: list[float] = []
        bone, cell, seed = path.parts[-3].removeprefix("from-"), path.parent.name, path.name.split(".")[0]
        for line in tables.read(path, delimiter=","):
            losses.append(float(line["loss"]))
            if line["held-out PSNR [dB]"]:
                if 2 * len(losses) < len(before):  # the last steps, when they are a few: no mean of their own
                    losses = before + losses
                yield {
                    "bone": bone, "cell": cell, "seed": int(seed), "step": int(line["step"]), "loss": fmean(losses),
                    "psnr": float(line["held-out PSNR [dB]"]), "psnr_input": input_psnr(path.with_suffix("")),
                }  # fmt: skip
                before, losses = losses, []


def card(model: Path) -> dict:
    """What a checkpoint says of itself."""
    with safe_open(model, "np") as file:
        return json.loads(file.metadata()["bonectl"])


def input_psnr(model: Path) -> float | None:
    """PSNR of the held-out slices before denoising [dB]."""
    return card(model)["training"].get("held_out_psnr_input_db") if model.exists() else None


class Example:
    """One test scan, denoised by every cell of a run.

    Parameters
    ----------
    folder : Path
        Of the run.
    runs : Runs
    device : str
    """

    def __init__(self, folder: Path, runs: Runs, device: str) -> None:
        self.folder, self.runs, self.device = folder, runs, device
        self.direction = report.between(runs)[0]
        self.trained, self.tested = self.direction.split(" > ")
        self.photons = runs.doses[min(1, len(runs.doses) - 1)]
        self.lines = tables.read(folder / "runs.tsv")
        self.truth = np.load(folder / "bones" / f"{self.tested}.npy")
        self.costs = tables.read(folder / "costs.tsv")

    def knob(self, cell: str) -> str:
        """A filter's text at the dose of the example."""
        return next(
            line["knob"] for line in self.lines
            if (line["direction"], line["cell"], float(line["photons"])) == (self.direction, cell, self.photons)
        )  # fmt: skip

    def asked(self, cell: str) -> tuple[Path, list[str]]:
        """The scan that a cell denoises, and its models."""
        method, models = "", []
        if cells.kind(cell) in ("floor", "control"):
            method, model = cells.filtered(self.knob(cell))
            models = [model]
        else:
            seeds = len(self.runs.seeds(cells.members(cell)[0][0]))
            models = [str(path) for path in cells.networks(self.folder, self.trained, cell, SEED, seeds)]
        return cells.answer(self.folder / "scans" / self.tested, DRAW, self.photons, method), models

    def denoised(self, cell: str) -> tuple[Volume, float]:
        """What a cell makes of the scan, and CPU seconds."""
        scan, models = self.asked(cell)
        with tempfile.TemporaryDirectory() as work:
            made = Path(work) / "made.npy"
            knobs = [word for model in models for word in ("--model", model)]
            _, used = commands.run(["denoise", scan, *knobs, "--device", self.device, "-o", made])
            return np.load(made), used

    def table(self, cell: str) -> Mapping:
        """What `measure` said of this scan and cell in the run."""
        root = self.folder / f"from-{self.trained}" / cell
        if cells.kind(cell) in ("floor", "control"):
            path = root / f"{self.tested}-test-{self.knob(cell)}.json"
        else:
            path = root / f"{SEED}-on-{self.tested}.json"
        return json.loads(path.read_text(encoding="utf-8"))[f"{DRAW}-{self.photons:g}"]

    def write(self, to: Path) -> None:
        """Denoise by all cells, and write what is shown of it."""
        methods, volumes = [], {}
        conditions: Mapping = {}
        for cell in self.runs.cells:
            volumes[cell], used = self.denoised(cell)
            said = self.table(cell)
            conditions = said["conditions"]
            sigma = {row["name"]: row["value"] for row in said["rows"]}["edge_sigma"]
            methods.append({"cell": cell, **self.described(cell), "cpu_s_infer": used, "edge_sigma_mm": sigma})
        side, threshold = conditions["voxel_x_mm"], conditions["threshold"]
        methods.append({"cell": "truth", "edge_sigma_mm": self.truth_edges(threshold)})
        tables.write(to / "fsc.tsv", list(self.correlations(volumes, side)))
        tables.write(to / "density.tsv", list(self.densities(volumes)))
        self.write_slices(to / "example.npz", volumes, side, threshold)
        tables.write(to / "methods.tsv", methods)  # the last: it says that all are there

    def described(self, cell: str) -> dict[str, object]:
        """Command lines that make a cell, the version that trained it, and CPU seconds of training where known."""
        _, models = self.asked(cell)
        if cells.kind(cell) in ("floor", "control"):
            method, model = cells.filtered(models[0] if models[0] != "identity" else self.knob(cell))
            line = f"bonectl reconstruct SCAN --unit mgHA/cm3 --method {shlex.quote(method)}" if method else ""
            return {"command": line or f"bonectl denoise SCAN --model {shlex.quote(model)}", "version": self.version()}
        trained = [(name, card(Path(model))) for (name, _), model in zip(cells.members(cell), models, strict=True)]
        if len(trained) > 1:
            line = "bonectl denoise SCAN " + " ".join(f"--model {name}.safetensors" for name, _ in trained)
        else:
            said = trained[0][1]["training"]
            knobs = {key: said[key] for key in ("model", "loss", "steps", "patch", "batch", "run", "rate")}
            words = [word for key, value in knobs.items() for word in (f"--{key}", str(value))]
            line = f"bonectl train SCANS --target TRUTH {shlex.join(words)} --balance --seed SEED -o NET"
        version = trained[0][1]["versions"]["bonectl"]
        return {"command": line, "version": version, "cpu_s_train": self.trained_for(cell)}

    def version(self) -> str:
        """Of the tool that trained the networks of the run."""
        return card(min(self.folder.glob("from-*/*/*.safetensors")))["versions"]["bonectl"]

    def trained_for(self, cell: str) -> float | None:
        """CPU seconds of training: mean over networks, sum over those that are averaged; None where not noted."""
        parts = [
            [float(line["cpu_s"]) for line in self.costs if line["cell"] == name] for name, _ in cells.members(cell)
        ]
        return sum(fmean(part) for part in parts) if all(parts) else None

    def truth_edges(self, threshold: float) -> float:
        """Standard deviation of the truth's own edges [mm]."""
        truth = self.folder / "bones" / f"{self.tested}.npy"
        line = ["measure", truth, "--reference", truth, "--mask", "cylinder", "--threshold", f"{threshold:g}"]
        said, _ = commands.run([*line, "--metrics", "mtf(reach=3)", "--intervals", "none", "--json"])
        sharp = {row["name"]: row["value"] for row in json.loads(said)["rows"]}["mtf10"]
        return sqrt(log(10) / 2) / (pi * sharp)

    def correlations(self, volumes: Mapping[str, Volume], side: float) -> Iterator[dict]:
        """Fourier shell correlation with the truth by frequency [1/mm]."""
        curves = {cell: shells(volume, self.truth)[0] for cell, volume in volumes.items()}
        count = min(self.truth.shape[1:]) // 2
        for place in range(count + 1):
            yield {"frequency": place / count / (2 * side)} | {cell: float(c[place]) for cell, c in curves.items()}

    def densities(self, volumes: Mapping[str, Volume]) -> Iterator[dict]:
        """Shares of the voxels in the cylinder by density; what is beyond the ends counts there."""
        y, x = (np.arange(n) - (n - 1) / 2 for n in self.truth.shape[1:])
        seen = y[:, None] ** 2 + x**2 <= (min(self.truth.shape[1:]) / 2) ** 2
        shares = {}
        for cell, volume in {"truth": self.truth, **volumes}.items():
            values = volume[:, seen].clip(BINS[0], BINS[-1])
            shares[cell] = np.histogram(values, BINS)[0] / values.size
        for place, low in enumerate(BINS[:-1]):
            yield {"from": float(low), "to": float(BINS[place + 1])} | {c: float(s[place]) for c, s in shares.items()}

    def write_slices(self, path: Path, volumes: Mapping[str, Volume], side: float, threshold: float) -> None:
        """Masks of what is compared, and the slice through the clearest break of L1."""
        shown = {"truth": self.truth} | {cell: volumes[cell] for cell in self.compared()}
        masks = {cell: volume > threshold for cell, volume in shown.items()}
        found = clearest(list(breaks(masks["truth"], masks["l1"]))) if "l1" in masks else None
        axis, at = (found.axis, found.place[found.axis]) if found else (0, self.truth.shape[0] // 2)
        np.savez_compressed(
            path,
            cells=np.array(list(shown)),
            masks=np.stack([np.packbits(mask) for mask in masks.values()]),
            slices=np.stack([np.rint(volume.take(at, axis)).astype(np.int16) for volume in shown.values()]),
            shape=np.array(self.truth.shape),
            cut=np.array([axis, at]),
            side_mm=np.array(side),
            threshold=np.array(threshold),
            photons=np.array(self.photons),
            direction=np.array(self.direction),
            knobs=np.array([self.knob(cell) if cell in FLOORS else "" for cell in shown]),
        )

    def compared(self) -> list[str]:
        """Raw, the floor whose four bone numbers err least at this dose, L1, and the mean of the claim."""
        wrong = {
            line["cell"]: fmean(float(line[axis]) for axis in ("bvtv", "connd", "tbth", "tmd"))
            for line in self.lines
            if line["direction"] == self.direction and line["cell"] in FLOORS and float(line["photons"]) == self.photons
        }
        floor = min(sorted(wrong), key=wrong.__getitem__, default="")
        return [cell for cell in ("input", floor, "l1", MIXTURE) if cell in self.runs.cells]
