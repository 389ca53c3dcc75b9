"""The volume of interest: a mask, or what finds it in the values or in the bone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bonectl.core import kit
from bonectl.core.lengths import Spacing
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.measuring.values import Mask, collected, finite


@dataclass(frozen=True)
class Region:
    """The volume of interest: a mask, or what finds it in the values or in the bone; else the whole stack."""

    name: str
    mask: Stack | None = None
    spec: Spec | None = None

    @property
    def flows(self) -> tuple[str, ...]:
        """What finds it looks at."""
        return () if self.spec is None else kit.describe("regions", self.spec.name).flows

    def blocks(self) -> Callable[[Array], Mask | None]:
        """What of each next block of values lies inside, where no bone is needed to know; None is all."""
        if self.mask is not None:
            masks = finite(self.mask, "the mask")
            return lambda values: np.asarray(next(masks) != 0)
        return self.seen if self.flows == ("values",) else lambda values: None

    def inside(self, values: Array) -> Mask | None:
        """What of the whole volume lies inside, where no bone is needed to know; None is all."""
        if self.mask is not None:
            return np.asarray(collected(self.mask, "the mask") != 0)
        return self.seen(values) if self.flows == ("values",) else None

    def seen(self, values: Array) -> Mask:
        """What the values show, slice by slice."""
        return np.asarray(kit.bind("regions", self.spec)(values)) if self.spec else np.ones(values.shape, bool)

    def around(self, bone: Mask, spacing: Spacing) -> Mask | None:
        """What the bone shows; None where that is not asked."""
        if self.spec is None or self.flows != ("bone", "spacing"):
            return None
        return np.asarray(kit.bind("regions", self.spec)(bone, spacing))
