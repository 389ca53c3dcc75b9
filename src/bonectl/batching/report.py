"""What is told of all scans together, written beside their outputs."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from bonectl.batching import store
from bonectl.batching.cohort import cohort
from bonectl.batching.discovery import Found
from bonectl.batching.pipeline import Pipeline
from bonectl.core import atomic, progress


def write(pipeline: Pipeline, found: Sequence[Found]) -> None:
    """The table and the page that the pipeline asks for, of all scans, whoever ran them.

    Raises
    ------
    BonectlError
        When they cannot be written, or the table of further facts cannot be read.
    """
    asked = pipeline.report
    if not (asked.table or asked.sheet):
        return
    seen = cohort(pipeline, found, pictures=bool(asked.sheet))
    for warning in seen.warnings:
        progress.note(warning)
    texts = {}
    if asked.table:
        texts[asked.table] = seen.text(PurePosixPath(asked.table).suffix.lower())
    if asked.sheet:
        from bonectl.batching.overview import page

        texts[asked.sheet] = page(seen, pipeline.path.stem, asked.window)
    with store.alone(pipeline):
        for name, text in texts.items():
            with atomic.replacing(pipeline.base / pipeline.folder / name) as temporary:
                temporary.write_text(text, "utf-8")
