"""Angles of views on the circle: their order, their gaps, and which views lie beside an angle."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

# A ray between two views is read off them only when they are not further apart than this many usual steps.
WIDEST_STEP = 2.5
# An angle this near to a view's is that view's, whatever lies beyond it [usual step].
SAME_VIEW = 0.1
# Between views that are further apart than this, nothing is read off them [degree].
SPARSE = 20.0

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ring:
    """Angles of views on the circle.

    Parameters
    ----------
    turn : (views,) array
        Angles modulo 360, rising [degree].
    order : (views,) array
        Numbers of the views in that order.
    """

    turn: Values
    order: NDArray[np.int64]

    @classmethod
    def of(cls, degrees: Values) -> Self:
        """The ring of the angles of a scan, in the order of its views [degree]."""
        turn = np.mod(degrees, 360.0)
        order = np.argsort(turn, kind="stable")
        return cls(turn[order], order)

    @property
    def steps(self) -> Values:
        """From each angle to the next."""
        return np.diff(self.turn, append=self.turn[0] + 360.0)

    @property
    def first(self) -> int:
        """The view after the widest gap."""
        return (int(self.steps.argmax()) + 1) % len(self.turn)

    @property
    def usual(self) -> float:
        """The step within which most of the arc lies: however many angles were measured twice, with jitter."""
        steps = np.sort(self.steps)[:-1]  # without the widest, which may be what was not measured
        if not steps.sum() > 0:
            return 360.0
        return float(steps[np.searchsorted(np.cumsum(steps), steps.sum() / 2)])

    @property
    def widest(self) -> float:
        """The widest step between whose views a ray is read off them."""
        return min(WIDEST_STEP * self.usual, SPARSE)

    def place(self, turn: Values) -> tuple[NDArray[np.int64], Values, NDArray[np.bool_]]:
        """The view before each angle, what share of the step it is to the next, and whether a view is near."""
        steps = self.steps
        turn = np.mod(turn, 360.0)
        before = (np.searchsorted(self.turn, turn, side="right") - 1) % len(self.turn)
        step = steps[before]
        distance = np.mod(turn - self.turn[before], 360.0)
        near = SAME_VIEW * min(self.usual, SPARSE)
        same, next_ = distance <= near, step - distance <= near
        narrow = step <= self.widest
        share = np.where(step > 1e-9, distance / np.maximum(step, 1e-9), 0.0)
        share = np.where(narrow, share, np.where(next_, 1.0, 0.0))
        return before, share, narrow | same | next_
