"""What is found, in sentences, from `runs.tsv` and what lies beside it: the only ones that a README may repeat."""

from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

import findings
import report
import tables
from findings import (
    AXES,
    BETTER,
    BY_NAME,
    CONTROLS,
    FINDINGS,
    LEAST_SEEDS,
    LSC,
    MIXTURE,
    Axis,
    Finding,
    Judgement,
    Runs,
    best,
    bought,
    holm,
    is_loss,
    no_worse,
    seeds_needed,
    shown_dose,
    student,
    verdicts,
)

# Cells of registered-2.md.
SECOND = ("l1+ecc+bvtv+hist", "l1+skelrec+bvtv+hist", "l1+cldice+bvtv+hist")


def summary(folder: Path) -> str:
    """As Markdown."""
    runs = findings.read(folder / "runs.tsv")
    both = report.between(runs)
    others = [one for one in runs.directions if one not in both]
    lines = ["## What was run", "", *run(runs, both, others), *registered(folder)]
    for directions, where in ((both, "between the bones that are trained on"), (others, "on the third bone")):
        if directions:
            lines += [f"## In short, {where}", "", *short(runs, directions)]
    return "\n".join(lines)


def run(runs: Runs, both: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """How much was run."""
    losses = [cell for cell in runs.cells if is_loss(cell)]
    bones = sorted({one.split(" > ")[0] for one in runs.directions})
    seeds = {cell: len(runs.seeds(cell)) for cell in losses}
    count = len(bones) * sum(seeds.values())
    many = sorted(set(seeds.values()))
    each = f"{many[0]} to {many[-1]} seeds" if len(many) > 1 else f"{many[0]} seed{'s' if many[0] > 1 else ''}"
    doses = ", ".join(f"{dose:g}" for dose in runs.doses)
    yield (
        f"{count} networks: {len(losses)} losses × {each} × {len(bones)} bones ({', '.join(bones)}), each tried at "
        f"{doses} photons per pixel and view on the other bone{' and on a third' if others else ''} "
        f"({', '.join([*both, *others])})."
    )
    yield ""


def registered(folder: Path) -> Iterator[str]:
    """Where it was registered, and what was done otherwise."""
    about = {one["what"]: one["is"] for one in tables.read(folder / "evidence" / "about.tsv")}
    if commit := about.get("registered"):
        same = "are those of that commit" if about.get("changed since") == "no" else "were changed after it"
        yield f"Registered in commit {commit[:12]}; `findings.py` and `registered.md` {same}."
        yield ""
    told = folder / "deviations.md"
    points = (
        [line for line in told.read_text(encoding="utf-8").splitlines() if line.startswith("- ")]
        if told.exists()
        else []
    )
    if points:
        yield f"Deviations from registered.md, as deviations.md lists them: {len(points)}."
        yield ""
        yield from points
    else:
        yield f"Deviations from registered.md: {'none is listed in' if told.exists() else 'there is no'} deviations.md."
    yield ""


def short(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """One point for each question."""
    for part in (claim, paper, topology, sufficing, free, controls, floors, doses):
        yield from (f"- {sentence}" for sentence in part(runs, directions))
    yield ""


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence."""
    return "; ".join(parts) or "none"


def said(judged: Judgement | None, axis: Axis) -> str:
    """A difference with its unit and its direction."""
    if judged is None:
        return "no such cells"
    unit = "%" if axis.unit.startswith("%") else axis.unit
    half = f" ± {judged.half:.2f}" if judged.half < inf else ""
    return f"{abs(judged.mean):.2f}{half} {unit} {'less' if judged.mean > 0 else 'more'} error"


def claim(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The registered claim, part by part."""
    if MIXTURE not in runs.cells:
        yield f"The claim of registered.md was not tried: no cell is {MIXTURE}."
        return
    gains = [student(runs.gains(directions, (MIXTURE,), ("l1",), axis)) for axis in BETTER]
    adjusted = holm([1.0 if one is None else one.p for one in gains])
    held, failed = [], []
    for name, judged, p in zip(BETTER, gains, adjusted, strict=True):
        good = judged is not None and p < findings.ALPHA and judged.mean > 0
        text = f"{BY_NAME[name].label} {said(judged, BY_NAME[name])} than L1, p {p:.3g}"
        (held if good else failed).append(text)
    for axis in AXES:
        rival = best(runs, directions, axis.name)
        word, judged = no_worse(runs, directions, MIXTURE, rival, axis)
        text = f"{axis.label} {said(judged, axis)} than {rival}, {word}"
        (held if word == "no worse" else failed).append(text)
    yield (
        f"**The claim** ({MIXTURE} is better than L1 by Conn.D and by TMD, and no worse than the best loss by any "
        f"axis) **{'does not hold' if failed else 'holds'}**: {len(held)} of its {len(held) + len(failed)} parts do."
    )
    if failed:
        yield f"Parts of the claim that fail: {listed(failed)}."
    if held:
        yield f"Parts of the claim that hold: {listed(held)}."


def paper(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The findings of the paper, and ours, by verdict."""
    every = verdicts(runs, directions)
    for mine, whose in ((True, "the paper's findings"), (False, "our own claims")):
        of = [one for one in every if one[0].paper is mine]
        if all(judged is None for _, _, judged, _ in of):
            continue
        counts = [f"{sum(word == verdict for _, verdict, _, _ in of)} {word}" for word in WORDS]
        yield f"**Of {len(of)} of {whose}** (Holm over all {len(FINDINGS)}): {', '.join(counts)}."
        for word in WORDS:
            texts = [finding_text(*one) for one in of if one[1] == word]
            if texts:
                yield f"{word[0].upper()}{word[1:]}: {listed(texts)}."


WORDS = ("reproduced", "not reproduced", "undecided")


def finding_text(finding: Finding, verdict: str, judged: Judgement | None, p: float) -> str:
    """A finding with its numbers."""
    if judged is None:
        return f"{finding.text} (no such cells)"
    numbers = f"{said(judged, BY_NAME[finding.axis])}, d {judged.effect:+.2f}, p {p:.3g}"
    if verdict != "undecided":
        return f"{finding.text} ({numbers})"
    if judged.half == inf:
        few = f"{judged.seeds} of the {LEAST_SEEDS} seeds that a judgement takes"
        return f"{finding.text} ({said(judged, BY_NAME[finding.axis])}; {few})"
    needed = seeds_needed(judged.effect, len(FINDINGS))
    return f"{finding.text} ({numbers}; {judged.seeds} seeds, {needed or 'over 1000'} needed)"


def sufficing(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """By which axes plain L1 is enough."""
    words: dict[str, list[str]] = {"no worse": [], "worse": [], "undecided": []}
    for axis in AXES:
        rival = best(runs, directions, axis.name)
        if rival in ("", "l1"):
            words["no worse"].append(f"{axis.label} (the best itself)")
            continue
        word, judged = no_worse(runs, directions, "l1", rival, axis)
        words[word].append(f"{axis.label} ({said(judged, axis)} than {rival})")
    yield (
        "**Plain L1 beside the best loss**, which is chosen after the fact: "
        + ". ".join(f"{word[0].upper()}{word[1:]}: {listed(parts)}" for word, parts in words.items())
        + "."
    )


def topology(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The claim of registered-2.md, for each cell that has it; nothing where none was tried."""
    cells = [cell for cell in runs.cells if cell in SECOND]
    gains = [student(runs.gains(directions, (cell,), ("l1",), "connd")) for cell in cells]
    adjusted = holm([1.0 if one is None else one.p for one in gains])
    for cell, judged, p in zip(cells, gains, adjusted, strict=True):
        better = judged is not None and judged.mean > 0 and p < findings.ALPHA
        lost = [axis.label for axis in AXES if no_worse(runs, directions, cell, "l1", axis)[0] != "no worse"]
        yield (
            f"**The second claim** ({cell} has less error than L1 by Conn.D, and is no worse by any axis) here "
            f"**{'holds' if better and not lost else 'does not hold'}**: Conn.D {said(judged, BY_NAME['connd'])} than "
            f"L1, p {p:.3g} (Holm over {len(cells)}); not shown to be no worse by: {', '.join(lost) or 'none'}."
        )


def free(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Losses and means that are no worse than L1 by any axis, and what they gain; no claim that was registered."""
    found = []
    for cell in runs.cells:
        judged = [no_worse(runs, directions, cell, "l1", axis) for axis in AXES]
        if cell == "l1" or not (is_loss(cell) or cell == MIXTURE) or any(word != "no worse" for word, _ in judged):
            continue
        gains = [
            f"{axis.label} {said(one, axis)}"
            for axis, (_, one) in zip(AXES, judged, strict=True)
            if one is not None and one.mean > one.half
        ]
        found.append(f"`{cell}` ({', '.join(gains) or 'nothing is better'})")
    yield (
        "**No worse than L1 by all seven axes** (looked for after the fact, and not adjusted for that), with what is "
        f"better: {listed(found)}."
    )


def controls(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Whether the controls fail."""
    for cell in CONTROLS:
        failed = [axis.label for axis in AXES if no_worse(runs, directions, cell, "l1", axis)[0] == "worse"]
        worse = ", ".join(failed) or "nothing, so that the criteria show nothing"
        yield f"The control `{cell}` is worse than L1 by: {worse}."


def floors(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Where the best filter, whose knob knows the dose, beats L1, or loses to it."""
    words: dict[str, list[str]] = {"less error than L1": [], "more error than L1": [], "not told apart from L1": []}
    for axis in AXES:
        floor = report.best_floor(runs, directions, axis.name)
        judged = student(runs.gains(directions, (floor,), ("l1",), axis.name)) if floor else None
        if judged is not None:
            clear = judged.half < inf and abs(judged.mean) > judged.half
            word = "not told apart from" if not clear else "less error than" if judged.mean > 0 else "more error than"
            words[f"{word} L1"].append(f"{axis.label} ({floor}: {said(judged, axis)})")
    parts = ". ".join(f"{word[0].upper()}{word[1:]}: {listed(parts)}" for word, parts in words.items())
    yield f"**The best floor** of each axis, its knob tuned for each dose on the bone that is trained on. {parts}."


def doses(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The lowest dose of L1, of the mean and of the best of all losses, by the numbers that it is defined for."""
    axes = [axis for axis in AXES if axis.bought]
    for cell in ("l1", MIXTURE, "input"):
        if cell in runs.cells:
            parts = [
                f"{axis.label} {shown_dose(bought(runs, directions, cell, axis.name), runs.doses[-1])}" for axis in axes
            ]
            yield f"Photons per pixel and view from which on `{cell}` stays within {LSC} %: {listed(parts)}."
