"""The folder of all outputs: what stands beside the scans', and how a batch ends."""

import shutil
from collections.abc import Iterable

from bonectl.batching.discovery import HIDDEN
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.work import Outcome
from bonectl.core import atomic

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
        for left in place.glob(".bonectl-*.part*"):  # of a driver that was killed
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    except OSError as error:
        raise atomic.failure(pipeline.folder, error) from error
    with atomic.replacing(place / "pipeline.toml") as temporary:
        temporary.write_text(pipeline.text, "utf-8")


def status(outcomes: Iterable[Outcome]) -> int:
    """0 only when every scan is done, kept, or left out by name."""
    there = {outcome.status for outcome in outcomes}
    return next((one for one in ORDER if one in there), max(there, default=0))
