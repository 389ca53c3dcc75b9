"""How a model is trained, as one value."""

from dataclasses import dataclass
from math import cos, inf, pi

from bonectl.errors import UsageError

# How the learning rate of the critics changes.
CRITICS = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides which weights come out, besides the data.

    Parameters
    ----------
    model, loss, pairs : str
        Specs: a part of ``models``, a weighted sum of ``losses``, a part of ``pairings``.
    steps : int
        Length of the run; the schedules refer to it.
    batch, run, patch : int
        Runs per step, consecutive slices per run, side of a patch [pixels].
    rate : float
        Highest learning rate of AdamW (Loshchilov and Hutter 2019): a linear warm-up over the first 5 % of the
        run (at most 500 steps), then a cosine down to 1 % of it.
    decay : float
        Weight decay, of weights and not of biases.
    clip : float
        Largest norm of the gradient.
    average : float
        Decay per step of the exponential moving average of the weights, which is what is saved; smaller in the
        beginning: (1 + step) / (10 + step).
    held_out : float
        Fraction of the slices of every stack, its last ones, that is never trained on.
    balance : bool
        Whether the numbers in ``loss`` are the terms' shares of the gradient at the network's output, and not weights
        (``bonectl.training.objective.Balance``).
    critics : str
        Learning rate of the losses that learn: ``constant``, or ``cosine`` for warm-up and decline as ``rate``.
    patience : int
        End after so many checkpoints without a better composite of bone numbers on the held-out part
        (``bonectl.training.validation``), and keep the best checkpoint instead of the last; 0 never does.
    seed : int
        Of the initial weights and of every draw.

    Raises
    ------
    UsageError
        A number out of its range.
    """

    model: str = "unet25d"
    loss: str = "l1"
    pairs: str = "supervised"
    steps: int = 2000
    batch: int = 4
    run: int = 4
    patch: int = 64
    rate: float = 3e-3
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.999
    held_out: float = 0.125
    balance: bool = False
    critics: str = "constant"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "run", "patch", "rate", "clip"):
            if not 0 < getattr(self, name) < inf:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be positive")
        for name in ("decay", "average", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        if self.critics not in CRITICS:
            raise UsageError(f"critics learn at a rate that is {' or '.join(CRITICS)}, not {self.critics!r}")
        if not 0 <= self.seed < 2**64:  # what torch takes
            raise UsageError("the seed must be at least 0 and below 2^64")
        if self.patience < 0:
            raise UsageError(f"patience is {self.patience}; it must be at least 0")

    def pace(self, step: int) -> float:
        """Learning rate at a step, from 0, as a fraction of the highest."""
        warm = max(1, min(500, self.steps // 20))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return 0.01 + 0.99 * 0.5 * (1 + cos(pi * done))

    def learning_rate(self, step: int) -> float:
        """Rate of the network at a step."""
        return self.rate * self.pace(step)

    def critic_pace(self, step: int) -> float:
        """Learning rate of the critics at a step, as a fraction of what their terms say."""
        return self.pace(step) if self.critics == "cosine" else 1.0

    def average_decay(self, step: int) -> float:
        """Decay of the moving average at a step, from 0."""
        return min(self.average, (1 + step) / (10 + step))
