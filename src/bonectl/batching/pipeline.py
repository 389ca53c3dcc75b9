"""A pipeline file: which scans, which steps, what differs for some scans, and what is reported.

TOML, read into one frozen value. Every name in it is checked against the commands before anything runs.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from bonectl.batching.catalogue import Catalogue, Command, Value
from bonectl.core import kit
from bonectl.errors import DataError, MissingInputError, PermissionDeniedError, UsageError

Options = Mapping[str, Value]

SCAN, NAME, OUTPUT = "{scan}", "{name}", "{output}"
"""Places in a pipeline file for a scan's path below its root, its name, and the folder of its output."""

_TOP = ("scans", "output", "defaults", "step", "scan", "report")
_REPORT = ("table", "sheet", "columns", "window")
_EVERYTHING = "**"

# Keys at the top that are no tables, and those of a step that are no options.
_VALUES, _OWN = ("scans", "output"), ("run", "keep")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the pipeline, without input and output.

    Parameters
    ----------
    number : int
        From 1.
    command : Command
    options : mapping
    keep : str
        Name of its output in the scan's folder; empty where it only flows on.
    """

    number: int
    command: Command
    options: Options = field(default_factory=dict)
    keep: str = ""

    @property
    def writes(self) -> bool:
        """Whether it writes a stack; else text."""
        return self.command.writes or self.command.stack_by in self.options

    @property
    def ends(self) -> bool:
        """Whether nothing flows on after it: its text, or its map, is no input of the next step."""
        return not self.command.writes


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is told of all scans together; paths are below the folder of the outputs, but for `columns`.

    Parameters
    ----------
    table, sheet : str
        A line for each scan, and a page; empty for none.
    columns : str
        A table of further facts of each scan, joined by its name; empty for none.
    window : tuple, optional
        Values that are black and white in the page.
    """

    table: str = ""
    sheet: str = ""
    columns: str = ""
    window: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline file that was found right.

    Parameters
    ----------
    path : Path
        Of the file.
    text : str
        All of it.
    scans : tuple of str
        Patterns of scans: from the file's folder, or below the roots of the command line.
    output : str
        Where a scan's output goes, with `SCAN` or `NAME` in it.
    steps : tuple of Step
    overrides : tuple
        Name or pattern of scans, and what differs for them; the last that fits wins.
    report : Report
    """

    path: Path
    text: str
    scans: tuple[str, ...]
    output: str
    steps: tuple[Step, ...]
    overrides: tuple[tuple[str, Mapping[str, Any]], ...]
    report: Report

    @property
    def base(self) -> Path:
        """The folder that all paths in the file start from, and that the steps run in."""
        return self.path.parent

    @property
    def folder(self) -> Path:
        """The folder of all outputs: where the part of `output` that differs from scan to scan begins."""
        parts = PurePosixPath(self.output).parts
        fixed = next((i for i, part in enumerate(parts) if "{" in part), len(parts))
        return Path(*parts[:fixed]) if fixed else Path()

    def skipped(self, scan: str) -> str:
        """Why a scan is left out; empty where it is not."""
        said = self._of(scan).get("skip", False)
        return "" if said is False else "by its name" if said is True else str(said)

    def steps_of(self, scan: str) -> tuple[Step, ...]:
        """The steps with what differs for a scan."""
        steps = self.steps
        for name, value in self._of(scan).items():
            if name != "skip":
                steps = _overridden(steps, name, value, f'{self.path.name}: [scan."{scan}"]')
        return steps

    def idle(self, scans: Iterable[str]) -> list[str]:
        """Patterns under [scan] that fit none of some scans, each with the nearest name: a slip of the hand."""
        there = list(scans)
        patterns = [pattern for pattern, _ in self.overrides if not any(fits(scan, pattern) for scan in there)]
        names = [PurePosixPath(scan).name for scan in there]
        return [f'[scan."{pattern}"] fits no scan{kit.suggestion(pattern, names)}' for pattern in patterns]

    def _of(self, scan: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for pattern, options in self.overrides:
            if fits(scan, pattern):
                found |= options
        return found


def fits(scan: str, pattern: str) -> bool:
    """Whether a scan, or its name alone, is meant by a name or a pattern."""
    return any(fnmatchcase(each, pattern) or each == pattern for each in (scan, PurePosixPath(scan).name))


def load(path: Path, catalogue: Catalogue, output: str | None = None) -> Pipeline:
    """Read a pipeline file and check everything that it names.

    Parameters
    ----------
    path : Path
    catalogue : mapping
        The commands that can be steps.
    output : str, optional
        A folder that stands instead of the fixed part of `output` in the file.

    Raises
    ------
    MissingInputError, PermissionDeniedError, DataError
        When it is not there, may not be read, or is no TOML.
    UsageError
        When a name, an option or a value in it is wrong; the message names the nearest.
    """
    text = _text(path)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: is no TOML: {error}") from error
    where = path.name
    _known(told, _TOP, where)
    steps = _steps(told.get("step"), catalogue, where)
    steps = _with_defaults(steps, _table(told, "defaults", where), where)
    overrides = tuple(
        (pattern, _inner(options, pattern, where)) for pattern, options in _table(told, "scan", where).items()
    )
    pipeline = Pipeline(
        path=path,
        text=text,
        scans=_patterns(told.get("scans", _EVERYTHING), where),
        output=_output(told.get("output", f"processed/{SCAN}"), output, where),
        steps=steps,
        overrides=overrides,
        report=_report(_table(told, "report", where), where),
    )
    for pattern, options in overrides:
        for name, value in options.items():
            if name != "skip":
                _overridden(steps, name, value, f'{where}: [scan."{pattern}"]')
    return pipeline


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")  # editors on Windows begin a file with a mark
    except PermissionError as error:
        raise PermissionDeniedError(f"{path}: may not be read") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(f"{path}: is not there; bonectl batch --init ROOT writes one") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise DataError(f"{path}: is no TOML; bonectl batch --init ROOT writes a pipeline file") from error


def _known(told: Iterable[str], names: tuple[str, ...], where: str) -> None:
    for name in told:
        if name not in names:
            raise UsageError(f"{where}: no key {name!r}{kit.suggestion(name, names)}; there are {', '.join(names)}")


def _table(told: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    there = told.get(name, {})
    if not isinstance(there, dict):
        near = kit.suggestion(name, _VALUES)
        raise UsageError(f"{where}: {name} = {there!r}{near or f'; {name} is a table, write [{name}]'}")
    return there


def _inner(options: object, pattern: str, where: str) -> Mapping[str, Any]:
    if not isinstance(options, dict):
        raise UsageError(f'{where}: {pattern!r} under [scan] is no table; write [scan."{pattern}"]')
    return {name: value if name == "skip" else _value(value, f"{where}: {name}") for name, value in options.items()}


def _patterns(told: object, where: str) -> tuple[str, ...]:
    several = told if isinstance(told, list) else [told]
    if not several or not all(isinstance(one, str) and one for one in several):
        raise UsageError(f'{where}: scans = {told!r}; give a pattern such as "raw/**", or a list of them')
    return tuple(several)


def _output(told: object, instead: str | None, where: str) -> str:
    if isinstance(told, str):
        _check_places(told, where)
    if not isinstance(told, str) or not any(place in told for place in (SCAN, NAME)):
        raise UsageError(f'{where}: output = {told!r}; give a folder for each scan, such as "processed/{SCAN}"')
    if instead is None:
        return told
    parts = PurePosixPath(told).parts
    varying = next(i for i, part in enumerate(parts) if "{" in part)
    return str(PurePosixPath(instead, *parts[varying:]))


def _check_places(told: str, where: str) -> None:
    for place in re.findall(r"\{[^{}]*\}", told):
        if place not in (SCAN, NAME):
            near = kit.suggestion(place[1:-1], ("scan", "name"))
            raise UsageError(f"{where}: output = {told!r}: no {place}{near}; there are {SCAN} and {NAME}")


def _value(told: object, where: str) -> Value:
    if isinstance(told, list) and told and all(isinstance(one, bool | int | float | str) for one in told):
        return tuple(told)
    if isinstance(told, bool | int | float | str):
        return told
    raise UsageError(f"{where} = {told!r}; give a number, a text, true or false, or a list of them")


# ---- steps ----


def _steps(told: object, catalogue: Catalogue, where: str) -> tuple[Step, ...]:
    if not isinstance(told, list) or not told:
        raise UsageError(f'{where}: has no step; write [[step]] and under it run = "measure"')
    steps = tuple(_step(number, one, catalogue, f"{where}: step {number}") for number, one in enumerate(told, 1))
    _check_flow(steps, where)
    return steps


def _step(number: int, told: object, catalogue: Catalogue, where: str) -> Step:
    if not isinstance(told, dict) or not isinstance(name := told.get("run"), str):
        raise UsageError(f'{where} does not say what it runs; write run = "reconstruct"')
    if name not in catalogue:
        raise UsageError(
            f"{where}: no step {name!r}{kit.suggestion(name, catalogue)}; there are {', '.join(catalogue)}"
        )
    command = catalogue[name]
    options = {key: _value(value, f"{where}: {key}") for key, value in told.items() if key not in _OWN}
    for key, value in options.items():
        command.option(key, where, _OWN).check(value, f"{where}: {key}")
    keep = told.get("keep", "")
    if not isinstance(keep, str) or PurePosixPath(keep).is_absolute() or ".." in PurePosixPath(keep).parts:
        raise UsageError(f'{where}: keep = {keep!r}; give a name below the scan\'s folder, such as "volume.tif"')
    step = Step(number=number, command=command, options=options, keep=keep)
    suffix = PurePosixPath(keep).suffix.lower()
    if keep and not step.writes and suffix not in command.prints:
        endings = " or ".join(command.prints)
        raise UsageError(f"{where}: keep = {keep!r}; {name} prints text, so give a name that ends in {endings}")
    return step


def _check_flow(steps: tuple[Step, ...], where: str) -> None:
    """Refuse steps whose output goes nowhere, and steps without input."""
    lost, together = False, 0
    for step in steps:
        called = f"step {step.number} ({step.command.name})"
        if lost:
            raise UsageError(
                f"{where}: {called} follows one that passes nothing on; "
                'add keep = "volume.tif" to the last step that makes a stack'
            )
        if (step.ends or step is steps[-1]) and not step.keep:
            example = "volume.tif" if step.writes else "numbers.json"
            raise UsageError(f'{where}: {called} keeps nothing; add keep = "{example}"')
        together += 1
        if step.keep:
            lost, together = step.ends and together > 1, 0
    kept = [step.keep for step in steps if step.keep]
    if twice := next((name for name in kept if kept.count(name) > 1), None):
        raise UsageError(f"{where}: two steps keep {twice!r}; give them different names")


def _with_defaults(steps: tuple[Step, ...], defaults: Mapping[str, Any], where: str) -> tuple[Step, ...]:
    """Each step with the defaults that are options of it and that it does not state itself."""
    given: list[dict[str, Value]] = [{} for _ in steps]
    for name, told in defaults.items():
        value = _value(told, f"{where}: [defaults] {name}")
        takers = [step for step in steps if name in step.command.options]
        if not takers:
            there = sorted({option for step in steps for option in step.command.options})
            raise UsageError(f"{where}: [defaults] {name!r}{kit.suggestion(name, there)} is an option of no step")
        if takers[0].command.options[name].is_input:
            takers = [step for step in takers if step.number == 1]
        for step in takers:
            step.command.options[name].check(value, f"{where}: [defaults] {name}")
            given[step.number - 1][name] = value
    return tuple(_changed(step, given[step.number - 1] | dict(step.options)) for step in steps)


def _changed(step: Step, options: Options) -> Step:
    return Step(number=step.number, command=step.command, options=options, keep=step.keep)


def _overridden(steps: tuple[Step, ...], name: str, value: Value, where: str) -> tuple[Step, ...]:
    """The steps with one option changed: ``option``, ``step.option``, or ``2.option`` for the second step."""
    asked, _, option = name.rpartition(".")
    if asked:
        takers = [step for step in steps if asked in (step.command.name, str(step.number))]
        if not takers:
            there = [step.command.name for step in steps]
            raise UsageError(f"{where}: no step {asked!r}{kit.suggestion(asked, there)}; steps: {', '.join(there)}")
        takers[0].command.option(option, where)
    else:
        takers = [step for step in steps if option in step.options] or _first_or_all(steps, option)
        if not takers:
            there = ["skip", *sorted({each for step in steps for each in step.command.options})]
            raise UsageError(f"{where}: {option!r} is an option of no step{kit.suggestion(option, there)}")
    if len(takers) > 1:
        named = f'"{takers[0].number}.{option}"'
        said = " and ".join(f"{step.number} ({step.command.name})" for step in takers)
        raise UsageError(f"{where}: {option} is an option of the steps {said}; say of which, as {named}")
    step = takers[0]
    step.command.options[option].check(value, f"{where} {name}")
    changed = _changed(step, {**step.options, option: value})
    return tuple(changed if each is step else each for each in steps)


def _first_or_all(steps: tuple[Step, ...], option: str) -> list[Step]:
    """The steps that know an option; what says how the scan is read is the first step's."""
    takers = [step for step in steps if option in step.command.options]
    return takers[:1] if takers and takers[0].command.options[option].is_input else takers


# ---- report ----


def _report(told: Mapping[str, Any], where: str) -> Report:
    _known(told, _REPORT, f"{where}: [report]")
    for name in ("table", "sheet", "columns"):
        if not isinstance(told.get(name, ""), str):
            raise UsageError(f"{where}: [report] {name} = {told[name]!r}; give a file name")
    for name, endings in (("table", (".tsv", ".csv")), ("sheet", (".html",))):
        if (file := told.get(name)) and PurePosixPath(file).suffix.lower() not in endings:
            raise UsageError(f"{where}: [report] {name} = {file!r}; its name ends in {' or '.join(endings)}")
    words = {name: told[name] for name in ("table", "sheet", "columns") if name in told}
    return Report(**words, window=_window(told.get("window"), where))


def _window(told: object, where: str) -> tuple[float, float] | None:
    if told is None:
        return None
    try:
        low, high = (float(end) for end in str(told).split(":"))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise UsageError(f'{where}: [report] window = {told!r}; give "LOW:HIGH", such as "-400:1600"')
    return low, high
