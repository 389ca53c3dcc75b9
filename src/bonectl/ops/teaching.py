"""Ask teachers what they make of the stacks that a network is trained on.

They are asked once, before the first step, slab by slab as `bonectl denoise` would: so each sees all of its context,
a step costs no more than without them, and their answers, a temporary file without a name for each stack, are read as
targets are.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from bonectl.core import progress
from bonectl.core.cost import Cost
from bonectl.core.header import Header
from bonectl.core.slabs import recut
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.learning.agreement import same_scale
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.sample import Volume
from bonectl.ops import denoise_cost
from bonectl.ops.denoise import Model, denoise, normalisation_for
from bonectl.ops.denoise_plan import model
from bonectl.ops.samples import mean, spoken
from bonectl.training.lessons import Lessons
from bonectl.training.plan import Plan
from bonectl.training.request import Request
from bonectl.training.volumes import kept


def teachers(request: Request) -> tuple[Model, ...]:
    """Load the teachers of a run: checkpoints by path or name, filters by spec.

    Raises
    ------
    UsageError, MissingInputError, PermissionDeniedError, DataError
        There is none, or it cannot be read.
    """
    return tuple(map(model, request.teachers))


def lessons(request: Request, models: Sequence[Model]) -> Lessons | None:
    """Return who teaches a run; None where nobody does."""
    if not models:
        return None
    digests = tuple("" if one.checkpoint is None else one.checkpoint.digest for one in models)
    return Lessons(teachers=tuple(one.name for one in models), digests=digests, share=request.teacher_share)


def check(plan: Plan, models: Sequence[Model]) -> None:
    """Refuse teachers that see other units, or the same bone at other values than the network will.

    Raises
    ------
    UsageError
        Naming the teacher.
    """
    for one in models:
        for header in plan.task.headers:
            try:
                scale = normalisation_for(header, one)
            except UsageError as error:
                raise UsageError(f"teacher {one.name}: {error}") from error
            _check_scale(one, scale, plan.task.normalisation)


def _check_scale(one: Model, scale: Normalisation, wanted: Normalisation) -> None:
    if one.checkpoint is not None and not same_scale(scale, wanted):
        raise UsageError(
            f"teacher {one.name} was trained on {spoken(scale)}, this run is on {spoken(wanted)}; give teachers that "
            "were trained on the same scale"
        )


@contextmanager
def taught(plan: Plan, models: Sequence[Model], inputs: Sequence[Volume]) -> Iterator[Plan]:
    """Return the plan with what the teachers say, as long as it is read.

    Raises
    ------
    WriteError
        The temporary folder is full.
    MemoryShortageError
        Even small tiles do not fit into memory.
    """
    if plan.lessons is None:
        yield plan
        return
    with ExitStack() as files:
        said = [files.enter_context(kept(_mean(volume, models, plan), volume.name)) for volume in inputs]
        yield replace(plan, lessons=replace(plan.lessons, volumes=tuple(said)))


def _mean(volume: Volume, models: Sequence[Model], plan: Plan) -> Stack:
    """The mean of what all of them say of one stack."""
    where = str(plan.ranks.where)

    def slabs() -> Iterator[np.ndarray]:
        with progress.about(volume.name):
            answers = [recut(denoise(_read(volume), one, device_name=where).slabs, 1) for one in models]
            for parts in zip(*answers, strict=True):
                yield mean(np.stack(parts))

    return Stack(volume.header.replace(dtype="<f4"), slabs())


def _read(volume: Volume) -> Stack:
    """A volume from its first slice to its last."""
    header: Header = volume.header.replace(dtype="<f4")
    return Stack(header, (volume.slices(slice(number, number + 1)) for number in range(header.shape[0])))


def cost(plan: Plan, models: Sequence[Model]) -> Cost:
    """Return what the run takes, the teachers' work and their answers on disk with it."""
    known = plan.cost()
    if not models:
        return known
    name, headers = str(plan.ranks.where), plan.task.headers
    each = [denoise_cost.cost(one, models, len(models), device_name=name, tile=512) for one in headers]
    seconds = [one.seconds for one in (known, *each)]
    scratch = sum(header.replace(dtype="<f4").total_bytes for header in headers)
    return replace(known, seconds=sum(filter(None, seconds)), scratch_bytes=scratch)
