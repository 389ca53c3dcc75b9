"""Which numbers of a bone does each training loss keep? The study, driven by bonectl commands.

    python examples/loss-study/study.py --size smoke -o study-output

Every step is one command line, run where its output is not there yet: an interrupted study goes on where it stopped.
It ends with status 1 where denoising does not come nearer to the bone than its input.
See README.md beside this file for the design, and for what the numbers can and cannot say.
"""

import argparse
import csv
import itertools
import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import figures
from findings import AIMED, CRITERIA, FINDINGS, Finding, Run, judge, stands, summary

from bonectl.core import threads

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"

ENERGY = 25
VOXEL = 0.0195  # of the real bones [mm]
SCALE = 1200  # what networks call 1 [mgHA/cm3]

# Percents of a count say something from this reference on.
LEAST_COUNT = 20
METRICS = "bvtv + surface + euler + connd + tbth + tbsp + bmd + tmd + psnr + ssim + dice + bmd_distance + fsc + mtf"

# Numbers that compare with the truth by themselves, and counts.
AS_THEY_ARE = (
    "psnr", "ssim", "dice", "bmd_distance", "tmd_distance", "fsc_frequency", "edge_sigma", "edge_shift", "mtf10",
)  # fmt: skip
COUNTS = ("chi", "dchi", "conn_raw", "components", "cavities", "chi_purified", "dchi_purified", "conn")

# What a full turn of views sees of every slice.
CYLINDER = ("--mask", "cylinder")

# Shares of the gradient, relative to the first term: `bonectl train --balance`. The paper's weights are not known.
PIXEL = {"none": "", "l1": "l1", "l2": "l2"}
ADVERSARY = "0.1*wgan(width={width})"
HIST, BVTV, EULER = "0.3*hist@50%", "0.3*bvtv(threshold={threshold})@50%", "0.3*euler(threshold={threshold})@50%"
BONE_TERMS = {"hist": HIST, "bvtv": BVTV, "euler": EULER, "euler+bvtv+hist": f"{EULER} + {BVTV} + {HIST}"}

# What a perceptual loss moves, a bone loss may hold.
HELD = {name: BONE_TERMS[name] for name in ("hist", "euler+bvtv+hist")}

# Cells that the findings and the claim rest on.
DECISIVE = (
    "l1", "l2", "ssim", "perceptual", "l1+wgan", "l1+ssim", "l1+ssim+wgan", "l1+perceptual", "l1+perceptual+wgan",
    "l1+hist", "l1+euler+bvtv+hist", "l1+perceptual+hist", "l1+perceptual+euler+bvtv+hist",
)  # fmt: skip
# Cells that the claim compares: what is aimed at bone numbers, L1, and the rivals that were best at something after
# three seeds. Further seeds of these confirm, or refute, what three seeds suggested.
CLAIMED = (
    "l1", "perceptual", "l1+wgan", "l1+ssim+wgan", "l1+perceptual", "l1+perceptual+wgan",
    "l1+hist", "l1+euler+bvtv+hist", "l1+perceptual+hist", "l1+perceptual+euler+bvtv+hist",
)  # fmt: skip
# What the findings on VGG are tried with.
PERCEPTUAL = {"vgg": "VGG", "encoder": "the bone encoder", "randvgg": "a random network"}
# Filters that keep edges and, from so many steps on, networks that are trained on values must come so much nearer to
# the bone than the input [dB]; no filter may move mean density by more [%]. A Gaussian may cost thin bone more than
# noise.
NEARER, LEARNT, DENSITY = 1.0, 100, 3.0
FLOORS = {"input": "identity", "gaussian": "gaussian(sigma=1)", "tv": "tv(weight=0.1)", "nlm": "nlm(sigma=0.1)"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a study is.

    Parameters
    ----------
    shape : str
        Of the phantoms.
    doses : tuple of (int, float)
        Views, and photons per pixel and view.
    seeds : int
        Networks per cell.
    cells : tuple of str, optional
        Names of the losses; none means all.
    decisive : tuple of str, optional
        Cells with that many networks; any other gets one, and none on phantoms where there are real bones. None means
        all.
    real : bool
        Whether the two real bones are studied too.
    confirmed : tuple of str, optional
        Cells that get further networks on real bones.
    further : int, optional
        How many.
    """

    shape: str
    voxel: float
    doses: tuple[tuple[int, float], ...]
    seeds: int
    steps: int
    patch: int
    batch: int
    run: int
    model: str
    critic: int
    cells: tuple[str, ...] = ()
    decisive: tuple[str, ...] = ()
    real: bool = False
    confirmed: tuple[str, ...] = ()
    further: int = 0
    phantoms: int = 2  # to train on; one more is tested on


SIZES = {
    "smoke": Size(
        shape="24,64,64", voxel=0.03, doses=((120, 1e4),), seeds=2, steps=12, patch=32, batch=1, run=8,
        model="unet2d(width=4, scales=2)", critic=4, phantoms=1,
        cells=("l1", "l2", "l1+perceptual+wgan", "l1+euler+bvtv+hist"),
    ),
    "small": Size(
        shape="96,160,160", voxel=0.02, doses=((180, 5e3),), seeds=3, steps=600, patch=48, batch=1, run=16,
        model="unet25d(width=8, scales=3)", critic=16, real=True,
        decisive=DECISIVE, confirmed=CLAIMED, further=3,
    ),
    "full": Size(
        shape="256,512,512", voxel=0.01, doses=((720, 1e4), (360, 1e4), (180, 1e4), (720, 1e3)), seeds=5, steps=20000,
        patch=128, batch=4, run=16, model="unet25d(width=32, scales=4)", critic=64, real=True, phantoms=4,
    ),
}  # fmt: skip


def losses(size: Size, perceptual: str) -> dict[str, str]:
    """Loss text of every cell, by its name: the 17 of the paper's grid, and the bone losses."""
    structures = {"none": "", "ssim": "ssim", "perceptual": perceptual}
    adversaries = {"none": "", "wgan": ADVERSARY.format(width=size.critic)}
    cells = {}
    for names in itertools.product(PIXEL, structures, adversaries):
        terms = [part for part in (PIXEL[names[0]], structures[names[1]], adversaries[names[2]]) if part]
        if terms:
            terms[0] = terms[0].removeprefix("0.1*")  # alone, an adversary has all of the gradient
            cells["+".join(name for name in names if name != "none")] = " + ".join(terms)
    cells |= {f"l1+{name}": f"l1 + {terms}" for name, terms in BONE_TERMS.items()}
    cells |= {f"l1+perceptual+{name}": f"l1 + {perceptual} + {terms}" for name, terms in HELD.items()}
    return {name: text for name, text in cells.items() if not size.cells or name in size.cells}


@dataclass(frozen=True)
class Setting:
    """One kind of bone at one dose.

    Parameters
    ----------
    train, test : pairs of Path
        What is trained on, and what is tested on, as (low dose, truth).
    threshold : float
        Bone lies above it [mgHA/cm3]: Otsu's of the first truth that is trained on.
    voxel : float
        [mm]
    real : bool
        Whether it is no phantom.
    """

    name: str
    train: tuple[tuple[Path, Path], ...]
    test: tuple[Path, Path]
    threshold: float
    voxel: float
    real: bool

    @property
    def folder(self) -> str:
        """Its name, fit for a path."""
        return self.name.replace(" ", "-").replace("(", "").replace(")", "")


class Study:
    """Runs command lines whose output is missing."""

    def __init__(
        self, size: Size, perceptual: str, output: Path, jobs: int, device: str, bones: Sequence[Path]
    ) -> None:
        self.size = size
        self.bones = bones
        self.losses = losses(size, perceptual)
        self.output = output
        self.jobs = jobs
        self.device = device
        # Networks that are trained side by side share the processors; threads that wait for each other waste them.
        self.threads = ("--threads", str(max(1, threads.available() // jobs)))
        output.mkdir(parents=True, exist_ok=True)

    def make(self, made: Path, *stages: Sequence[str | Path]) -> None:
        """Run a pipe of bonectl commands whose last one writes `made`, unless it is there."""
        if made.exists():
            return
        line = " | ".join(shlex.join(["bonectl", *map(str, stage), "--quiet"]) for stage in stages)
        print(line, file=sys.stderr, flush=True)
        subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True)

    def settings(self) -> Iterator[Setting]:
        """Make all data."""
        bones = {f"phantom{k}": ("phantom", "iliac", "--seed", k) for k in range(self.size.phantoms + 1)}
        phantoms = {name: self.phantom(name, argv) for name, argv in bones.items()}
        *train, test = phantoms
        yield from self.scanned(
            "phantom", [phantoms[name] for name in train], phantoms[test], self.size.voxel, real=False
        )
        if self.size.real:
            real = [self.real(name, scan) for name, scan in zip(("real-train", "real-test"), self.bones, strict=True)]
            yield from self.scanned("real (pseudo-calibrated)", real[:1], real[1], VOXEL, real=True)

    def phantom(self, name: str, argv: tuple[object, ...]) -> Path:
        """A bone with known structure."""
        made = self.output / f"{name}.npy"
        shape = ("--shape", self.size.shape, "--voxel-size", str(self.size.voxel))
        self.make(made, [*map(str, argv), *shape, "-o", str(made)])
        return made

    def real(self, name: str, scan: Path) -> Path:
        """A real bone; its densities are those of its grey-value peaks."""
        made = self.output / f"{name}.npy"
        self.make(
            made,
            ["convert", scan, "--voxel-size", str(VOXEL), "--calibrate", "peaks(low=0, high=1050)", "-o", made],
        )
        return made

    def scanned(self, name: str, train: Sequence[Path], test: Path, voxel: float, *, real: bool) -> Iterator[Setting]:
        """Scan bones at every dose, each with noise of its own."""
        threshold = self.threshold(train[0])
        for views, photons in self.size.doses:

            def low(truth: Path, seed: int, views: int = views, photons: float = photons) -> Path:
                made = truth.with_name(f"{truth.stem}-{views}x{photons:g}.npy")
                self.make(
                    made,
                    ["simulate", truth, "--views", str(views), "--photons", f"{photons:g}",
                     "--energy", str(ENERGY), "--seed", str(seed)],
                    ["reconstruct", "--unit", "mgHA/cm3", "-o", made],
                )  # fmt: skip
                return made

            pairs = tuple((low(truth, seed), truth) for seed, truth in enumerate(train, 1))
            yield Setting(f"{name} {views}x{photons:g}", pairs, (low(test, 0), test), threshold, voxel, real)

    def threshold(self, truth: Path) -> float:
        """Otsu's threshold of a truth that is trained on [mgHA/cm3]: the test bone has no say."""
        line = ["bonectl", "measure", str(truth), *CYLINDER, "--threshold", "otsu", "--metrics", "bvtv", "--json"]
        said = subprocess.run([*line, "--quiet"], check=True, stdout=subprocess.PIPE).stdout
        return round(float(json.loads(said)["conditions"]["threshold"]))

    def cell(self, setting: Setting, name: str, seed: int) -> Run:
        """Train one network, apply it to the test bone, measure."""
        folder = self.output / setting.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        table, model = folder / f"{seed}.json", folder / f"{seed}.safetensors"
        if not table.exists():
            if name in FLOORS:
                self.judge(setting, FLOORS[name], table)
            else:
                share = round(setting.threshold / SCALE, 3)
                self.train(setting, self.losses[name].format(threshold=share), seed, model)
                self.judge(setting, str(model), table)
        return Run(setting.name, name, seed, numbers(json.loads(table.read_text()), setting.voxel))

    def train(self, setting: Setting, loss: str, seed: int, model: Path) -> None:
        """Train, or go on where an interrupted run was saved."""
        size = self.size
        knobs = {"model": size.model, "loss": loss, "steps": size.steps, "patch": size.patch, "batch": size.batch,
                 "run": size.run, "seed": seed, "every": max(1, size.steps // 4), "device": self.device}  # fmt: skip
        argv: list[str | Path] = ["train", *(low for low, _ in setting.train)]
        argv += itertools.chain.from_iterable(("--target", truth) for _, truth in setting.train)
        argv += itertools.chain.from_iterable((f"--{key}", str(value)) for key, value in knobs.items())
        argv += ["--balance", *self.threads, "-o", model]
        saved = model.with_name(f"{model.name}.resume").exists()
        line = shlex.join(["bonectl", *map(str, argv), "--quiet", *(["--resume"] if saved else ["--force"])])
        print(line, file=sys.stderr, flush=True)
        subprocess.run(shlex.split(line), check=True)

    def judge(self, setting: Setting, model: str, table: Path) -> None:
        """Denoise the test bone and measure it beside the truth; one line, and nothing large is kept."""
        low, truth = setting.test
        denoise = shlex.join(["bonectl", "denoise", str(low), "--model", model, "--device", self.device,
                              *self.threads, "--quiet"])  # fmt: skip
        given = ("--reference", str(truth), "--threshold", str(setting.threshold), *CYLINDER, "--metrics", METRICS,
                 *self.threads)  # fmt: skip
        measure = shlex.join(["bonectl", "measure", *given, "--json", "--quiet"])
        line = f"{denoise} | {measure}"
        print(line, file=sys.stderr, flush=True)
        said = subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, stdout=subprocess.PIPE).stdout
        part = table.with_suffix(".part")
        part.write_bytes(said)
        part.replace(table)

    def run(self, settings: Sequence[Setting]) -> list[Run]:
        """All cells of all settings, every seed; floors have nothing to draw."""
        work = [
            (setting, name, seed)
            for seed in range(self.size.seeds + self.size.further)
            for setting in settings
            for name in (*FLOORS, *self.losses)
            if seed < self.networks(setting, name)
        ]
        with ThreadPoolExecutor(self.jobs) as pool:
            runs = list(pool.map(lambda one: self.cell(*one), work))
        order = {setting.name: place for place, setting in enumerate(settings)}
        return sorted(runs, key=lambda run: (order[run.setting], run.seed))

    def networks(self, setting: Setting, name: str) -> int:
        """How many networks a cell gets there; nothing is drawn for a filter."""
        size = self.size
        if name in FLOORS:
            return 1
        if setting.real and name in size.confirmed:
            return size.seeds + size.further
        if not size.decisive or name in size.decisive:
            return size.seeds
        return int(setting.real)


def numbers(table: dict, voxel: float) -> dict[str, float]:
    """Error of every number of one measurement: in percent of the reference, else as a difference, else as it is.

    An MTF beyond Nyquist's frequency of the voxels [mm] says that edges are narrower than a voxel, and no more than
    that: it is left out.
    """
    found = {}
    for row in table["rows"]:
        if row["name"] in AS_THEY_ARE:
            found[row["name"]] = row["value"]
        elif row["name"] in COUNTS:  # a reference near 0 makes percents meaningless
            found[f"{row['name']} bias"] = row["difference"]
            if abs(row["reference"]) >= LEAST_COUNT:
                found[f"{row['name']} bias [%]"] = row["percent"]
        elif row["reference"] is not None:
            found[f"{row['name']} bias [%]"] = row["percent"]
    if (found.get("mtf10") or 0) > 0.5 / voxel:
        del found["mtf10"]
    return {name: value for name, value in found.items() if value is not None}


def wrong(runs: Sequence[Run], steps: int) -> list[str]:
    """What cannot be right whatever the losses do: numbers of such a study mean nothing."""
    said = []
    judged = ("tv", "nlm", "l1", "l2") if steps >= LEARNT else ("tv", "nlm")
    for setting in dict.fromkeys(run.setting for run in runs):
        here = [run for run in runs if run.setting == setting]
        (noisy,) = (run.numbers["psnr"] for run in here if run.cell == "input")
        for run in here:
            if run.cell in judged and not run.numbers["psnr"] > noisy + NEARER:
                said.append(f"{setting}, {run.cell}: {run.numbers['psnr']:.1f} dB, of {noisy:.1f} dB before")
            if run.cell in FLOORS and not abs(run.numbers["bmd bias [%]"]) < DENSITY:
                said.append(f"{setting}, {run.cell}: mean density is {run.numbers['bmd bias [%]']:+.1f} % off")
    return said


def write_tables(runs: Sequence[Run], output: Path) -> None:
    """Every run, and the mean of the seeds with the half-width of its 95 % confidence interval."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(run.numbers for run in runs)))
    write(output / "runs.tsv", ["setting", "cell", "seed", *names], (
        [run.setting, run.cell, run.seed, *(shown(run.numbers.get(name)) for name in names)] for run in runs
    ))  # fmt: skip
    rows = []
    for key in dict.fromkeys((run.setting, run.cell) for run in runs):
        same = [run for run in runs if (run.setting, run.cell) == key]
        values = [[run.numbers[name] for run in same if name in run.numbers] for name in names]
        rows.append([*key, len(same), *itertools.chain.from_iterable(map(shown, summary(v)) for v in values)])
    columns = itertools.chain.from_iterable((name, f"± {name}") for name in names)
    write(output / "table.tsv", ["setting", "cell", "seeds", *columns], rows)


def write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of tab-separated values."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([head, *rows])


def shown(value: float | None) -> str:
    """Six digits are more than any of these numbers has."""
    return "" if value is None else f"{value:.6g}"


def verdict(runs: Sequence[Run], findings: Sequence[Finding], note: str, first: int) -> str:
    """The verdicts as Markdown; seeds from `first` on are the further ones."""
    lines = ["# Verdicts", "", note, ""]
    for setting in dict.fromkeys(run.setting for run in runs):
        only = [run for run in runs if run.setting == setting]
        lines += [f"## {setting}", "", "| finding | verdict | difference (95 % CI) | effect size d | pairs |"]
        lines += ["|---|---|---|---|---|"]
        for finding in findings:
            said = judge(finding, only)
            lines.append(f"| {finding.text} | **{said.verdict}** | {said.interval} | {said.effect} | {said.pairs} |")
        title = "No worse than L1 on resolution, than the best perceptual or adversarial cell on topology and density?"
        lines += ["", *claim(title, only)]
        title = f"The same by the further seeds alone ({first} and up): they had no say in which cells got them."
        lines += claim(title, [run for run in only if run.seed >= first])
    return "\n".join(lines)


def claim(title: str, runs: Sequence[Run]) -> Iterator[str]:
    """Whether one combination is no worse than L1 on resolution and than the best rival on the rest: Markdown."""
    cells = [cell for cell in dict.fromkeys(run.cell for run in runs) if AIMED & set(cell.split("+"))]
    if not cells:
        return
    yield title
    yield ""
    yield "| criterion | " + " | ".join(cells) + " |"
    yield "|---|" + "---|" * len(cells)
    for criterion in CRITERIA:
        said = [stands(criterion, cell, runs) for cell in cells]
        yield f"| {criterion.text} | " + " | ".join(f"**{s.verdict}** {s.interval}" for s in said) + " |"
    yield ""


def draw(settings: Sequence[Setting], runs: Sequence[Run], output: Path) -> None:
    """Pictures of every setting."""
    for setting in settings:
        only = [run for run in runs if run.setting == setting.name]
        (output / f"trade-{setting.folder}.png").write_bytes(figures.trade(only, setting.name))
        (output / f"chart-{setting.folder}.png").write_bytes(figures.chart(only, setting.name))
        shown = figures.slices(output / setting.folder, *setting.test, setting.voxel, setting.name)
        (output / f"slices-{setting.folder}.png").write_bytes(shown)


def main() -> None:
    """Read the arguments, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="smoke")
    parser.add_argument("-o", "--output", type=Path, default=Path("study-output"))
    parser.add_argument("-j", "--jobs", type=int, default=1, help="cells trained at a time")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--perceptual", default="randvgg", choices=("vgg", "encoder", "randvgg"),
        help="vgg and encoder need weight files, see bonectl-losses(7); without vgg, findings on VGG stay undecided",
    )  # fmt: skip
    parser.add_argument(
        "--bones", type=Path, nargs=2, metavar=("TRAIN", "TEST"),
        default=(DATA / "lhdl3155_crop.tif", DATA / "lhdl2923_crop.tif"),
        help=f"real bones of {VOXEL} mm, grey values; default: the crops in examples/data",
    )  # fmt: skip
    given = parser.parse_args()
    study = Study(SIZES[given.size], given.perceptual, given.output, given.jobs, given.device, given.bones)
    settings = list(study.settings())
    runs = study.run(settings)
    write_tables(runs, given.output)
    note = (
        f"Size `{given.size}`, perceptual loss `{given.perceptual}`. A finding on one setting holds for that setting; "
        "what holds for phantoms only is a statement on phantoms; densities of the real bones are pseudo-calibrated."
    )
    findings = [replace(one, text=one.text.replace("VGG", PERCEPTUAL[given.perceptual])) for one in FINDINGS]
    text = verdict(runs, findings, note, SIZES[given.size].seeds)
    if given.perceptual != "vgg":
        text += "\n## Undecided: without ImageNet weights\n\n" + "\n".join(
            f"- {f.text}" for f in FINDINGS if f.needs_vgg
        )
        text += "\n"
    (given.output / "verdict.md").write_text(text, encoding="utf-8")
    draw(settings, runs, given.output)
    print(given.output / "verdict.md")
    if said := wrong(runs, study.size.steps):
        sys.exit("wrong results, from which nothing follows:\n" + "\n".join(said))


if __name__ == "__main__":
    main()
