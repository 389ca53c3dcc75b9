"""How bone is told from marrow, by what was asked and by the units of the data."""

from dataclasses import dataclass, replace
from typing import Any

from bonectl.core import kit
from bonectl.core.lengths import Spacing
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError
from bonectl.measuring.request import REFERENCE, number, segmentation
from bonectl.measuring.values import Mask
from bonectl.morphology.threshold import Threshold, Volume


@dataclass(frozen=True)
class Rule:
    """How bone is told from marrow: a segmentation, and the volume whose values it looks at."""

    spec: Spec
    on_reference: bool = False

    @property
    def looks(self) -> bool:
        """Whether it needs voxels to find the threshold."""
        return kit.describe("segmentations", self.spec.name).flows[0] == "volume"

    def threshold(self, values: Array | None, unit: str, spacing: Spacing, inside: Mask | None) -> Threshold:
        """How one volume is cut; by its values, where they are needed."""
        given: dict[str, Any] = {"unit": unit, "spacing": spacing}
        if values is not None:
            given["volume"] = Volume(values, unit, inside)
        flows = kit.describe("segmentations", self.spec.name).flows
        found: Threshold = kit.bind("segmentations", self.spec)(*(given[name] for name in flows))
        return replace(found, rule=f"{found.rule} of the reference") if self.on_reference else found

    def __str__(self) -> str:
        return f"{self.spec} of the reference" if self.on_reference else str(self.spec)


def rule_of(threshold: float | str | None, unit: str, reference: str | None) -> Rule:
    """How bone is told from marrow, by what was asked and the units of the volume and its reference.

    Raises
    ------
    UsageError
        When these have no such threshold.
    """
    if unit == "label" and reference in (None, "label"):
        return _label_rule(threshold)
    grey = reference if unit == "label" else unit
    if threshold is None:
        if grey == "mgHA/cm3":
            return Rule(Spec("midpoint"))
        threshold = REFERENCE if reference not in (None, "label") else "otsu"
    value = number(threshold)
    if value is not None:
        return Rule(Spec("fixed", {"value": value}))
    on_reference = parse(str(threshold)).name == REFERENCE
    if on_reference and reference in (None, "label"):
        raise UsageError("--threshold reference needs a --reference with grey values")
    return Rule(segmentation(str(threshold)), on_reference=on_reference)


def _label_rule(threshold: float | str | None) -> Rule:
    if threshold is None:
        return Rule(Spec("nonzero"))
    value = number(threshold)
    if value is None:
        raise UsageError(f"threshold {threshold!r} of a mask; a mask is taken as it is, or cut at a value")
    return Rule(Spec("fixed", {"value": value}))
