"""A study as a document: headings, sentences, tables and pictures, all from `runs.tsv` and the files beside it.

`page.py` turns it into HTML and `pages.py` into PDF, so both say the same; no number is written anywhere but in
`findings.py`, `report.py`, `summary.py` and the pictures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import figures
import findings
import leaderboard
import plates
import report
import summary
import tables
from findings import FINDINGS, LSC, MIXTURE, Runs, is_loss
from matplotlib.figure import FigureBase

Draw = Callable[[FigureBase, float], None]


@dataclass(frozen=True)
class Heading:
    """A heading of some level, 1 the highest."""

    text: str
    level: int


@dataclass(frozen=True)
class Words:
    """A paragraph, or a point of a list; **bold** and `code` as in Markdown."""

    text: str
    point: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Picture:
    """A picture that is drawn into a canvas of a size [mm], its name, and what it shows."""

    name: str
    draw: Draw
    height: float
    caption: str


Block = Heading | Words | Table | Picture


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of Markdown as `report.py` writes it: headings, tables, points, and lines that are paragraphs."""
    table: Table | None = None
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if table is None:
                table = Table(cells, [])
            elif set(line) - set("|-"):
                table.rows.append(cells)
            continue
        if table is not None:
            yield table
            table = None
        if line.startswith("#"):
            yield Heading(line.lstrip("# "), len(line) - len(line.lstrip("#")))
        elif line.startswith("- "):
            yield Words(line[2:], point=True)
        elif line:
            yield Words(line)


def document(folder: Path) -> list[Block]:
    """Everything that is said of the study in a folder."""
    runs = findings.read(folder / "runs.tsv")
    lines = tables.read(folder / "runs.tsv")
    both = report.between(runs)
    others = [one for one in runs.directions if one not in both]
    found = [Heading("Which bone numbers does each training loss keep, and from which dose on?", 1)]
    found += blocks(summary.summary(folder))
    found += [Heading("Best first", 2), Words(leaderboard.EXPLAINED), leaderboard_table(folder)]
    found += group(runs, lines, both, "between the bones that are trained on")
    if others:
        found += group(runs, lines, others, "on a bone that is never trained on")
    found += evidence_blocks(folder)
    found += [Heading("All tables", 2)]
    found += [deeper(block) for block in blocks(report.verdict(runs))][1:]
    return number(found)


def deeper(block: Block) -> Block:
    """A heading, a level further down."""
    return Heading(block.text, block.level + 1) if isinstance(block, Heading) else block


def number(found: Sequence[Block]) -> list[Block]:
    """Number the pictures."""
    count, numbered = 0, []
    for block in found:
        if isinstance(block, Picture):
            count += 1
            block = Picture(block.name, block.draw, block.height, f"**Figure {count}.** {block.caption}")
        numbered.append(block)
    return numbered


def leaderboard_table(folder: Path) -> Table:
    """The leaderboard, its numbers as they are read."""
    head, *lines = leaderboard.shown(folder)
    return Table(head, lines)


def replicates(runs: Runs, lines: Sequence[Mapping[str, str]], directions: Sequence[str]) -> str:
    """What the numbers of a picture are means over."""
    losses = [cell for cell in runs.cells if is_loss(cell)]
    counts = sorted({len(runs.seeds(cell)) for cell in losses})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "no"
    scans = sorted({line["scans"] for line in lines if line["direction"] in directions})
    draws = f"{scans[0]}" if len(scans) == 1 else f"{scans[0]} to {scans[-1]}"
    ways = f"{len(directions)} direction{'s' if len(directions) > 1 else ''} ({', '.join(directions)})"
    return (
        f"n = {seeds} seeds of every network, {ways}, {draws} noise realisation{'s' if draws != '1' else ''} of a scan."
    )


def group(runs: Runs, lines: Sequence[Mapping[str, str]], directions: Sequence[str], where: str) -> Iterator[Block]:
    """The pictures of some directions."""
    n = replicates(runs, lines, directions)
    label = "third" if "never" in where else "both"
    yield Heading(f"Pictures {where}", 2)
    height = 206.0
    mean = "the mean of the networks of three losses, " if MIXTURE in runs.cells else ""
    blue = "Blue band: 95 % by Student's t over seeds of the mean of three losses, dose by dose and not adjusted. "
    yield Picture(
        f"dose-{label}",
        lambda canvas, h: figures.dose(canvas, runs, directions, h),
        height,
        f"Error against dose {where}, a panel for each axis, in its unit; both axes are logarithmic, and all panels "
        "show the same range of errors. An error is the mean of the sizes |measured - true| over scans, seeds and "
        "directions; percent is of the truth's own value, FSC of the Nyquist frequency, and an error of more than "
        f"100 % counts as 100. Green: within {LSC} %, the least significant change. Named are L1, "
        f"{mean}the raw scan, the control with a Gaussian of 2 voxels, and of each axis the "
        f"floor and the loss with the least mean error, both chosen after the fact. {n}",
    )
    yield Picture(
        f"difference-{label}",
        lambda canvas, h: figures.differences(canvas, runs, directions, h),
        height,
        f"What the figure before hides: less error than L1 at every dose {where}, in the unit of each axis. **These "
        "axes magnify**: each shows 1.5, 3 or 5 margins on either side of L1, as many as the named losses need, "
        "and lines leave it where they are further off (their last value stands in brackets). Grey band: the "
        "margin within which a cell counts as no worse. "
        f"{blue if mean else ''}{n}",
    )
    yield Picture(
        f"findings-{label}",
        lambda canvas, h: figures.tested(canvas, runs, directions, h),
        172.0,
        f"The {len(FINDINGS)} registered findings {where}: paired difference of the errors, seed by seed, with its "
        "95 % interval by Student's t over seeds, drawn in units of the axis's margin (grey band: within it) and "
        "written in the unit of the axis. Right of 0: as the finding says. Filled: p below 0.05 after Holm over "
        "all of them; open: not. Blue: reproduced; vermilion: not reproduced; grey: undecided, with the seeds that "
        f"a power of 0.8 would take at this effect and Holm's strictest level. {n}",
    )
    cells = len(runs.cells)
    yield Picture(
        f"cells-{label}",
        lambda canvas, h: figures.forest(canvas, runs, directions, h),
        32 + 5.2 * cells,
        f"Less error than L1 of every cell {where}: mean over doses, paired by seed, with 95 % intervals by "
        "Student's t over seeds; filled where the interval leaves out 0. **Not adjusted for their number**, and "
        "told beside the registered findings. Each axis shows 1.5, 3 or 5 margins on either side, as many as "
        f"losses need; an arrow with a number lies outside. Grey band: the margin of “no worse”. {n}",
    )
    yield Picture(
        f"bought-{label}",
        lambda canvas, h: figures.doses_bought(canvas, runs, directions, h),
        34 + 5.2 * cells,
        f"The lowest dose from which on a number stays within {LSC} % {where}, on straight lines over the logarithm "
        "of the dose: a dot for every network and direction, a bar at their median; a dot at the left edge holds "
        f"at the lowest dose that was tried, and one under “never” errs more at the highest. Told, not tested. {n}",
    )


def evidence_blocks(folder: Path) -> Iterator[Block]:
    """What is shown from the small files beside `runs.tsv`, and what is not there."""
    yield Heading("One scan, and how training went", 2)
    missing = []
    for name, make in plates.PICTURES.items():
        made = make(folder)
        if made is None:
            missing.append(name)
        else:
            yield Picture(name, *made)
    if missing:
        yield Words(
            f"Left out, because the folder holds no evidence for it: {', '.join(missing)}. `study.py --check` on "
            "the output folder of a run gathers it."
        )
