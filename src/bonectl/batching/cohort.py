"""All scans side by side: how each stands, its numbers, and what is known of it from elsewhere."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any

from bonectl.batching import record
from bonectl.batching.discovery import Found
from bonectl.batching.lines import lines, places
from bonectl.batching.middle import Middle, middle
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.planning import Standing, standing
from bonectl.core.counted import counted
from bonectl.core.table import SCHEMA, Columns, csv_line, tsv_line
from bonectl.errors import DataError, MissingInputError

# Conditions that all scans of a cohort should share.
SHARED = ("unit", "voxel_z_mm", "voxel_y_mm", "voxel_x_mm", "threshold_rule", "calibration", "volume_of_interest")

# Columns that an axis may lie from those of the other scans in its folder before a line says so.
FAR = 2.0

FIRST = ("scan", "state", "status", "reason", "warnings")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A scan in the table.

    Parameters
    ----------
    standing : Standing
    numbers : mapping
        By the name of their column.
    conditions : mapping
    doubts : tuple of str
        What the steps noted, and which numbers should not be trusted, and why.
    known : mapping
        From the table of further facts.
    middle : Middle, optional
    """

    standing: Standing
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    middle: Middle | None = None

    @property
    def scan(self) -> str:
        """Its name."""
        return self.standing.scan


@dataclass(frozen=True)
class Cohort:
    """All scans of a batch.

    Parameters
    ----------
    members : tuple of Member
    known : tuple of str
        Columns of further facts.
    warnings : tuple of str
        What a person should look at before using the numbers.
    """

    members: tuple[Member, ...]
    known: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns of numbers, in the order in which they come."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.numbers))

    def heads(self) -> list[str]:
        """Names of all columns."""
        return [*FIRST, *self.known, *self.numbers]

    def cells(self, member: Member) -> list[str]:
        """The line of a scan; of one that is not done the numbers are empty, and the reason is not."""
        there = member.standing
        known = [member.known.get(name, "") for name in self.known]
        numbers = [shown(member.numbers.get(name)) for name in self.numbers]
        first = [there.scan, there.state, str(there.status or ""), there.message, "; ".join(member.doubts)]
        return [*first, *known, *numbers]

    def text(self, suffix: str) -> str:
        """The table as TSV or CSV."""
        line = csv_line if suffix == ".csv" else tsv_line
        rows = [self.heads(), *map(self.cells, self.members)]
        return "".join(line([" ".join(cell.split()) for cell in row]) + "\n" for row in rows)


def shown(value: float | None) -> str:
    """A number with nine digits, as `measure` prints them; empty where there is none."""
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.9g}"


def cohort(pipeline: Pipeline, found: Sequence[Found], *, pictures: bool) -> Cohort:
    """Gather what all scans left.

    Parameters
    ----------
    pipeline : Pipeline
    found : sequence of Found
    pictures : bool
        Whether middle slices are wanted.
    """
    known = columns(pipeline)
    states = {each.scan: each for each in standing(pipeline, found)}
    members = tuple(_member(pipeline, each, states[each.scan], known, pictures=pictures) for each in found)
    heads = tuple(dict.fromkeys(name for line in known.values() for name in line))
    return Cohort(members, heads, tuple(_warnings(members, known)))


def columns(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """The table of further facts, a line for each name: its first column has the names of scans.

    Raises
    ------
    MissingInputError, DataError
        When it is not there, or is no table.
    """
    if not pipeline.report.columns:
        return {}
    path = pipeline.base / pipeline.report.columns
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingInputError(f"{pipeline.report.columns}: is not there ([report] columns)") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{pipeline.report.columns}: is no table of text ([report] columns)") from error
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in ("\t", ";") if mark in first), ",")
    heads, *rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row] or [[]]
    if len(heads) < 2:
        raise DataError(f"{pipeline.report.columns}: has one column; names of scans and further ones are needed")
    if odd := next((row for row in rows if len(row) != len(heads)), None):
        many = counted(len(odd), "field")
        raise DataError(f"{pipeline.report.columns}: the line of {odd[0]!r} has {many}, the first line {len(heads)}")
    taken = {*FIRST}
    names = [f"{head}_given" if head in taken else head for head in heads]
    return {row[0].strip(): dict(zip(names[1:], map(str.strip, row[1:]), strict=True)) for row in rows}


def _member(
    pipeline: Pipeline, found: Found, state: Standing, known: Mapping[str, Mapping[str, str]], *, pictures: bool
) -> Member:
    name = PurePosixPath(found.scan).name
    more = known.get(found.scan, known.get(name, {}))
    if state.state != record.DONE:
        return Member(standing=state, known=more, doubts=state.warnings)
    there = places(pipeline, found.scan, found.path)
    made = lines(pipeline, there)
    told = _told([pipeline.base / line.keep for line in made if line.prints])
    conditions = {name: value for each in reversed(list(told.values())) for name, value in each["conditions"].items()}
    measured = dict.fromkeys(text for each in told.values() for text in each["warnings"])
    noted = [text for text in state.warnings if text.partition(": ")[2] not in measured]  # said once is enough
    doubts = (*noted, *measured)
    stacks = [pipeline.base / line.keep for line in made if not line.prints] or [pipeline.base / found.path]
    seen = middle(stacks[-1], pipeline.base / there.output) if pictures else None
    return Member(standing=state, numbers=_numbers(told), conditions=conditions, doubts=doubts, known=more, middle=seen)


def _told(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What measurements say that were kept as JSON, by their files' names."""
    there = {}
    for file in files:
        try:
            told = json.loads(file.read_text("utf-8")) if file.suffix.lower() == ".json" else None
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and told.get("schema") == SCHEMA:
            there[file.stem] = told
    return there


def _numbers(told: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """All numbers; two of one name are told apart by their files."""
    numbers: dict[str, float | None] = {}
    for stem, each in told.items():
        heads = Columns((), {row["name"]: row["unit"] for row in each["rows"]}).heads()[1:]
        for head, row in zip(heads, each["rows"], strict=True):
            numbers[head if head not in numbers else f"{stem}_{head}"] = row["value"]
    return numbers


def _warnings(members: Sequence[Member], known: Mapping[str, Any]) -> Iterable[str]:
    done = [member for member in members if member.conditions]
    for name in SHARED:
        values = [str(member.conditions.get(name)) for member in done]
        if len(set(values)) > 1:
            said = ", ".join(f"{value} ({counted(values.count(value), 'scan')})" for value in dict.fromkeys(values))
            yield f"{name} is not the same in all: {said}"
    yield from _far(members)
    if known:
        names = {name for member in members for name in (member.scan, PurePosixPath(member.scan).name)}
        if odd := [name for name in known if name not in names]:
            yield f"further facts of no scan here: {', '.join(odd)}"
        if lacking := [member.scan for member in members if not member.known]:
            yield f"no further facts of {', '.join(lacking)}"


def _far(members: Sequence[Member]) -> Iterable[str]:
    """Axes that were found far from those of the other scans of a folder."""
    folders: dict[str, list[tuple[str, float]]] = {}
    for member in members:
        if member.middle is not None and member.middle.facts.get("centre_from") == "auto":
            folder = str(PurePosixPath(member.scan).parent)
            folders.setdefault(folder, []).append((member.scan, float(member.middle.facts["centre"])))
    for there in folders.values():
        usual = median(column for _, column in there)
        for scan, column in there:
            if len(there) > 2 and abs(column - usual) > FAR:
                yield f"{scan}: its axis was found at column {column:g}, those of its folder at {usual:g}"
