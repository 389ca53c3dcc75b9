"""Room for a batch: disk, processors and GPUs."""

import os
import re
import shutil
from pathlib import Path

from bonectl.batching.pipeline import Pipeline
from bonectl.batching.stages import Room
from bonectl.core import threads
from bonectl.core.memory import spoken
from bonectl.errors import OutputError

# Processors for one scan, where nobody said how many scans run at a time.
EACH = 8


def free(pipeline: Pipeline) -> int:
    """Bytes that are free where the outputs go."""
    place = (pipeline.base / pipeline.folder).absolute()
    return shutil.disk_usage(next(parent for parent in (place, *place.parents) if parent.is_dir())).free


def check_disk(pipeline: Pipeline, needed: int) -> None:
    """Refuse outputs that the disk has no room for.

    Raises
    ------
    OutputError
        With both numbers.
    """
    if needed > (there := free(pipeline)):
        raise OutputError(f"{pipeline.folder}: {spoken(needed)} of disk are needed, {spoken(there)} are free")


def rooms(pipeline: Pipeline, slots: int, small: int = 0) -> list[Room]:
    """What each slot may use: its share of the processors, and a GPU where a step wants one and there are some.

    Parameters
    ----------
    pipeline : Pipeline
    slots : int
        0 chooses: one for each GPU, else one for some processors.
    small : int
        How many small jobs there are; 0 where they are not small.
    """
    every = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    every = every[: threads.count()] or list(range(threads.count()))
    there = cards() if wants_card(pipeline) else []
    slots = slots or len(there) or max(1, min(small, len(every)) if small else len(every) // EACH)
    made = []
    for slot in range(slots):
        own = every[slot * len(every) // slots : (slot + 1) * len(every) // slots] or [every[slot % len(every)]]
        made.append(Room(tuple(own) if slots > 1 else (), there[slot % len(there)] if there else ""))
    return made


def wants_card(pipeline: Pipeline) -> bool:
    """Whether a step asks for a GPU: by its number it is left alone."""
    asked = [step.options.get("device", step.command.device) for step in pipeline.steps]
    return any(device in ("cuda", "auto") for device in asked)


def cards() -> list[str]:
    """The GPUs that may be used."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [card.strip() for card in told.split(",") if card.strip()]
    found = [re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*")]
    return sorted((match[1] for match in found if match), key=int)
