"""When training goes on in vain."""

from dataclasses import dataclass
from math import inf


@dataclass
class Patience:
    """Remembers the best trial, and how many came after it.

    Parameters
    ----------
    trials : int
        How many trials without a better composite are enough; 0 never ends a run, and asks for no best one.
    best : float
        Smallest composite so far (``bonectl.training.validation``).
    step : int
        Steps done when it was measured; 0 before the first trial.
    waited : int
        Trials since.
    """

    trials: int
    best: float = inf
    step: int = 0
    waited: int = 0

    @property
    def over(self) -> bool:
        """Whether that was enough."""
        return 0 < self.trials <= self.waited

    @property
    def keeps_newest(self) -> bool:
        """Whether a network that was not tried is to be kept: without patience, or when there is no other."""
        return not (self.trials and self.step)

    def hear(self, composite: float, step: int) -> bool:
        """Take a trial; returns whether it is to be kept: the best one, or, without patience, the newest."""
        if composite < self.best or not self.step:
            self.best, self.step, self.waited = composite, step, 0
            return True
        self.waited += 1
        return not self.trials

    @property
    def state(self) -> list[float]:
        """What changes, as plain numbers."""
        return [self.best, self.step, self.waited]

    def restore(self, state: list[float]) -> None:
        """Go back to a state."""
        best, step, waited = state
        self.best, self.step, self.waited = float(best), int(step), int(waited)
