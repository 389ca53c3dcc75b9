"""From what metrics find to a table: its conditions, its warnings, and what it is compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

from bonectl.core import progress
from bonectl.core.table import Doubt, Finding, Histogram, Number, Row, Table
from bonectl.errors import UsageError
from bonectl.measuring.plan import Part, Plan
from bonectl.morphology import trust, voi
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold

# What `purify` does, in the words of the conditions.
PURE = "largest 26-connected piece of bone, marrow that it encloses filled"


# The conditions of a table, in their order; some are there only where they are known. Beside a grey reference its cut
# follows, its names prefixed by "reference_".
CUT = ("threshold", "threshold_unit", "threshold_rule", "threshold_filter")


CONDITIONS = (
    *("shape", "voxel_z_mm", "voxel_y_mm", "voxel_x_mm", "unit", "volume_of_interest"),
    *CUT,
    *("purification", "calibration"),
)


@dataclass(frozen=True, eq=False)
class Examined:
    """A table, and the volumes it was made from.

    Parameters
    ----------
    table : Table
    volume : Specimen, optional
        Cut, with what was worked out about it; None of one that came slab by slab.
    reference : Specimen, optional
    """

    table: Table
    volume: Specimen | None = None
    reference: Specimen | None = None

    @property
    def specimen(self) -> Specimen:
        """The volume, which was asked for with `Request.keep`."""
        assert self.volume is not None
        return self.volume


def judged(table: Table, plan: Plan, extent: voi.Extent) -> Table:
    """The table with its warnings, which are also said."""
    numbers = {row.number.name: row.number.value for row in table.rows}
    width = min(voxels * side for voxels, side in zip(extent.voxels, plan.spacing, strict=True))
    doubts = trust.doubts(numbers, max(plan.spacing), width, _cut_off(plan), extent.shell)
    warnings = (*table.warnings, *plan.told, *doubts, *_two_laws(plan))
    for warning in warnings:
        progress.note(f"do not trust: {warning}")
    return replace(table, warnings=warnings)


def _two_laws(plan: Plan) -> tuple[str, ...]:
    """A warning where volume and reference owe their density to different calibrations."""
    ours = plan.stack.header.calibration
    theirs = None if plan.reference is None else plan.reference.header.calibration
    if plan.stack.header.unit != "mgHA/cm3" or ours is None or theirs is None:
        return ()
    if isclose(ours.slope, theirs.slope, rel_tol=1e-3) and isclose(ours.intercept, theirs.intercept, abs_tol=1):
        return ()
    return (f"density: the volume is calibrated by {ours.source}, the reference by {theirs.source}",)


def _cut_off(plan: Plan) -> tuple[str, ...]:
    """The volumes whose values come from a scan of a region of interest; a mask has no values."""
    volumes = {"the volume": plan.stack, "the reference": plan.reference}
    headers = {name: stack.header for name, stack in volumes.items() if stack is not None}
    return tuple(name for name, told in headers.items() if told.region_of_interest and told.unit != "label")


def flowing(specimen: Specimen) -> dict[str, Any]:
    """What a metric may take of a specimen, by the name of its parameter."""
    return {"sums": specimen.sums, "specimen": specimen}


def found_by(parts: Sequence[Part], given: Mapping[str, Any]) -> list[Finding]:
    """What the metrics say; one that was not asked for by name may stay silent where the data do not allow it."""
    found: list[Finding] = []
    with progress.task("numbers", len(parts), "metric") as advance:
        for part in parts:
            advance(0, metric=part.name)
            try:
                found += part.function(*(given[name] for name in part.flows))
            except UsageError as error:
                if part.asked:
                    raise
                progress.note(f"{part.name} is left out: {error}")
            advance(1, metric=part.name)
    return found


def table_of(plan: Plan, findings: list[Finding], threshold: Threshold) -> Table:
    """What was found in one volume, with its conditions; beside a phantom's known answers where it has any."""
    header = plan.stack.header
    conditions: dict[str, float | int | str | None] = {
        "shape": " ".join(map(str, header.shape)),
        **{f"voxel_{axis}_mm": side for axis, side in zip("zyx", plan.spacing, strict=True)},
        "unit": header.unit,
        "volume_of_interest": plan.region.name,
        **threshold_conditions(threshold, "threshold"),
        "purification": PURE if plan.request.purify else "none",
    }
    if header.calibration is not None and header.unit == "mgHA/cm3":
        pseudo = " (pseudo-calibrated: structure may be trusted, density not)" if header.calibration.pseudo else ""
        conditions["calibration"] = header.calibration.source + pseudo
    rows = tuple(Row(found) for found in findings if isinstance(found, Number))
    histograms = tuple(found for found in findings if isinstance(found, Histogram))
    table = Table(rows, conditions, histograms, warnings=(*threshold.doubts, *said(findings)))
    if header.answers and plan.reference is None:
        return replace(table.beside(header.answers), reference="known answers of the phantom")
    return table


def said(findings: Iterable[Finding]) -> tuple[str, ...]:
    """What the metrics themselves doubt."""
    return tuple(dict.fromkeys(found.text for found in findings if isinstance(found, Doubt)))


def threshold_conditions(threshold: Threshold, name: str) -> dict[str, float | str]:
    """How bone was told from marrow, as conditions of a table; each begins with `name`."""
    return {
        name: threshold.value,
        f"{name}_unit": threshold.unit,
        f"{name}_rule": threshold.rule,
        f"{name}_filter": str(threshold.filter),
    }
