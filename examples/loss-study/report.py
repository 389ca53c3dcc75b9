"""The verdicts of a study as Markdown, from its rows alone: what `study.py --check` derives again."""

from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean

from findings import (
    AXES,
    BETTER,
    BY_NAME,
    CONTROLS,
    FINDINGS,
    FLOORS,
    LSC,
    MIXTURE,
    THRICE,
    Judgement,
    Runs,
    best,
    bought,
    holm,
    no_worse,
    seeds_needed,
    shown_dose,
    student,
    verdicts,
)


def verdict(runs: Runs) -> str:
    """All of it: the two directions between the bones that are trained on, then any other bone."""
    both = between(runs)
    others = [one for one in runs.directions if one not in both]
    lines = [
        "# Verdicts",
        "",
        "Derived from runs.tsv by `study.py --check`; the rules are in findings.py and registered.md.",
        "",
    ]
    lines += [
        "## Both directions between the bones that are trained on: " + ", ".join(both),
        "",
        *chapter(runs, both),
    ]
    if others:
        lines += ["## A bone that is never trained on: " + ", ".join(others), "", *chapter(runs, others)]
    return "\n".join(lines)


def between(runs: Runs) -> list[str]:
    """Directions from one to the other of the bones that are trained on."""
    trained = {one.split(" > ")[0] for one in runs.directions}
    return [one for one in runs.directions if one.split(" > ")[1] in trained]


def chapter(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Everything that is said of some directions together."""
    yield from doses(runs, directions)
    yield from errors(runs, directions)
    yield from found(runs, directions)
    yield from beside_l1(runs, directions)
    yield from sufficing(runs, directions)
    yield from claim(runs, directions)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, and an empty line."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def doses(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The lowest dose at which a number can be trusted."""
    axes = [axis for axis in AXES if axis.bought]
    yield f"### Photons per pixel and view from which on the error stays within {LSC} %"
    yield ""
    yield "Median over networks (range); an error is the mean of the sizes over the scans of a dose."
    yield ""
    highest = runs.doses[-1]
    rows = [
        [cell, *(shown_dose(bought(runs, directions, cell, axis.name), highest) for axis in axes)]
        for cell in runs.cells
    ]
    yield from table(["cell", *(axis.label for axis in axes)], rows)


def errors(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Means over doses, scans, directions and seeds."""
    yield "### Mean error over all doses, ± 95 % over seeds"
    yield ""
    rows = []
    for cell in runs.cells:
        values = [student(runs.over(directions, cell, axis.name)) for axis in AXES]
        count = max((one.seeds for one in values if one), default=0)
        rows.append([cell, str(count), *("" if one is None else unsigned(one) for one in values)])
    yield from table(["cell", "seeds", *(f"{axis.label} [{axis.unit}]" for axis in AXES)], rows)


def unsigned(judged: Judgement) -> str:
    """A mean error."""
    return f"{judged.mean:.2f} ± {judged.half:.2f}" if judged.half < inf else f"{judged.mean:.2f}"


def found(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The findings, Holm over all of them."""
    yield f"### Findings of the paper, and claims of ours (Holm over {len(FINDINGS)})"
    yield ""
    rows = []
    for finding, said, judged, p in verdicts(runs, directions):
        numbers = ["no such cells", "", "", ""]
        if judged is not None:
            needed = seeds_needed(judged.effect, len(FINDINGS)) if said == "undecided" else judged.seeds
            power = f"{judged.seeds}, {needed or 'over 1000'} needed" if said == "undecided" else str(judged.seeds)
            each = " / ".join(
                f"{fmean(v):+.2f}"
                for d in directions
                if (v := runs.gains([d], finding.having, finding.instead, finding.axis))
            )
            numbers = [f"{judged.text} ({each})", f"{p:.3g}", f"{judged.effect:+.2f}", power]
        text = finding.text if finding.paper else f"(ours) {finding.text}"
        rows.append([text, BY_NAME[finding.axis].label, f"**{said}**", *numbers])
    yield from table(["finding", "by", "verdict", "less error (by direction)", "p (Holm)", "d", "seeds"], rows)


def beside_l1(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """What each cell does better or worse than L1, and whether the controls fail."""
    yield "### Less error than L1 (no worse: the interval lies above minus the margin)"
    yield ""
    rows = []
    for cell in runs.cells:
        if cell == "l1":
            continue
        said = [no_worse(runs, directions, cell, "l1", axis) for axis in AXES]
        rows.append([cell, *("" if one is None else f"{word}: {one.text}" for word, one in said)])
    yield from table(["cell", *(f"{axis.label} (margin {axis.margin:g})" for axis in AXES)], rows)
    for cell in CONTROLS:
        failed = [axis.label for axis in AXES if no_worse(runs, directions, cell, "l1", axis)[0] == "worse"]
        yield f"The control `{cell}` is worse than L1 by: {', '.join(failed) or 'nothing: the criteria show nothing'}."
        yield ""
    rows = []
    for axis in AXES:
        if floor := best_floor(runs, directions, axis.name):
            word, one = no_worse(runs, directions, floor, "l1", axis)
            rows.append([axis.label, floor, "" if one is None else f"{word}: {one.text}"])
    yield from table(["axis", "best floor (its knob knows the dose)", "less error than L1"], rows)


def best_floor(runs: Runs, directions: Sequence[str], axis: str) -> str:
    """The floor that errs least on the mean; empty where there is none."""
    known = {cell: runs.over(directions, cell, axis) for cell in FLOORS if cell in runs.cells}
    known = {cell: values for cell, values in known.items() if values}
    return min(sorted(known), key=lambda cell: fmean(known[cell]), default="")


def sufficing(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """Whether L1 suffices."""
    yield "### Is plain L1 no worse than the best loss?"
    yield ""
    rows = []
    for axis in AXES:
        rival = best(runs, directions, axis.name)
        word, judged = no_worse(runs, directions, "l1", rival, axis) if rival not in ("", "l1") else ("no worse", None)
        rows.append([axis.label, rival, f"**{word}**", "" if judged is None else judged.text])
    yield from table(["axis", "best loss (chosen after the fact)", "L1 is", "less error"], rows)


def claim(runs: Runs, directions: Sequence[str]) -> Iterator[str]:
    """The registered claim: better than L1 on topology and density, no worse than the best loss on each axis."""
    better = " and ".join(BY_NAME[one].label for one in BETTER)
    yield f"### The claim: {MIXTURE} is better than L1 by {better}, and no worse than the best loss by any axis"
    yield ""
    gains = [student(runs.gains(directions, (MIXTURE,), ("l1",), axis)) for axis in BETTER]
    adjusted = holm([1.0 if one is None else one.p for one in gains])
    rows, held = [], []
    for axis, judged, p in zip(BETTER, gains, adjusted, strict=True):
        word = "undecided"
        if judged is not None and p < 0.05:
            word = "better" if judged.mean > 0 else "worse"
        held.append(word == "better")
        rows.append([BY_NAME[axis].label, "better than l1", f"**{word}**", *told(judged), f"{p:.3g}"])
    for axis_ in AXES:
        rival = best(runs, directions, axis_.name)
        word, judged = no_worse(runs, directions, MIXTURE, rival, axis_)
        held.append(word == "no worse")
        rows.append([axis_.label, f"no worse than {rival}, margin {axis_.margin:g}", f"**{word}**", *told(judged), ""])
    yield from table(["axis", "asked", "verdict", "less error", "seeds", "p (Holm)"], rows)
    yield f"**The claim {'holds' if all(held) else 'does not hold'}** ({sum(held)} of {len(held)} parts)."
    yield ""
    rows = []
    for axis_ in AXES:
        judged = student(runs.gains(directions, (MIXTURE,), (THRICE,), axis_.name))
        rows.append([axis_.label, *told(judged)])
    yield f"Beside {THRICE}, which is a mean of three too (its seeds overlap: told, not judged):"
    yield ""
    yield from table(["axis", "less error", "seeds"], rows)


def told(judged: Judgement | None) -> tuple[str, str]:
    """A difference, and of how many seeds."""
    return ("", "0") if judged is None else (judged.text, str(judged.seeds))
