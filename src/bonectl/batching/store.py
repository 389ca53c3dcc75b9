"""The folder of all outputs: what stands beside the scans', and how a batch ends."""

import contextlib
import time
from collections.abc import Iterable, Iterator

from bonectl.batching import claims, record
from bonectl.batching.discovery import HIDDEN
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.work import Outcome
from bonectl.core import atomic

# How long another batch may write what stands beside the scans' outputs [s].
PATIENCE = 10.0

# Exit statuses of scans; the first of these that any of them has is that of the batch.
ORDER = (1, 75, 74, 73, 77, 65, 66, 69, 2)


def begin(pipeline: Pipeline) -> None:
    """Make the folder, and put the pipeline there as it is used.

    Raises
    ------
    BonectlError
        When it cannot be written to.
    """
    place = pipeline.base / pipeline.folder / HIDDEN
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.failure(pipeline.folder, error) from error
    with alone(pipeline), atomic.replacing(place / "pipeline.toml") as temporary:
        temporary.write_text(pipeline.text, "utf-8")


@contextlib.contextmanager
def alone(pipeline: Pipeline) -> Iterator[None]:
    """Write what stands beside the scans' outputs while no other batch on the folder does, and tidy up before.

    Raises
    ------
    BonectlError
        When the folder cannot be written to.
    """
    folder = pipeline.base / pipeline.folder
    until = time.monotonic() + PATIENCE
    while (held := claims.claim(folder / HIDDEN / "claims", "")) is None and time.monotonic() < until:
        time.sleep(0.05)
    try:
        if held is not None:  # else another one hangs: what is written appears whole all the same
            record.tidy(folder)
        yield
    finally:
        if held is not None:
            held.release()


def status(outcomes: Iterable[Outcome]) -> int:
    """0 only when every scan is done, kept, or left out by name."""
    there = {outcome.status for outcome in outcomes}
    return next((one for one in ORDER if one in there), max(there, default=0))
