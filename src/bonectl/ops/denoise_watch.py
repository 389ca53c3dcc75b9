"""What comes to be denoised, beside what a network was trained on: a unit taken wrong, another dose, another filter.

Seen while the slices pass, and said at their end; nothing is changed by it. A network that was validated for a range of
noise refuses what lies outside, and soon: a long stack is not denoised in vain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from bonectl.core import progress
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.noise import Level

# Values that reach so many times as far as those of training, or as little, are of something else.
FAR = 10.0
# Noise may be so many times as strong as in training, or as weak.
APART = 2.0
# Slices that hold more than one value, after which a stack outside of a validated range is refused.
ENOUGH = 32


def outside(message: str, *, anyway: bool) -> None:
    """Refuse what a network was not validated for, or say so where it shall be denoised anyway.

    Parameters
    ----------
    message : str
        What lies outside of what; and what would help.
    anyway : bool

    Raises
    ------
    UsageError
        Unless `anyway`.
    """
    if not anyway:
        raise UsageError(f"{message}, or give --anyway")
    progress.note(f"warning: {message}")


def watched(stack: Stack, checkpoint: Checkpoint | None, normalisation: Normalisation, *, anyway: bool) -> Stack:
    """Return the same stack; where its values or their noise are far from those of training, that is noted at the end.

    Parameters
    ----------
    stack : Stack
    checkpoint : Checkpoint or None
        An older one does not tell what it was trained on, and a filter was not trained: nothing is said then.
    normalisation : Normalisation
        Of the stack.
    anyway : bool
        Whether noise outside of a validated range is noted; else it is refused, before the last slice passes.
    """
    told = None if checkpoint is None else checkpoint.training.get("level")
    if checkpoint is None or not told:
        return stack
    known = Level(**{part.name: told[part.name] for part in fields(Level)})
    judge = _Judge(known, checkpoint.validated.get("noise"), normalisation, anyway)

    def slabs() -> Iterator[Array]:
        seen: list[Level] = []
        count = stack.header.shape[0]
        for slab in stack.slabs:
            seen += [Level.of([normalisation.normalised(part.astype("f4"))]) for part in slab]
            if judge.refuses and (len(seen) == count or len(_telling(seen)) in range(ENOUGH, ENOUGH + len(slab))):
                judge(Level.over(_telling(seen) or seen))
            yield slab
        if seen and not judge.refuses:
            judge(Level.over(seen))

    return replace(stack, slabs=slabs())


def _telling(levels: list[Level]) -> list[Level]:
    """Those of slices that hold more than one value: what lies beyond the field of view has no noise."""
    return [level for level in levels if level.noise_most]


@dataclass(frozen=True)
class _Judge:
    """Says what is far from training, or refuses what lies outside of a validated range [unit]."""

    known: Level
    validated: Sequence[float] | None
    normalisation: Normalisation
    anyway: bool

    @property
    def refuses(self) -> bool:
        return self.validated is not None and not self.anyway

    def __call__(self, here: Level) -> None:
        scale, unit, known = self.normalisation.scale, self.normalisation.unit, self.known
        if here.most and known.most and not 1 / FAR <= here.most / known.most <= FAR:
            self._say(
                f"values reach {here.most * scale:.3g} {unit} beside {self.normalisation.offset:g}, in training "
                f"{known.most * scale:.3g}; are they in {unit}?"
            )
            return
        trained = (known.noise_least * scale / APART, known.noise_most * scale * APART)
        least, most = trained if self.validated is None else self.validated
        if not least <= here.noise_median * scale <= most:
            what, ends = ("trained at", (known.noise_least * scale, known.noise_most * scale))
            if self.validated is not None:
                what, ends = "validated for", (least, most)
            words = [f"{noise:.3g}" for noise in ends]
            then = words[0] if words[0] == words[1] else " to ".join(words)
            self._say(
                f"the noise has a deviation of about {here.noise_median * scale:.3g} {unit}, the model was {what} "
                f"{then}; train at this dose for trustworthy numbers"
            )

    def _say(self, message: str) -> None:
        if self.validated is None:
            progress.note(f"warning: {message}")
        else:
            outside(message, anyway=self.anyway)
