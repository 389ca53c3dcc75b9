"""What is told of the network: a table of all that was judged, and the card inside of its checkpoint."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import copysign
from pathlib import Path
from statistics import fmean

from judge import CONTROLS, FILTERS, NUMBERS

from bonectl.core import shipped
from bonectl.learning.checkpoint import Checkpoint

NAME = "bone"
VOXELS = {"19um": 0.0195, "39um": 0.039, "58um": 0.0585, "61um": 0.0607}
# How far beyond what was judged the network may be used: voxels and noise of scans are never quite the same.
VOXEL_MARGIN, NOISE_MARGIN = 1.11, 1.25

TRAINED_ON = (
    "human trabecular bone LHDL 3155 (micro-CT; voxels of 19.5, 39 and 58.5 um) and 15 phantoms (cancellous, iliac, "
    "vertebra, femur; 16.5 to 70 um), scanned anew: 80 to 12,500 photons, 90 to 360 views over half a turn, parallel "
    "beam, Poisson noise, detector blur of half a pixel, filtered back-projection (every fourth behind a Hann window)"
)
JUDGED_ON = (
    "human trabecular bone LHDL 2923, which neither training nor any choice saw; errors against its own truth, beside "
    "filters that were tuned on LHDL 3155 at each dose and voxel size; and a calibrated HR-pQCT scan of 61 um, "
    "TRAB_1240 of vtkbone's tutorials, with the filters of 58.5 um: examples/bone-model"
)
NOT_FOR = (
    "other than trabecular bone: cortical bone, teeth, implants, metal and calcified tissue were never seen",
    "noise of another grain: smoothing windows, iterative reconstruction and scanners' own filters were not judged",
    "BV/TV of bone from another scanner or of another density, unless it was tried: of trab1240_61um it came out low",
    "rings, motion, beam hardening, cone-beam artefacts, cut-off fields of view: none was in the training",
    "a diagnosis: this is not a medical device, and two specimens are no population",
)


def table(rows: Sequence[dict]) -> str:
    """All that was judged, as Markdown: errors in percent of the truth's number, with the sign of their mean."""
    names = [f"{name} [{unit}]" for name, (_, _, unit) in NUMBERS.items()]
    lines = ["| bone | photons × views | noise | way | " + " | ".join(names) + " |", "|---" * (4 + len(names)) + "|"]
    for bone, photons in scans(rows):
        for way in (*CONTROLS, *FILTERS, "network"):
            found = of(rows, bone, photons, way)
            knobs = "; ".join(dict.fromkeys(row["knob"] for row in found))
            head = (
                f"| {bone} | {photons:g} × {found[0]['views']:g} | {noise(rows, bone, photons):.0f} | {knobs or way} | "
            )
            lines.append(head + " | ".join(f"{error(found, name):.3g}" for name in NUMBERS) + " |")
    return "\n".join(lines) + "\n"


def validated(rows: Sequence[dict]) -> dict:
    """The card: for what the network may be used, and what is known of it."""
    voxels = [VOXELS[bone.rpartition("_")[2]] for bone, _ in scans(rows)]
    noises = [noise(rows, *scan) for scan in scans(rows)]
    return {
        "voxel_mm": [round(min(voxels) / VOXEL_MARGIN, 4), round(max(voxels) * VOXEL_MARGIN, 4)],
        "noise": [float(f"{min(noises) / NOISE_MARGIN:.2g}"), float(f"{max(noises) * NOISE_MARGIN:.2g}")],
        "learned_from": TRAINED_ON,
        "judged_on": JUDGED_ON,
        "judged": [judged(rows, *scan) for scan in scans(rows)],
        "loses_at": list(lost(rows)) or ["none of these doses"],
        "not_for": list(NOT_FOR),
    }


def judged(rows: Sequence[dict], bone: str, photons: float) -> dict:
    """Each number of the scans of one dose: as they came, behind each filter, and behind the network."""
    first = of(rows, bone, photons, "network")[0]
    return {
        "bone": bone,
        "voxel_mm": VOXELS[bone.rpartition("_")[2]],
        "photons": photons,
        "views": int(first["views"]),
        "noise": noise(rows, bone, photons),
        "numbers": {
            name: {
                "unit": unit,
                "input": shown(rows, bone, photons, "input", name),
                "filters": {way: shown(rows, bone, photons, way, name) for way in FILTERS},
                "output": shown(rows, bone, photons, "network", name),
            }
            for name, (_, _, unit) in NUMBERS.items()
        },
    }


def lost(rows: Sequence[dict]) -> Iterator[str]:
    """Where a tuned filter, or the scan as it came, is nearer to the truth than the network."""
    for bone, photons in scans(rows):
        for name, (_, _, unit) in NUMBERS.items():
            made = shown(rows, bone, photons, "network", name)
            better = {way: shown(rows, bone, photons, way, name) for way in ("input", *FILTERS)}
            way = min(better, key=lambda one: far(better[one], name))
            if far(better[way], name) < far(made, name):
                yield f"{bone}, {photons:g} photons: {name} {made:.3g} {unit}, {way} {better[way]:.3g}"


def far(number: float, name: str) -> float:
    """How far a number is off; less is better."""
    return -number if name == "psnr" else abs(number)


def shown(rows: Sequence[dict], bone: str, photons: float, way: str, name: str) -> float:
    """One number of the card."""
    return float(f"{error(of(rows, bone, photons, way), name):.4g}")


def error(found: Sequence[dict], name: str) -> float:
    """The mean error of the draws, with the sign of their mean; of PSNR the mean."""
    values = [row[name] for row in found]
    return copysign(fmean(map(abs, values)), fmean(values))


def noise(rows: Sequence[dict], bone: str, photons: float) -> float:
    """Of the scans of one dose [mgHA/cm3]."""
    return round(fmean(row["noise"] for row in of(rows, bone, photons, "input")), 1)


def scans(rows: Sequence[dict]) -> list[tuple[str, float]]:
    """Bones and doses, in their order."""
    return list(dict.fromkeys((row["bone"], row["photons"]) for row in rows))


def of(rows: Sequence[dict], bone: str, photons: float, way: str) -> list[dict]:
    """The draws of one scan behind one way of denoising."""
    return [row for row in rows if (row["bone"], row["photons"], row["way"]) == (bone, photons, way)]


def carded(network: Path, rows: Sequence[dict], folder: Path) -> Path:
    """Write the checkpoint with its card, by the name that it has in the package."""
    checkpoint = replace(Checkpoint.load(network), validated=validated(rows))
    path = folder / f"{NAME}-{checkpoint.digest[:8]}.safetensors"
    checkpoint.save(path)
    return path


def apart(rows: Sequence[dict], written: str) -> list[str]:
    """What does not follow from the judged rows: the table beside them, or the card of the network in the package."""
    known = Checkpoint.load(shipped.networks()[NAME]).validated
    said = [] if table(rows) == written else ["table.md is not what judged.tsv gives"]
    wanted = validated(rows)
    return said + [f"{key} of the card is not what judged.tsv gives" for key in wanted if known.get(key) != wanted[key]]
