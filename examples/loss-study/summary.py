"""What is found, in sentences, from `runs.tsv` and what lies beside it: the only ones that a README may repeat."""

from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from statistics import fmean

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

# So many directions are told one by one.
FEW = 4
# Cells of registered-2.md.
WITHOUT = "l1+bvtv+hist"
SECOND = ("l1+ecc+bvtv+hist", "l1+skelrec+bvtv+hist", "l1+cldice+bvtv+hist")


def summary(folder: Path) -> str:
    """As Markdown."""
    runs = findings.read(folder / "runs.tsv")
    both = report.between(runs)
    others = [one for one in runs.directions if one not in both]
    lines = ["## What was run", "", *run(runs, both, others), *registered(folder, runs), *truths(folder)]
    third = "on the third bone" if is_one(others) else "on the others"
    for directions, where in ((both, "between the bones that are trained on"), (others, third)):
        if directions:
            lines += [f"## In short, {where}", "", *short(runs, directions)]
    return "\n".join(lines)


def is_one(directions: Sequence[str]) -> bool:
    """Whether one bone is tested on in all of them."""
    return len({one.split(" > ")[1] for one in directions}) == 1


def run(runs: Runs, both: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """How much was run."""
    losses = [cell for cell in runs.cells if is_loss(cell)]
    bones = sorted({one.split(" > ")[0] for one in runs.directions})
    seeds = {cell: len(runs.seeds(cell)) for cell in losses}
    count = len(bones) * sum(seeds.values())
    many = sorted(set(seeds.values()))
    each = f"{many[0]} to {many[-1]} seeds" if len(many) > 1 else f"{many[0]} seed{'s' if many[0] > 1 else ''}"
    doses = ", ".join(f"{dose:g}" for dose in runs.doses)
    more = " and on a third" if is_one(others) else " and on others" if others else ""
    yield (
        f"{count} networks: {len(losses)} losses × {each} × {len(bones)} bones ({', '.join(bones)}), each tried at "
        f"{doses} photons per pixel and view on the other bone{more} "
        f"({', '.join([*both, *others])})."
    )
    yield ""


def registered(folder: Path, runs: Runs) -> Iterator[str]:
    """Where it was registered, and what was done otherwise."""
    about = {one["what"]: one["is"] for one in tables.read(folder / "evidence" / "about.tsv")}
    if commit := about.get("registered"):
        same = "are those of that commit" if about.get("changed since") == "no" else "were changed after it"
        yield f"Registered in commit {commit[:12]}; `findings.py` and `registered.md` {same}."
        yield ""
    if (second := about.get("registered-2")) and any(cell in SECOND for cell in runs.cells):
        yield f"The second claim was registered in commit {second[:12]}, in registered-2.md."
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


def truths(folder: Path) -> Iterator[str]:
    """What the bones are."""
    if bones := tables.read(folder / "evidence" / "truths.tsv"):
        yield "The truths, in the cylinder that all views see:"
        yield ""
        for bone in bones:
            yield (
                f"- {bone['bone']}: BV/TV {float(bone['bvtv']):.3f}, Conn.D {float(bone['connd']):.2f} 1/mm³, Tb.Th "
                f"{float(bone['tbth']):.3f} mm, TMD {float(bone['tmd']):.0f} mgHA/cm³ above a threshold of "
                f"{float(bone['threshold']):.0f}, MTF 10 % {float(bone['mtf10']):.2f} 1/mm."
            )
        yield ""


def short(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """One point for each question."""
    for part in (claim, paper, topology, sizes, by_dose, sufficing, free, controls, floors, doses):
        yield from (f"- {sentence}" for sentence in part(runs, directions))
    yield ""


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence."""
    return "; ".join(parts) or "none"


def where(directions: Sequence[str]) -> str:
    """In which directions something was found: each by its name, or the range over many."""
    if len(directions) <= FEW:
        return f"in {' and in '.join(directions)}"
    return f"over {len(directions)} directions"


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
            texts = [finding_text(*one, runs, directions) for one in of if one[1] == word]
            if texts:
                yield f"{word[0].upper()}{word[1:]}: {listed(texts)}."


WORDS = ("reproduced", "not reproduced", "undecided")


def finding_text(
    finding: Finding, verdict: str, judged: Judgement | None, p: float, runs: Runs, directions: Sequence[str]
) -> str:
    """A finding with its numbers."""
    if judged is None:
        return f"{finding.text} (no such cells)"
    numbers = f"{said(judged, BY_NAME[finding.axis])}, d {judged.effect:+.2f}, p {p:.3g}"
    if verdict != "undecided":
        return f"{finding.text} ({numbers}{pairs(finding, runs, directions)})"
    if judged.half == inf:
        few = f"{judged.seeds} of the {LEAST_SEEDS} seeds that a judgement takes"
        return f"{finding.text} ({said(judged, BY_NAME[finding.axis])}; {few})"
    needed = seeds_needed(judged.effect, len(FINDINGS))
    return f"{finding.text} ({numbers}; {judged.seeds} seeds, {needed or 'over 1000'} needed)"


def pairs(finding: Finding, runs: Runs, directions: Sequence[str]) -> str:
    """The difference pair by pair, where a finding is a mean over pairs of cells."""
    both = list(zip(finding.having, finding.instead, strict=True))
    if len(both) < 2:
        return ""
    each = [(one, student(runs.gains(directions, (one,), (other,), finding.axis))) for one, other in both]
    return "; " + ", ".join(f"{one} {'-' if judged is None else judged.text}" for one, judged in each)


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
        words: dict[str, list[str]] = {"no worse": [], "worse": [], "undecided": []}
        for axis in AXES:
            words[no_worse(runs, directions, cell, "l1", axis)[0]].append(axis.label)
        kept = better and len(words["no worse"]) == len(AXES)
        yield (
            f"**The second claim** ({cell} has less error than L1 by Conn.D, and is no worse by any axis) here "
            f"**{'holds' if kept else 'does not hold'}**: Conn.D {said(judged, BY_NAME['connd'])} than L1, p {p:.3g} "
            f"(Holm over {len(cells)}; {by_direction(runs, directions, cell, BY_NAME['connd'])}); within the margin of "
            f"no worse on the mean: {', '.join(words['no worse']) or 'none'}; worse: "
            f"{', '.join(words['worse']) or 'none'}; undecided: {', '.join(words['undecided']) or 'none'}."
        )
    yield from isolated(runs, directions, cells)


def isolated(runs: Runs, directions: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    """What the terms of topology do by themselves, beside the same losses without them; registered nowhere."""
    if WITHOUT not in runs.cells:
        return
    axis, parts = BY_NAME["connd"], []
    for cell in cells:
        judged = student(runs.gains(directions, (cell,), (WITHOUT,), axis.name))
        each = by_direction(runs, directions, cell, axis, WITHOUT)
        parts.append(f"{cell} {'-' if judged is None else judged.text} ({each})")
    after = "a cell that was added after the results were seen"
    yield f"Less error by Conn.D than `{WITHOUT}`, in % ({after}): {listed(parts)}."


def by_direction(runs: Runs, directions: Sequence[str], cell: str, axis: Axis, rival: str = "l1") -> str:
    """A difference from L1, or another cell, in each direction."""
    each = [student(runs.gains([one], (cell,), (rival,), axis.name)) for one in directions]
    return ", ".join(
        f"{one}: {'no such cells' if judged is None else judged.text}"
        for one, judged in zip(directions, each, strict=True)
    )


def sizes(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """How large the errors of L1 are, and which number no loss keeps at any dose."""
    if "l1" not in runs.cells:
        return
    parts = []
    for axis in AXES:
        errors = [fmean(runs.over([one], "l1", axis.name)) for one in directions]
        few = len(directions) <= FEW
        each = " and ".join(f"{x:.1f}" for x in errors) if few else f"{min(errors):.1f} to {max(errors):.1f}"
        parts.append(f"{axis.label} {fmean(errors):.1f} {axis.unit} ({each})")
    yield f"**Errors of L1**, means over all doses ({where(directions)}): {listed(parts)}."
    losses = [cell for cell in runs.cells if is_loss(cell)]
    never = []
    for axis in AXES:
        if axis.bought:
            dearest = (shown_dose(bought(runs, directions, cell, axis.name), runs.doses[-1]) for cell in losses)
            if all(text.startswith(">") for text in dearest):
                never.append(axis.label)
    yield f"Within {LSC} % at no dose that was tried, by the median network of any loss: {listed(never)}."


def by_dose(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """At which doses the bone losses differ from L1."""
    each = [Runs(row for row in runs.rows if row.photons == dose) for dose in runs.doses]
    for cell in runs.cells:
        if cell not in (*findings.BONE, *SECOND):
            continue
        parts = []
        for axis in AXES:
            found = []
            for one in each:
                judged = student(one.gains(directions, (cell,), ("l1",), axis.name))
                if judged is not None:
                    found.append(f"{judged.mean:+.1f}{'' if abs(judged.mean) > judged.half else '°'}")
            parts.append(f"{axis.label} {', '.join(found)}")
        doses = ", ".join(f"{dose:g}" for dose in runs.doses)
        yield f"`{cell}` beside L1 at {doses} photons (+: less error; °: its 95 % hold 0): {listed(parts)}."


def free(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Losses and means that are no worse than L1 by any axis, and what they gain; no claim that was registered."""
    everywhere, on_the_mean = [], []
    for cell in runs.cells:
        judged = [no_worse(runs, directions, cell, "l1", axis) for axis in AXES]
        if cell == "l1" or not (is_loss(cell) or cell == MIXTURE) or any(word != "no worse" for word, _ in judged):
            continue
        gains = [
            f"{axis.label} {said(one, axis)}"
            for axis, (_, one) in zip(AXES, judged, strict=True)
            if one is not None and one.mean > one.half
        ]
        text = f"`{cell}` (better: {', '.join(gains) or 'nothing'}"
        lost = [
            f"{axis.label} ({by_direction(runs, directions, cell, axis)})"
            for axis in AXES
            if any(no_worse(runs, [one], cell, "l1", axis)[0] != "no worse" for one in directions)
        ]
        if lost:
            on_the_mean.append(f"{text}; not shown in each direction: {', '.join(lost)})")
        else:
            everywhere.append(f"{text})")
    after = "(looked for after the fact, and not adjusted for that)"
    yield (
        f"**No worse than L1 by all seven axes**, within their margins, in each direction {after}: "
        f"{listed(everywhere)}."
    )
    if on_the_mean:
        yield f"No worse than L1 by all seven axes only on the mean of the directions {after}: {listed(on_the_mean)}."


def controls(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Whether the controls fail."""
    for cell in CONTROLS:
        failed = [axis.label for axis in AXES if no_worse(runs, directions, cell, "l1", axis)[0] == "worse"]
        worse = ", ".join(failed) or "nothing, so that the criteria show nothing"
        yield f"The control `{cell}` is worse than L1 by: {worse}."
    passed = [
        axis.label
        for axis in AXES
        if all(no_worse(runs, directions, cell, "l1", axis)[0] != "worse" for cell in CONTROLS)
    ]
    if passed:
        yield f"Neither control is worse than L1 by: {', '.join(passed)}; there a verdict says little."


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
    """The lowest dose of L1, of the mean and of the raw scan, by the numbers that it is defined for."""
    axes = [axis for axis in AXES if axis.bought]
    for cell in ("l1", MIXTURE, "input"):
        if cell in runs.cells:
            parts = []
            for axis in axes:
                each = [[one] for one in directions] if len(directions) <= FEW else [directions]
                found = (shown_dose(bought(runs, some, cell, axis.name), runs.doses[-1]) for some in each)
                parts.append(f"{axis.label} {' and '.join(found)}")
            yield (
                f"Photons per pixel and view from which on `{cell}` stays within {LSC} % ({where(directions)}): "
                f"{listed(parts)}."
            )
