"""Every method in a line: what it errs by, from which dose on it can be trusted, how it is run and what it costs.

    python examples/loss-study/study.py --size small -o study-output --add mine \\
        --command "my-denoiser --weights {trained}.pt {scan} {output}"

adds a line: the command is run for every test scan of both bones, and what it writes is measured as all others are.
"""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import fmean

import cells
import findings
import report
import tables
from findings import AXES, LSC, Row, Runs, bought, shown_dose, student

BONE = ("bvtv", "connd", "tbth", "tmd")
EXPLAINED = (
    "Every method, that with the least mean error of the four bone numbers (BV/TV, Conn.D, Tb.Th, TMD) first: "
    "means over doses, scans, seeds and both directions between the bones that are trained on, in % of the "
    "truth's, W1 in mgHA/cm³, FSC in % of Nyquist's frequency; PSNR in dB; then the lowest dose [photons per pixel "
    f"and view] from which on a number stays within {LSC} %, median over networks. Floors and controls know the "
    "dose, networks do not. CPU seconds are of the machine of the run, the start of the process among them; they "
    "are left out where the run did not note them. Intervals, command lines and versions are in `leaderboard.tsv`; "
    "`study.py --add` adds a line."
)


def runs_of(folder: Path) -> tuple[Runs, dict[str, str], list[dict[str, str]]]:
    """The rows of a study with those that others added, the command line of what was added, and all lines as texts."""
    told = tables.read(folder / "runs.tsv")
    more = [line for path in sorted((folder / "added").glob("*.tsv")) for line in tables.read(path)]
    rows = [
        Row(line["direction"], line["cell"], int(line["seed"]), float(line["photons"]),
            {axis.name: float(line[axis.name]) for axis in AXES if line[axis.name]})
        for line in (*told, *more)
    ]  # fmt: skip
    return Runs(rows), {line["cell"]: line["command"] for line in more}, [*told, *more]


def lines(folder: Path) -> list[dict[str, object]]:
    """The leaderboard, best first."""
    runs, added, told = runs_of(folder)
    directions = report.between(findings.read(folder / "runs.tsv"))
    known = {line["cell"]: line for line in tables.read(folder / "evidence" / "methods.tsv")}
    found: list[dict[str, object]] = []
    for cell in runs.cells:
        scores = {axis.name: student(runs.over(directions, cell, axis.name)) for axis in AXES}
        if None in scores.values():
            continue
        one: dict[str, object] = {"method": cell, "kind": "added" if cell in added else cells.kind(cell)}
        one["seeds"] = max(score.seeds for score in scores.values() if score)
        one["bone"] = fmean(scores[name].mean for name in BONE if scores[name])
        for name, score in scores.items():
            if score:
                one |= {name: score.mean, f"{name} ±": score.half if score.half < inf else None}
        decibels = [
            float(line["psnr"]) for line in told
            if line["cell"] == cell and line["direction"] in directions and line.get("psnr")
        ]  # fmt: skip
        one["psnr"] = fmean(decibels) if decibels else None
        for axis in AXES:
            if axis.bought:
                one[f"dose {axis.name}"] = shown_dose(bought(runs, directions, cell, axis.name), runs.doses[-1])
        about = known.get(cell, {})
        one |= {name: about.get(name) or None for name in ("command", "version", "cpu_s_train", "cpu_s_infer")}
        one["command"] = added.get(cell) or one["command"]
        found.append(one)
    return sorted(found, key=lambda one: (one["bone"], one["method"]))


def shown(folder: Path) -> list[list[str]]:
    """The leaderboard as it is printed, its head first."""
    dosed = [axis for axis in AXES if axis.bought]
    head = ["method", "seeds", *(axis.label.split(" ")[0] for axis in AXES), "PSNR"]
    head += [*(f"{axis.label} from" for axis in dosed), "CPU-s train", "CPU-s scan"]
    body = []
    for one in lines(folder):
        errors = [f"{one[axis.name]:.2f}" for axis in AXES]
        doses = [str(one[f"dose {axis.name}"]).split(" (")[0].replace(" ", "\u00a0") for axis in dosed]
        costs = [number(one[name]) for name in ("cpu_s_train", "cpu_s_infer")]
        decibels = "" if one["psnr"] is None else f"{one['psnr']:.1f}"
        body.append([str(one["method"]), str(one["seeds"]), *errors, decibels, *doses, *costs])
    return [head, *body]


def number(text: object) -> str:
    """Seconds."""
    return "" if text is None else f"{float(str(text)):.0f}"


def check_name(name: str, taken: Sequence[str]) -> None:
    """Refuse a name that a method has, or that is no name of a file."""
    if name in taken or not name.isprintable() or set(name) & set("/\t\n"):
        raise SystemExit(f"{name!r} is taken, or no name of a file; choose another for --add")
