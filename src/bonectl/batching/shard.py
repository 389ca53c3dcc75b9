"""Which scans one of several machines takes: parts of about as many bytes, the same from whichever one looks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bonectl.batching.discovery import Found
from bonectl.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count`."""

    index: int
    count: int

    def of(self, found: Sequence[Found], sizes: Mapping[str, int]) -> list[Found]:
        """Its scans: the largest first, each to the part that has the least so far."""
        loads = [0] * self.count
        mine: set[str] = set()
        for each in sorted(found, key=lambda one: (-sizes[one.scan], one.scan)):
            part = loads.index(min(loads))
            loads[part] += max(1, sizes[each.scan])
            if part == self.index - 1:
                mine.add(each.scan)
        return [each for each in found if each.scan in mine]


def parse(text: str) -> Shard:
    """``2/6``, or ``auto`` (``auto/6`` where the scheduler does not say how many) from its variables.

    Raises
    ------
    UsageError
        When it is neither, or nothing is told there.
    """
    first, _, rest = text.partition("/")
    try:
        count = int(rest) if rest else None
        index, count = _told(count) if first == "auto" else (int(first), count)
    except ValueError:
        index, count = 0, None
    if count is None or not 1 <= index <= count:
        raise UsageError(f"--shard {text!r}; give I/N such as 2/6, or auto in a job of Slurm, PBS, SGE or LSF")
    return Shard(index, count)


def _told(count: int | None) -> tuple[int, int | None]:
    """Index from 1 and count, as the scheduler of this job tells them."""
    slurm, sge = (
        (_told_by("SLURM_ARRAY_TASK_ID"), _told_by("SLURM_ARRAY_TASK_MIN"), _told_by("SLURM_ARRAY_TASK_MAX")),
        (_told_by("SGE_TASK_ID"), _told_by("SGE_TASK_FIRST"), _told_by("SGE_TASK_LAST")),
    )
    arrays = (
        (*slurm, _told_by("SLURM_ARRAY_TASK_STEP")),
        (*sge, _told_by("SGE_TASK_STEPSIZE")),
        (_told_by("LSB_JOBINDEX") or None, 1, _told_by("LSB_JOBINDEX_END"), _told_by("LSB_JOBINDEX_STEP")),
        (_told_by("PBS_ARRAY_INDEX"), 1, None, None),
        (_told_by("PBS_ARRAYID"), 1, None, None),
    )
    for task, low, high, step in arrays:
        if task is not None:
            step, low = step or 1, 1 if low is None else low
            return (task - low) // step + 1, count or (None if high is None else (high - low) // step + 1)
    rank, ranks = _told_by("SLURM_PROCID"), _told_by("SLURM_NTASKS")
    if rank is not None and ranks is not None:
        return rank + 1, count or ranks
    raise UsageError("--shard auto: no variable of a job array of Slurm, PBS, SGE or LSF is set; give --shard I/N")


def _told_by(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else None


SLURM = """\
#!/bin/bash
# Each task takes some scans; they are shared out by size. To see how it goes: {line} --status
#SBATCH -J bonectl
#SBATCH -a 1-{count}
#SBATCH -c 8
#SBATCH -t 12:00:00
#SBATCH -o bonectl-%A_%a.log{card}
# and as the site has it, the memory of a task
{line} -j 1 --shard auto
"""


def script(line: str, count: int, *, card: bool) -> str:
    """A job for Slurm, for its site to edit."""
    return SLURM.format(line=line, count=count, card="\n#SBATCH -G 1" if card else "")
