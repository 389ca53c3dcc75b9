"""The command lines of one scan: steps in pipes, cut where an output is kept."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bonectl.batching.catalogue import Value
from bonectl.batching.pipeline import NAME, OUTPUT, SCAN, Pipeline, Step

FROM_SCAN = -1


@dataclass(frozen=True, kw_only=True)
class Line:
    """Commands joined by pipes, of which the last one's output is kept: what is run, or kept, as one.

    Parameters
    ----------
    commands : tuple
        Words of each, without ``bonectl``.
    keep : Path
        Where its output goes, from the folder of the pipeline file.
    prints : bool
        Whether that is what the last command prints; else it writes the file itself.
    beside : tuple of Path
        Other files that its options have it write into the scan's folder.
    reads : tuple of Path
        Files that its options name; some may not be there.
    source : int
        Which earlier line's output it reads; `FROM_SCAN` for the scan.
    first : int
        Number of its first step.
    device : str
        Where it computes.
    asks : tuple of str
        Words that ask its first command what it would take; empty where it cannot tell.
    """

    commands: tuple[tuple[str, ...], ...]
    keep: Path
    prints: bool
    beside: tuple[Path, ...]
    reads: tuple[Path, ...]
    source: int
    first: int
    device: str
    asks: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file, or pattern of files, that it writes."""
        return (self.keep, *self.beside)

    @property
    def replaces(self) -> bool:
        """Whether it may write over files that are there."""
        return "--force" in self.commands[-1]

    @property
    def shown(self) -> str:
        """As it would be typed, but for where its text goes."""
        return " | ".join(shlex.join(["bonectl", *words]) for words in self.commands)


@dataclass(frozen=True)
class Places:
    """Where a scan is and where its outputs go, as a command line run in the pipeline's folder names them.

    Parameters
    ----------
    scan : str
        Its path below its root, without suffix.
    source : Path
    output : Path
    """

    scan: str
    source: Path
    output: Path

    @property
    def name(self) -> str:
        """The last part of `scan`."""
        return PurePosixPath(self.scan).name

    def put(self, text: str) -> str:
        """A text of the pipeline file with this scan's words in their places."""
        for place, word in ((SCAN, self.scan), (NAME, self.name), (OUTPUT, str(self.output))):
            text = text.replace(place, word)
        return text


def places(pipeline: Pipeline, scan: str, source: Path) -> Places:
    """Where a scan's outputs go."""
    name = PurePosixPath(scan).name
    return Places(scan, source, Path(pipeline.output.replace(SCAN, scan).replace(NAME, name)))


def lines(pipeline: Pipeline, there: Places) -> tuple[Line, ...]:
    """All lines of a scan, in their order; the words of each are what a person would type in the pipeline's folder."""
    made: list[Line] = []
    flows = FROM_SCAN
    waiting: list[Step] = []
    for step in pipeline.steps_of(there.scan):
        waiting.append(step)
        if step.keep:
            made.append(_line(waiting, there, flows, there.source if flows == FROM_SCAN else made[flows].keep))
            flows = flows if step.ends else len(made) - 1
            waiting = []
    return tuple(made)


def _line(steps: list[Step], there: Places, source: int, read: Path) -> Line:
    commands = [_words(step, there) for step in steps]
    commands[0].insert(1, _argument(read))
    asks = (*commands[0], "--dry-run", "--json") if steps[0].command.estimates else ()
    last, keep = steps[-1], there.output / steps[-1].keep
    if last.writes:
        commands[-1] += ["-o", _argument(keep)]
    else:
        commands[-1] += last.command.prints[keep.suffix.lower()]
    named = [(value, there.put(value)) for value in _texts(steps)]
    return Line(
        commands=tuple(map(tuple, commands)),
        keep=keep,
        prints=not last.writes,
        beside=tuple(Path(put) for said, put in named if said.startswith(OUTPUT)),
        reads=tuple(Path(put) for said, put in named if not said.startswith(OUTPUT)),
        source=source,
        first=steps[0].number,
        device=next((str(step.options["device"]) for step in steps if "device" in step.options), "cpu"),
        asks=asks,
    )


def _words(step: Step, there: Places) -> list[str]:
    words = [step.command.name]
    for name in sorted(step.options):
        words += step.command.options[name].words(_put(step.options[name], there))
    return words


def _put(value: Value, there: Places) -> Value:
    if isinstance(value, tuple):
        return tuple(there.put(one) if isinstance(one, str) else one for one in value)
    return there.put(value) if isinstance(value, str) else value


def _texts(steps: list[Step]) -> Iterator[str]:
    for step in steps:
        for value in step.options.values():
            yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str))


def _argument(path: Path) -> str:
    """A path as a word that no command takes for an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text
