"""What comes to be denoised, beside what a network was trained on: a unit taken wrong, another dose, another filter.

Seen while the slices pass, and said at their end; nothing is changed by it.
"""

from collections.abc import Iterator
from dataclasses import replace

from bonectl.core import progress
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.noise import Level

# Values that reach so many times as far as those of training, or as little, are of something else.
FAR = 10.0
# Noise may be so many times as strong as in training, or as weak.
APART = 2.0


def watched(stack: Stack, checkpoint: Checkpoint | None, normalisation: Normalisation) -> Stack:
    """Return the same stack; where its values or their noise are far from those of training, that is noted at the end.

    Parameters
    ----------
    stack : Stack
    checkpoint : Checkpoint or None
        An older one does not tell what it was trained on, and a filter was not trained: nothing is said then.
    normalisation : Normalisation
        Of the stack.
    """
    told = None if checkpoint is None else checkpoint.training.get("level")
    if not told:
        return stack
    known = Level(**told)

    def slabs() -> Iterator[Array]:
        seen = []
        for slab in stack.slabs:
            seen += [Level.of([normalisation.normalised(part.astype("f4"))]) for part in slab]
            yield slab
        if seen:
            _compare(Level.over(seen), known, normalisation)

    return replace(stack, slabs=slabs())


def _compare(here: Level, known: Level, normalisation: Normalisation) -> None:
    scale, unit = normalisation.scale, normalisation.unit
    if here.most and known.most and not 1 / FAR <= here.most / known.most <= FAR:
        progress.note(
            f"warning: values reach {here.most * scale:.3g} {unit} beside {normalisation.offset:g}, in training "
            f"{known.most * scale:.3g}; are they in {unit}?"
        )
    elif not known.noise_least / APART <= here.noise_median <= known.noise_most * APART:
        least, most = (f"{noise * scale:.3g}" for noise in (known.noise_least, known.noise_most))
        then = least if least == most else f"{least} to {most}"
        progress.note(
            f"warning: the noise has a deviation of about {here.noise_median * scale:.3g} {unit}, the model was "
            f"trained at {then}; train at this dose for trustworthy numbers"
        )
