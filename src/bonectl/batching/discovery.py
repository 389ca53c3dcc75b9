"""Scans below some folders, found by what they hold: at any depth, and nothing inside of a scan."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bonectl.batching.pipeline import Pipeline
from bonectl.core.counted import counted
from bonectl.errors import MissingInputError, UsageError

Claim = Callable[[Path], str | None]
"""Tells what kind of scan a file or folder is; None where it is none."""

HIDDEN = ".bonectl"


@dataclass(frozen=True)
class Found:
    """A scan that was found.

    Parameters
    ----------
    scan : str
        Its path below its root, without suffix: what it is called everywhere.
    path : Path
        As a command line that runs in the pipeline's folder names it.
    kind : str
    """

    scan: str
    path: Path
    kind: str


def discover(pipeline: Pipeline, roots: Sequence[Path], claim: Claim) -> list[Found]:
    """All scans, by name.

    Parameters
    ----------
    pipeline : Pipeline
    roots : sequence of Path
        Folders to search instead of those that its patterns begin with, from the pipeline's folder.
    claim : callable

    Raises
    ------
    MissingInputError
        When a root is not there, or nothing is found.
    UsageError
        When two scans have one name.
    """
    outputs = (pipeline.base / pipeline.folder).resolve()
    found: dict[str, Found] = {}
    for root, pattern in _searches(pipeline, roots):
        for new in below(pipeline.base, root, pattern, claim, outputs):
            old = found.setdefault(new.scan, new)
            if old.path != new.path:
                raise UsageError(
                    f"two scans are called {new.scan!r}: {old.path} and {new.path}; rename one, narrow scans, or give "
                    "a ROOT above both"
                )
    if not found:
        said = ", ".join(f"{root / pattern}" for root, pattern in _searches(pipeline, roots))
        raise MissingInputError(f"no scan found as {said}; see scans in {pipeline.path.name}")
    return [found[scan] for scan in sorted(found, key=_natural)]


def below(base: Path, root: Path, pattern: str, claim: Claim, apart: Path | None = None) -> list[Found]:
    """Scans below one folder, in the order of their names.

    Parameters
    ----------
    base : Path
        Where paths are named from.
    root : Path
    pattern : str
    claim : callable
    apart : Path, optional
        A folder that is not searched.

    Raises
    ------
    MissingInputError
        When the root is no folder.
    """
    if not (base / root).is_dir():
        raise MissingInputError(f"{root}: is no folder; give the one that holds the scans")
    found = []
    for inner, kind in _below(base / root, re.compile(translated(pattern)), claim, apart):
        scan = inner if (base / root / inner).is_dir() else _without_suffix(inner)
        found.append(Found(scan, root / inner, kind))
    return sorted(found, key=lambda each: _natural(each.scan))


def _without_suffix(name: str) -> str:
    """A name without its last suffix, or the longer one of a format, as in bone.nii.gz."""
    from bonectl import io

    ends = [suffix for suffix in io.suffixes(io.readers()) if name.lower().endswith(suffix)]
    return name[: -len(max(ends, key=len))] if ends else str(PurePosixPath(name).with_suffix(""))


def _searches(pipeline: Pipeline, roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Folders with the patterns that hold below them."""
    for pattern in pipeline.scans:
        parts = PurePosixPath(pattern).parts
        fixed = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts) - 1)
        start, varying = Path(*parts[:fixed]), "/".join(parts[fixed:])
        for root in roots or [start]:
            yield root, varying


def translated(pattern: str) -> str:
    """A pattern as a regular expression: ``**`` is any number of folders, and all below where it ends the pattern.

    A suffix after a wildcard fits in upper and lower case, as suffixes do everywhere.
    """
    out, end = "", ""
    if suffix := re.search(r"(?<=\*)\.\w+\Z", pattern):
        pattern, end = pattern[: suffix.start()], f"(?i:{re.escape(suffix[0])})"
    for part in re.split(r"(\*\*/|\*\*$|\*|\?|\[[^\]]+\])", pattern):
        match part:
            case "**/":
                out += "(?:.*/)?"
            case "**":
                out += ".*"
            case "*":
                out += "[^/]*"
            case "?":
                out += "[^/]"
            case _ if part.startswith("[") and part.endswith("]"):
                out += f"[{'^' if part[1] == '!' else ''}{part[1:-1].removeprefix('!')}]"
            case _:
                out += re.escape(part)
    return rf"{out}{end}\Z"


def _below(root: Path, fits: re.Pattern[str], claim: Claim, apart: Path | None) -> Iterator[tuple[str, str]]:
    """Path below the root and kind of each scan; links to folders are followed, once each."""
    seen = {root.resolve()}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name in sorted(_names(root / folder), key=_natural, reverse=True):
            inner = f"{folder}/{name}" if folder else name
            path = root / inner
            kind = claim(path) if fits.match(inner) else None
            if kind is not None:
                yield inner, kind
            elif path.is_dir() and (real := path.resolve()) not in seen and real != apart:
                seen.add(real)
                waiting.append(inner)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # may not be looked into: no scan of ours
        return []


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts scan2 before scan10."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part != ""
    ]


def summary(found: Sequence[Found]) -> str:
    """How many of which kind, such as "3 scans (2 dxchange, 1 npy)"."""
    kinds = sorted({each.kind for each in found})
    said = ", ".join(f"{sum(each.kind == kind for each in found)} {kind}" for kind in kinds)
    return f"{counted(len(found), 'scan')} ({said})"
