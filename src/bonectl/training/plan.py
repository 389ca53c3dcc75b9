"""What a training run will do: made once from a request and its stacks; a dry run prints it, a run begins with it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bonectl.core import kit, memory, progress, shipped, threads
from bonectl.core.cost import Cost
from bonectl.core.header import VOLUME, Header
from bonectl.core.spec import Spec
from bonectl.errors import UsageError
from bonectl.learning.agreement import agree
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.live import Live
from bonectl.learning.ranks import Ranks
from bonectl.learning.sample import Pairing, Volume
from bonectl.training.learner import Learner, Task
from bonectl.training.lessons import Lessons, Taught
from bonectl.training.objective import Objective
from bonectl.training.patches import Batches, Patches
from bonectl.training.recipe import Recipe
from bonectl.training.request import Request
from bonectl.training.rows import Rows, Scans
from bonectl.training.survey import check_distinct, digests, suspicions

# For how long steps are tried [s].
PATIENCE = 0.4


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    request : Request
    objective : Objective
    source : Pairing or Scans
        What is learned from.
    task : Task
        What is learned, with every default and the scale of the data.
    ranks : Ranks
        Where to compute, and with which other processes.
    lessons : Lessons, optional
        What teachers say of the inputs.
    """

    request: Request
    objective: Objective
    source: Pairing | Scans
    task: Task
    ranks: Ranks
    lessons: Lessons | None = None

    @classmethod
    def of(cls, request: Request, volumes: Sequence[Volume], ranks: Ranks, lessons: Lessons | None = None) -> "Plan":
        """Plan a run.

        Parameters
        ----------
        request : Request
        volumes : sequence of Volume
            Its inputs and its targets, open.
        ranks : Ranks
        lessons : Lessons, optional

        Raises
        ------
        UsageError
            The stacks do not fit together or the recipe.
        MissingInputError, PermissionDeniedError, DataError
            The checkpoint to begin with cannot be read.
        """
        recipe, inputs = request.recipe, volumes[: len(request.inputs)]
        objective = Objective(recipe.loss, recipe.steps, balanced=recipe.balance, seed=recipe.seed, ranks=ranks)
        source = _source(request.model, request.pairs, inputs, volumes[len(inputs) :])
        normalisation = _normalisation(source.headers, inputs, request)
        found = _surveyed(source, inputs, volumes[len(inputs) :])
        task = Task(
            recipe=recipe,
            model=request.model,
            pairs=request.pairs,
            normalisation=normalisation,
            headers=source.headers,
            stacks=tuple(Path(volume.name).name for volume in volumes),
            digests=found,
            start=None if request.start is None else Checkpoint.load(shipped.found(request.start)),
            world=ranks.world,
            taught={} if lessons is None else lessons.facts,
        )
        return cls(request=request, objective=objective, source=source, task=task, ranks=ranks, lessons=lessons)

    @property
    def tells_bone(self) -> bool:
        """Whether bone numbers can be read off the targets.

        Raises
        ------
        UsageError
            The recipe's patience needs them, and they cannot.
        """
        return _tells_bone(self.source, self.request.recipe)

    def begun(self) -> tuple[Learner, Batches]:
        """Return the state of the run before its first step, and where its batches come from."""
        learner = Learner(self.task, self.objective, self.ranks, compiled=self.request.compiled)
        return learner, _batches(self.source, learner, self.lessons)

    def facts(self) -> dict[str, object]:
        """Return what decides the result, as JSON values."""
        recipe, scale = self.request.recipe, self.task.normalisation
        facts = {
            "model": str(self.task.model),
            "loss": str(self.objective),
            "pairs": str(self.task.pairs),
            "stacks": list(self.task.stacks),
            "shapes": [list(header.shape) for header in self.task.headers],
            "unit": scale.unit,
            "offset": scale.offset,
            "scale": scale.scale,
            "steps": recipe.steps,
            "batch": recipe.batch * self.ranks.world,
            "seed": recipe.seed,
            "device": str(self.ranks.where),
        }
        facts |= self.task.taught
        start = self.task.start
        return facts if start is None else facts | {"init_from_sha256": start.digest}

    def cost(self) -> Cost:
        """Return about what memory and time the run takes, by some steps and a trial that are done and forgotten."""
        learner, batches = self.begun()
        examined = self.tells_bone  # which may refuse
        recipe, is_here = self.request.recipe, self.ranks.where.type == "cpu"

        def step() -> None:
            (batch,) = batches.from_step(learner.step, learner.step + 1)
            learner.advance(batch)

        step()  # whatever is compiled, or allocated once
        each = _seconds(step, PATIENCE, on_cpu=is_here)
        resident = memory.resident()
        with Live() as live:
            step()
        trial = _seconds(lambda: learner.estimates(batches.validation()), 0.0, on_cpu=is_here)
        trials = 1 + -(-recipe.steps // self.request.saving.every) + examined
        return Cost(
            memory_bytes=round(resident + (live.most if is_here else 0)),
            block=f"{recipe.batch} runs of {batches.run} slices",
            seconds=recipe.steps * each + trials * trial,
            threads=threads.count(),
            measured=True,
        )


def _seconds(work: Callable[[], object], patience: float, *, on_cpu: bool) -> float:
    """Seconds of some work: on a CPU those of its threads, which do not count what others on the machine take."""
    clock, shared = (time.process_time, threads.count()) if on_cpu else (time.perf_counter, 1)
    begun, tried = clock(), 0
    while not tried or clock() - begun < patience:
        work()
        tried += 1
    return (clock() - begun) / tried / shared


def _source(model: Spec, pairs: Spec, inputs: Sequence[Volume], targets: Sequence[Volume]) -> Pairing | Scans:
    """Pair what is learned from: volumes by a pairing, or scans for the method that learns from them.

    Raises
    ------
    UsageError
        They are no pairs.
    """
    if kit.fact("models", model.name, "LEARNS") != "scans":
        pairing: Pairing = kit.bind("pairings", pairs)(inputs, targets)
        return pairing
    if pairs.name != "supervised":
        raise UsageError(
            f"{model.name} learns from scans and the volumes they are scans of, not from {pairs}; leave out --pairs"
        )
    return Scans(inputs, targets)


def _surveyed(source: Pairing | Scans, inputs: Sequence[Volume], targets: Sequence[Volume]) -> tuple[str, ...]:
    """Read all stacks once, refuse what cannot be learned from, and say what looks wrong; returns their digests."""
    found = digests([*inputs, *targets])
    check_distinct(inputs, targets, found)
    if not isinstance(source, Scans) and len(inputs) == len(targets):
        for noisy, clean in zip(inputs, targets, strict=True):
            for suspicion in suspicions(noisy, clean):
                progress.note(f"warning: {suspicion}")
    return found


def _batches(source: Pairing | Scans, learner: Learner, lessons: Lessons | None) -> Batches:
    """Cut batches out of what is learned from.

    Raises
    ------
    UsageError
        The model sees its target.
    """
    normalisation, recipe, ranks = learner.task.normalisation, learner.recipe, learner.ranks
    if isinstance(source, Scans):
        return Rows(source, normalisation, recipe, ranks)
    assert isinstance(learner.network, Denoiser)  # whatever else there is to train learns from scans
    pairs, model = learner.task.pairs.name, learner.task.model.name
    if kit.fact("pairings", pairs, "BLIND") and not learner.network.reach.blind:
        raise UsageError(f"{model} would learn from {pairs} to copy its input, noise and all; give --model blind")
    taught = Taught(source, lessons) if lessons is not None and lessons.volumes else source
    return Patches(taught, normalisation, learner.network.reach, recipe, ranks, judged=source)


def _tells_bone(source: Pairing | Scans, recipe: Recipe) -> bool:
    """Return whether bone numbers can be read off the targets.

    Raises
    ------
    UsageError
        The recipe's patience needs them, and they cannot.
    """
    tells = source.clean and all(header.axes == VOLUME for header in source.headers)
    if recipe.patience and not tells:
        raise UsageError(
            f"--patience judges by bone numbers of clean volumes, and {recipe.pairs} has no such targets; leave it out"
        )
    return tells


def _normalisation(headers: Sequence[Header], inputs: Sequence[Volume], request: Request) -> Normalisation:
    """Return the one map that all stacks share.

    Raises
    ------
    UsageError
        They do not share one.
    """
    first, apart = headers[0], len(inputs) // len(headers)  # noise2inverse has a header for a group of inputs
    for number, header in enumerate(headers):
        agree(first, inputs[0].name, header, inputs[number * apart].name, of_any_voxels=request.of_any_voxels)
    if request.normalisation is not None:
        return Normalisation(first.unit, *request.normalisation)
    return Normalisation.of(first)
