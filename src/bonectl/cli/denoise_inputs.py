"""The stacks that `bonectl denoise` takes one after another, and where what it makes of each goes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bonectl.cli import boundary
from bonectl.cli.measure_inputs import NAME, naming, own
from bonectl.cli.options import DASH, STREAM, Request
from bonectl.core import progress
from bonectl.errors import UsageError


def requests(request: Request, sources: Sequence[Path]) -> list[Request]:
    """A request for each stack, with an output of its own: by its name, or in a folder that is there.

    Raises
    ------
    UsageError
        Several stacks would go to one place, or standard input is given twice.
    """
    if len(sources) == 1 and NAME not in str(request.output):
        return [replace(request, source=sources[0])]
    if sources.count(DASH) > 1:
        raise UsageError("standard input is given twice; it can be read once")
    if len(sources) > 1 and request.as_json:
        raise UsageError("--dry-run --json is of one stack; ask for one at a time")
    output = request.output
    if NAME not in str(output) and output != DASH and output.is_dir():
        output = output / f"{NAME}.{request.format or STREAM}"
    return [replace(request, source=path, output=_own(output, path, len(sources))) for path in sources]


def beside(path: Path | None, source: Path, count: int) -> Path | None:
    """The place of one more thing that is made of a stack."""
    return None if path is None else _own(path, source, count)


def one_by_one(asked: Iterable[Request], work: Callable[[Request], None]) -> int:
    """Do the work of each stack; one that fails is told, and the others go on. The first failure's status, else 0."""
    statuses = []
    for request in asked:
        try:
            with progress.about(str(request.source)):
                work(request)
        except Exception as error:
            statuses.append(boundary.told(f"bonectl {request.command}", naming(request.source, error)))
    return statuses[0] if statuses else 0


def _own(path: Path, source: Path, count: int) -> Path:
    if count > 1 and NAME not in str(path):
        raise UsageError(
            f"{path}: is one place for what is made of {count} stacks; give a name with {NAME} in it, such as "
            f"out/{NAME}.npy, or for -o a folder that is there"
        )
    return own(path, source)
