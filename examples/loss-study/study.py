"""Which bone numbers does each training loss keep, and from which dose on? The study, driven by bonectl commands.

    python examples/loss-study/study.py --size smoke -o study-output
    python examples/loss-study/study.py --check examples/loss-study/report

Every step is one command line, printed before it runs, and run where its output is not there yet: an interrupted study
goes on where it stopped. What is compared, and by which rule, is in findings.py, and was fixed beforehand
(registered.md); README.md beside this file says what the numbers can and cannot say.
"""

import argparse
import itertools
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from threading import Lock

import cells
import commands
import document
import evidence
import findings
import leaderboard
import numpy as np
import page
import pages
import report
import summary
import tables
from findings import MIXTURE, MOST, THRICE

from bonectl.core import threads
from bonectl.metrics.fsc import CRITERIA, shells

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"

VIEWS, ENERGY = 120, 25
SCALE = 1200  # what networks call 1 [mgHA/cm3]
# A bone of a calibrated scanner is cut as the field cuts HR-pQCT [mgHA/cm3]; others by Otsu's threshold.
CLINICAL_THRESHOLD = 320.0

METRICS = "bvtv + euler + connd + components + tbth + tmd + psnr + bmd_distance + fsc + mtf(reach=3)"
PHANTOM = "144,216,216"  # of voxels a third as large
CYLINDER = ("--mask", "cylinder")  # what a full turn of views sees of every slice
# Axes of findings.py, by the rows of `measure` that they are percents of.
PERCENTS = {"bvtv": "bvtv", "connd": "connd", "tbth": "tbth", "tmd": "tmd"}
# What else is kept of every scan; nothing is judged by it.
KEPT = ("psnr", "chi", "components", "cavities", "bmd", "tmd_sd")

# Shares of the gradient, relative to the first term: `bonectl train --balance`. The paper's weights are not known.
VGG = "vgg(slices=2)"
ADVERSARY = "0.1*wgan(conditional=true, width={critic})"
HIST, BVTV, EULER = "0.3*hist@50%", "0.3*bvtv(threshold={threshold})@50%", "0.3*euler(threshold={threshold})@50%"
BONE_TERMS = {"hist": HIST, "euler+bvtv+hist": f"{EULER} + {BVTV} + {HIST}"}
# What stands for the topology in place of `euler`: of the size `topology`, and registered by itself (registered-2.md).
TOPOLOGY = ("ecc", "skelrec", "cldice")
# Highest learning rate of a critic alone: at that of the others it runs wild.
ALONE = {"wgan": 0.002}
GRID = (("", "l1", "l2"), ("", "ssim", "vgg"), ("", "wgan"))
MEANS = {cell: cells.members(cell) for cell in (MIXTURE, THRICE)}

# Filters, with the knob that is tuned: for each dose on the bone that is trained on, by the mean of the four bone
# numbers' errors. They know the dose and were chosen by what they are judged by; networks have neither.
TUNED = {
    "gaussian": [f"gaussian(sigma={x})" for x in (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)],
    "tv3d": [f"tv3d(weight={x})" for x in (0.01, 0.03, 0.06, 0.1, 0.15, 0.22)],
    "nlm3d": [f"nlm3d(sigma={x}, strength=1.0)" for x in (0.03, 0.06, 0.12, 0.2, 0.3, 0.4)],
    "fbp": [f"fbp(window=hann, cutoff={x})" for x in (1.0, 0.8, 0.65, 0.5, 0.35)],
}
CONTROL_FILTERS = {"input": "identity", "oversmoothed": "gaussian(sigma=2)"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a study is.

    Parameters
    ----------
    photons : tuple of float
        Doses: photons per pixel and view.
    draws : (int, int)
        Noise realisations of every scan, to train on and to test on.
    cells : tuple of str
        Losses; none means the whole grid and the bone losses.
    seeds : int
        Networks per cell and direction.
    critic : int
        Width of the adversary's critic.
    knobs : int
        Values that are tried of every floor's knob, the first ones.
    """

    photons: tuple[float, ...] = (100, 300, 1000, 3000, 10000)
    draws: tuple[int, int] = (2, 3)
    cells: tuple[str, ...] = ()
    seeds: int = 6
    steps: int = 2000
    rate: float = 0.006
    patch: int = 48
    batch: int = 2
    run: int = 4
    model: str = "unet25d(width=8)"
    critic: int = 16
    knobs: int = 99


SMALL = (
    "l1", "l2", "ssim", "vgg", "wgan", "l1+ssim", "l1+vgg", "l1+wgan", "l1+ssim+wgan", "l1+vgg+wgan",
    "l1+hist", "l1+euler+bvtv+hist",
)  # fmt: skip
SIZES = {
    "smoke": Size(photons=(300, 3000), draws=(1, 1), cells=("l1", "ssim", "l1+vgg", "l1+wgan"), seeds=3, steps=4,
                  patch=24, batch=1, run=2, model="unet2d(width=2, scales=2)", critic=2, knobs=1),
    "small": Size(cells=SMALL),
    "topology": Size(cells=("l1", *(f"l1+{name}+bvtv+hist" for name in TOPOLOGY), "l1+bvtv+hist")),
    "full": Size(photons=(50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000), draws=(5, 5), seeds=12, steps=20000,
                 batch=8, run=16, model="unet25d(width=32, scales=3)", critic=64),
}  # fmt: skip


def losses(size: Size) -> dict[str, str]:
    """Loss text of every cell, by its name: the 17 of the paper's grid, the bone losses, and what the size names."""
    texts = {"vgg": VGG, "wgan": ADVERSARY}
    cells = {}
    for names in itertools.product(*GRID):
        terms = [texts.get(name, name) for name in names if name]
        if terms:
            terms[0] = terms[0].removeprefix("0.1*")  # alone, an adversary has all of the gradient
            cells["+".join(filter(None, names))] = " + ".join(terms)
    cells |= {f"l1+{name}": f"l1 + {terms}" for name, terms in BONE_TERMS.items()}
    terms = {name: f"l1 + {EULER.replace('euler', name)} + {BVTV} + {HIST}" for name in TOPOLOGY}
    named = cells | {f"l1+{name}+bvtv+hist": text for name, text in terms.items()}
    named["l1+bvtv+hist"] = f"l1 + {BVTV} + {HIST}"
    return {name: named[name] for name in (size.cells or cells)}


@dataclass(frozen=True)
class Bone:
    """A truth, its threshold [mgHA/cm3], and the MTF of its own edges [1/mm]."""

    name: str
    truth: Path
    threshold: float
    mtf10: float
    trained_on: bool = True


@dataclass
class Study:
    """Runs command lines whose output is missing.

    Parameters
    ----------
    size : Size
    output : Path
    jobs : int
        Cells trained at a time; they share the processors.
    device : str
    draws : int
        Noise realisations of every test scan; 0 for as many as the size says.
    """

    size: Size
    output: Path
    jobs: int = 1
    device: str = "auto"
    draws: int = 0
    bones: list[Bone] = field(default_factory=list)
    noting: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.threads = ("--threads", str(max(1, threads.available() // self.jobs)))
        self.losses = losses(self.size)

    def say(self, *stages: Sequence[str | Path]) -> tuple[bytes, float]:
        """Run a pipe of bonectl commands; what the last one printed, and CPU seconds."""
        return commands.run(*stages)

    def make(self, made: Path, *stages: Sequence[str | Path]) -> Path:
        """Run a pipe whose last command writes `made`, unless it is there."""
        made.parent.mkdir(parents=True, exist_ok=True)
        if not made.exists():
            self.say(*stages[:-1], [*stages[-1], "-o", made])
        return made

    def microct(self, source: Path) -> Bone:
        """A truth to train on and to test on."""
        return self.parted(self.make(self.output / "bones" / f"{source.stem.split('_')[0]}.npy", ["convert", source]))

    def phantom(self, seed: int) -> Bone:
        """A truth made by rule, low-passed and binned as the scanned ones are; only tested on."""
        fine = ["phantom", "cancellous", "--shape", PHANTOM, "--voxel-size", "0.0195", "--seed", str(seed)]
        coarse = (["denoise", "--model", "gaussian(sigma=1)"], ["convert", "--bin", "3"])
        truth = self.make(self.output / "bones" / f"phantom{seed}.npy", fine, *coarse)
        return replace(self.parted(truth), trained_on=False)

    def parted(self, truth: Path) -> Bone:
        """A truth with its own threshold between bone and marrow."""
        said, _ = self.say(["measure", truth, *CYLINDER, "--threshold", "otsu", "--metrics", "bvtv", "--json"])
        threshold = round(float(json.loads(said)["conditions"]["threshold"]))
        return Bone(truth.stem, truth, threshold, self.edges(truth, threshold))

    def clinical(self, source: Path) -> Bone:
        """A truth that is only tested on."""
        truth = self.make(self.output / "bones" / f"{source.stem.split('_')[0]}.npy", ["convert", source])
        edges = self.edges(truth, CLINICAL_THRESHOLD)
        return Bone(truth.stem, truth, CLINICAL_THRESHOLD, edges, trained_on=False)

    def edges(self, truth: Path, threshold: float) -> float:
        """MTF of a truth's own edges, which no picture of it need exceed [1/mm]."""
        line = [
            "measure",
            truth,
            "--reference",
            truth,
            *CYLINDER,
            "--threshold",
            str(threshold),
            "--metrics",
            "mtf(reach=3)",
        ]
        said, _ = self.say([*line, "--intervals", "none", "--json"])
        return {row["name"]: row["value"] for row in json.loads(said)["rows"]}["mtf10"]

    def scan(self, bone: Bone, photons: float, draw: str, method: str = "") -> Path:
        """One low-dose scan of a bone, reconstructed; its seed is told by `draw`, such as train-1 or test-2."""
        kind, number = draw.split("-")
        scan = self.output / "scans" / bone.name / f"{draw}-{photons:g}{f'-{method}' if method else ''}.npy"
        seed = 1000 * (kind == "test") + int(number)
        return self.make(
            scan,
            ["simulate", bone.truth, "--views", str(VIEWS), "--photons", f"{photons:g}", "--energy", str(ENERGY),
             "--seed", str(seed)],
            ["reconstruct", "--unit", "mgHA/cm3", *(("--method", method) if method else ())],
        )  # fmt: skip

    def scans(self, bone: Bone, kind: str, method: str = "") -> dict[str, Path]:
        """All scans of a bone of one kind, by draw and dose; of a bone that is never trained on one draw suffices."""
        count = self.size.draws[kind == "test"] if bone.trained_on else 1
        count = (kind == "test" and self.draws) or count
        draws = [f"{kind}-{number}" for number in range(1, count + 1)]
        return {f"{d}-{p:g}": self.scan(bone, p, d, method) for d, p in itertools.product(draws, self.size.photons)}

    def train(self, bone: Bone, cell: str, seed: int) -> Path:
        """Train one network on all doses of a bone, or go on where an interrupted run was saved."""
        size, model = self.size, self.output / f"from-{bone.name}" / cell / f"{seed}.safetensors"
        if model.exists() and not model.with_name(f"{model.name}.resume").exists():
            return model
        model.parent.mkdir(parents=True, exist_ok=True)
        loss = self.losses[cell].format(threshold=round(bone.threshold / SCALE, 3), critic=size.critic)
        knobs = {"model": size.model, "loss": loss, "steps": size.steps, "patch": size.patch, "batch": size.batch,
                 "run": size.run, "rate": ALONE.get(cell, size.rate), "seed": seed, "every": max(1, size.steps // 8),
                 "device": self.device}  # fmt: skip
        argv: list[str | Path] = ["train", *(scans := self.scans(bone, "train")).values()]
        argv += itertools.chain.from_iterable(("--target", bone.truth) for _ in scans)
        argv += itertools.chain.from_iterable((f"--{key}", str(value)) for key, value in knobs.items())
        going_on = model.with_name(f"{model.name}.resume").exists()
        _, used = self.say(
            [*argv, "--balance", "--no-picture", *self.threads, "-o", model, "--resume" if going_on else "--force"]
        )
        model.with_name(f"{model.name}.resume").unlink(missing_ok=True)
        if not going_on:  # of a network that was interrupted only the last part is known
            self.note({"bone": bone.name, "cell": cell, "seed": seed, "cpu_s": used})
        return model

    def note(self, cost: dict[str, object]) -> None:
        """Add what a network cost to `costs.tsv`."""
        with self.noting:
            path = self.output / "costs.tsv"
            tables.write(path, [*tables.read(path), cost])

    def measured(
        self, bone: Bone, table: Path, scans: Mapping[str, Path], made: Callable[[Mapping[str, Path], Path], object]
    ) -> list[dict]:
        """Denoise the scans that are not in a table yet, by `made` into a folder, and measure them beside the truth.

        The volumes are not kept. One entry for each scan.
        """
        known = json.loads(table.read_text()) if table.exists() else {}
        known = {name: one for name, one in known.items() if is_settled(one)}
        missing = {name: path for name, path in scans.items() if name not in known}
        if missing:
            work = table.with_suffix(".work")
            shutil.rmtree(work, ignore_errors=True)  # what an interrupted run left
            work.mkdir(parents=True)
            made(missing, work)
            volumes = [work / path.name for path in missing.values()]
            how = ("--threshold", str(bone.threshold), *CYLINDER, "--metrics", METRICS, "--intervals", "none")
            said, _ = self.say(["measure", *volumes, "--reference", bone.truth, *how, "--json", *self.threads])
            if not known:
                keep_masks(volumes[: len(self.size.photons)], bone.threshold, table.with_suffix(".masks.npz"))
            found = json.loads(said)
            found = found if isinstance(found, list) else [found]
            for one, volume in zip(found, volumes, strict=True):
                settle(one, volume, bone.truth)
            shutil.rmtree(work)
            known |= dict(zip(missing, found, strict=True))
            part = table.with_suffix(".part")
            part.write_text(json.dumps(known))
            part.replace(table)
        return [{"scan": name, **numbers(known[name], bone.mtf10)} for name in scans]

    def denoised(self, scans: Mapping[str, Path], models: Sequence[str | Path], work: Path) -> None:
        """Denoise scans by one model, or by the mean of several."""
        knobs = itertools.chain.from_iterable(("--model", model) for model in models)
        self.say(["denoise", *scans.values(), *knobs, "--device", self.device, *self.threads, "--force",
                  "-o", work / "{name}.npy"])  # fmt: skip

    def filtered(self, bone: Bone, text: str, kind: str, folder: Path) -> list[dict]:
        """What a filter, or a window of the reconstruction, makes of all scans of one kind of a bone."""
        method, model = cells.filtered(text)
        scans = self.scans(bone, kind, method)
        return self.measured(
            bone,
            folder / f"{bone.name}-{kind}-{text}.json",
            scans,
            lambda scans, work: self.denoised(scans, [model], work),
        )

    def floors(self, trained: Bone, tested: Bone) -> Iterator[dict]:
        """Rows of all floors and controls on one bone: at each dose that of the knobs which erred least in training."""
        folder = self.output / f"from-{trained.name}"
        texts = {floor: texts[: self.size.knobs] for floor, texts in TUNED.items()}
        for cell, tried in (texts | {name: [text] for name, text in CONTROL_FILTERS.items()}).items():
            there = {text: self.filtered(trained, text, "train", folder / cell) for text in tried}
            for photons in self.size.photons:
                wrong = {
                    text: fmean(itertools.chain.from_iterable(map(bone_errors, of_dose(found, photons))))
                    for text, found in there.items()
                }
                best = min(wrong, key=wrong.__getitem__)
                found = self.filtered(tested, best, "test", folder / cell)
                yield row(trained, tested, cell, 0, photons, of_dose(found, photons)) | {"knob": best}

    def networks(self, trained: Bone, tested: Bone, cell: str, seed: int) -> Iterator[dict]:
        """Rows of one network, or of a mean of several, on one bone."""
        members = [(cell, 0)] if cell in self.losses else MEANS[cell]
        models = [self.train(trained, name, (seed + step) % self.size.seeds) for name, step in members]
        table = self.output / f"from-{trained.name}" / cell / f"{seed}-on-{tested.name}.json"
        scans = self.scans(tested, "test")
        found = self.measured(tested, table, scans, lambda scans, work: self.denoised(scans, models, work))
        for photons in self.size.photons:
            yield row(trained, tested, cell, seed, photons, of_dose(found, photons))

    def run(self) -> None:
        """Everything that is missing, seed by seed, so that an interrupted study is a whole one of fewer seeds."""
        pairs = [(a, b) for a in self.bones if a.trained_on for b in self.bones if a is not b]
        means = [cell for cell in MEANS if all(name in self.losses for name, _ in MEANS[cell])]
        for bone in self.bones:  # before several jobs want the same one
            self.scans(bone, "test")
            if bone.trained_on:
                self.scans(bone, "train")
        rows: list[dict] = []
        with ThreadPoolExecutor(self.jobs) as pool:
            for seed in range(self.size.seeds):
                firsts = [bone for bone in self.bones if bone.trained_on]
                list(pool.map(lambda one: self.train(one[0], one[1], seed), itertools.product(firsts, self.losses)))  # noqa: B023
                work = [(a, b, cell) for (a, b), cell in itertools.product(pairs, self.losses)]
                rows += itertools.chain.from_iterable(pool.map(lambda one: list(self.networks(*one, seed)), work))  # noqa: B023
                if not seed:  # one after another: two bones are tested on by what is tuned on one
                    rows += itertools.chain.from_iterable(self.floors(*one) for one in pairs)
                tables.write(self.output / "runs.tsv", rows)
            work = [(a, b, cell, s) for (a, b), cell in itertools.product(pairs, means) for s in range(self.size.seeds)]
            rows += itertools.chain.from_iterable(pool.map(lambda one: list(self.networks(*one)), work))
        tables.write(self.output / "runs.tsv", rows)

    def add(self, name: str, command: str) -> None:
        """Try a command of others on every test scan, and keep its rows in `added/`, where no verdict looks.

        In the command {scan} is the volume to denoise, {output} the NPY file to write, [mgHA/cm3] both, and {trained}
        the name of the only bone that it may have learned from.
        """
        rows: list[dict] = []
        for trained, tested in itertools.permutations([bone for bone in self.bones if bone.trained_on], 2):
            scans = self.scans(tested, "test")

            def made(scans: Mapping[str, Path], work: Path, trained: Bone = trained) -> None:
                for scan in scans.values():
                    line = command
                    words = {"{scan}": scan, "{output}": work / scan.name, "{trained}": trained.name}
                    for key, word in words.items():
                        line = line.replace(key, shlex.quote(str(word)))
                    commands.shell(line)

            table = self.output / "added" / name / f"from-{trained.name}-on-{tested.name}.json"
            found = self.measured(tested, table, scans, made)
            rows += (row(trained, tested, name, 0, dose, of_dose(found, dose)) for dose in self.size.photons)
        tables.write(self.output / "added" / f"{name}.tsv", [one | {"command": command} for one in rows])


def numbers(table: dict, mtf10: float) -> dict[str, float]:
    """Errors by the axes of findings.py, their signed values, and what else is kept, of one measurement.

    Resolution is told beside the truth's own: an edge sharper than the bone's is as wrong as a blurred one.
    """
    known = {row["name"]: row for row in table["rows"]}
    found: dict[str, float] = {f"{axis} bias": known[name]["percent"] for axis, name in PERCENTS.items()}
    nyquist = 0.5 / table["conditions"]["voxel_x_mm"]
    meets = known["fsc_frequency"]["value"]  # none where it never falls below the cut, or lies there from the start
    found["fsc bias"] = table["fsc_never"] if meets is None else 100 * (meets / nyquist - 1)
    found["w1 bias"] = known["bmd_distance"]["value"]
    sharp = known["mtf10"]["value"]  # none where an edge cannot be told
    found["mtf bias"] = MOST if sharp is None else 100 * (sharp / mtf10 - 1)
    errors = {name.removesuffix(" bias"): min(abs(value), MOST) for name, value in found.items()}
    if errors["w1"] == MOST:  # no percents
        errors["w1"] = found["w1 bias"]
    return errors | found | {name: known[name]["value"] for name in KEPT if name in known}


def of_dose(scans: Sequence[dict], photons: float) -> list[dict]:
    """The scans of one dose."""
    return [one for one in scans if one["scan"].endswith(f"-{photons:g}")]


def bone_errors(scan: Mapping[str, float]) -> list[float]:
    """The errors of the four bone numbers."""
    return [scan[axis] for axis in PERCENTS]


def row(trained: Bone, tested: Bone, cell: str, seed: int, photons: float, scans: Sequence[dict]) -> dict:
    """One line of `runs.tsv`: means over the scans of one dose."""
    names = [name for name in scans[0] if name != "scan"]
    means = {name: fmean(scan[name] for scan in scans) for name in names}
    head = {"direction": f"{trained.name} > {tested.name}", "cell": cell, "seed": seed, "photons": photons}
    return head | {"scans": len(scans)} | means


def keep_masks(volumes: Sequence[Path], threshold: float, path: Path) -> None:
    """What counts as bone in some volumes, a bit for each voxel, by the volumes' names."""
    masks = {volume.stem: np.packbits(np.load(volume, mmap_mode="r") > threshold) for volume in volumes}
    np.savez_compressed(path, **masks)


def is_settled(table: dict) -> bool:
    """Whether a curve that does not cross its cut says on which side it stays."""
    return crosses(table) or "fsc_never" in table


def crosses(table: dict) -> bool:
    """Whether the Fourier shell correlation crosses its cut."""
    return next(row["value"] for row in table["rows"] if row["name"] == "fsc_frequency") is not None


def settle(table: dict, volume: Path, truth: Path) -> None:
    """Say what a correlation that never crosses its cut is off by [%]: all if it begins below it, nothing if not."""
    if not crosses(table):
        correlation, _ = shells(np.load(volume), np.load(truth))
        table["fsc_never"] = -MOST if correlation[1] < CRITERIA["reference"] else 0.0


PICTURES = ("dose-both", "findings-both", "slices")


def derived(folder: Path) -> dict[str, str]:
    """Every text that `runs.tsv` and the files beside it give, by its name, but for the page."""
    return {
        "verdict.md": report.verdict(findings.read(folder / "runs.tsv")),
        "summary.md": summary.summary(folder),
        "leaderboard.tsv": tables.text(leaderboard.lines(folder)),
    }


def check(folder: Path, device: str = "auto") -> None:
    """Write what is not there, of verdicts, sentences, leaderboard, report and pictures; compare the texts that are.

    Ends with status 1 where a text is not the one that `runs.tsv` gives. Of the output folder of a run the evidence is
    gathered first.
    """
    if evidence.is_run(folder):
        evidence.gather(folder, device)
    blocks = document.document(folder)
    texts = derived(folder) | {"report.html": page.html(blocks, drawn=not (folder / "report.html").exists())}
    wrong = []
    for name, text in texts.items():
        path = folder / name
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            print(path)
        elif page.words(path.read_text(encoding="utf-8")) != page.words(text):
            wrong.append(name)
    if wrong:
        sys.exit(f"{folder}: {', '.join(wrong)}: not what runs.tsv gives; without them, --check writes them")
    draw(folder, blocks)


def draw(folder: Path, blocks: Sequence[document.Block]) -> None:
    """Write the report as PDF, and some pictures of it, where they are not there."""
    if not (folder / "report.pdf").exists():
        (folder / "report.pdf").write_bytes(pages.pdf(blocks))
    for block in blocks:
        if isinstance(block, document.Picture) and block.name in PICTURES:
            path = folder / f"{block.name.removesuffix('-both')}.png"
            if not path.exists():
                path.write_bytes(page.png(block))


def main() -> None:
    """Read the arguments, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="smoke")
    parser.add_argument("-o", "--output", type=Path, default=Path("study-output"))
    parser.add_argument("-j", "--jobs", type=int, default=1, help="networks trained at a time")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--bones", type=Path, nargs=2, metavar="STACK", help="two volumes, each trained on and tested on",
        default=(DATA / "lhdl3155_58um.tif", DATA / "lhdl2923_58um.tif"),
    )  # fmt: skip
    parser.add_argument("--third", type=Path, metavar="STACK", help="a scan of a calibrated scanner, only tested on")
    parser.add_argument("--phantoms", type=int, default=0, metavar="N", help="so many phantoms, only tested on")
    parser.add_argument(
        "--draws", type=int, default=0, metavar="N",
        help="noise realisations of every test scan; without it three, and one of what is only tested on",
    )  # fmt: skip
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="compare a report with runs.tsv, or write it")
    parser.add_argument(
        "--add", metavar="NAME", help="try a method of yours on the study's scans: a leaderboard's line"
    )
    parser.add_argument("--command", help="of --add: what denoises {scan} to {output}, trained on the bone {trained}")
    given = parser.parse_args()
    if (given.add is None) != (given.command is None):
        parser.error("--add NAME and --command LINE go together")
    if given.check:
        check(given.check, given.device)
        return
    study = Study(SIZES[given.size], given.output, given.jobs, given.device, given.draws)
    study.bones = [*map(study.microct, given.bones), *map(study.clinical, [given.third] if given.third else [])]
    study.bones += map(study.phantom, range(1, given.phantoms + 1))
    if given.add:
        leaderboard.check_name(given.add, [*study.losses, *MEANS, *TUNED, *CONTROL_FILTERS])
        study.add(given.add, given.command)
        return
    study.run()
    check(given.output, given.device)


if __name__ == "__main__":
    main()
