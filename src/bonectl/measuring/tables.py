"""From what metrics find to a table: its conditions, its warnings, and what it is compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

from bonectl.core import progress
from bonectl.core.table import Doubt, Finding, Histogram, Number, Row, Table
from bonectl.errors import UsageError
from bonectl.measuring.request import (
    Case,
    Part,
)
from bonectl.morphology import trust, voi
from bonectl.morphology.cut import Cut
from bonectl.morphology.specimen import Specimen

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
    specimen : Specimen
        The volume, cut, with what was worked out about it.
    reference : Specimen, optional
    """

    table: Table
    specimen: Specimen
    reference: Specimen | None = None


def judged(table: Table, case: Case, extent: voi.Extent) -> Table:
    """The table with its warnings, which are also said."""
    numbers = {row.number.name: row.number.value for row in table.rows}
    width = min(voxels * side for voxels, side in zip(extent.voxels, case.spacing, strict=True))
    doubts = trust.doubts(numbers, max(case.spacing), width, _cut_off(case), extent.shell)
    warnings = (*table.warnings, *case.told, *doubts, *_two_laws(case))
    for warning in warnings:
        progress.note(f"do not trust: {warning}")
    return replace(table, warnings=warnings)


def _two_laws(case: Case) -> tuple[str, ...]:
    """A warning where volume and reference owe their density to different calibrations."""
    ours = case.stack.header.calibration
    theirs = None if case.reference is None else case.reference.header.calibration
    if case.stack.header.unit != "mgHA/cm3" or ours is None or theirs is None:
        return ()
    if isclose(ours.slope, theirs.slope, rel_tol=1e-3) and isclose(ours.intercept, theirs.intercept, abs_tol=1):
        return ()
    return (f"density: the volume is calibrated by {ours.source}, the reference by {theirs.source}",)


def _cut_off(case: Case) -> tuple[str, ...]:
    """The volumes whose values come from a scan of a region of interest; a mask has no values."""
    volumes = {"the volume": case.stack, "the reference": case.reference}
    headers = {name: stack.header for name, stack in volumes.items() if stack is not None}
    return tuple(name for name, told in headers.items() if told.region_of_interest and told.unit != "label")


def flowing(specimen: Specimen) -> dict[str, Any]:
    """What a metric may take of a specimen, by the name of its parameter."""
    return {"tally": specimen.tally, "specimen": specimen}


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


def table_of(case: Case, findings: list[Finding], cut: Cut) -> Table:
    """What was found in one volume, with its conditions; beside a phantom's known answers where it has any."""
    header = case.stack.header
    conditions: dict[str, float | int | str | None] = {
        "shape": " ".join(map(str, header.shape)),
        **{f"voxel_{axis}_mm": side for axis, side in zip("zyx", case.spacing, strict=True)},
        "unit": header.unit,
        "volume_of_interest": case.region.name,
        **cut_conditions(cut, "threshold"),
        "purification": PURE if case.purify else "none",
    }
    if header.calibration is not None and header.unit == "mgHA/cm3":
        pseudo = " (pseudo-calibrated: structure may be trusted, density not)" if header.calibration.pseudo else ""
        conditions["calibration"] = header.calibration.source + pseudo
    rows = tuple(Row(found) for found in findings if isinstance(found, Number))
    histograms = tuple(found for found in findings if isinstance(found, Histogram))
    table = Table(rows, conditions, histograms, warnings=(*cut.doubts, *said(findings)))
    if header.answers and case.reference is None:
        return replace(table.beside(header.answers), reference="known answers of the phantom")
    return table


def said(findings: Iterable[Finding]) -> tuple[str, ...]:
    """What the metrics themselves doubt."""
    return tuple(dict.fromkeys(found.text for found in findings if isinstance(found, Doubt)))


def cut_conditions(cut: Cut, name: str) -> dict[str, float | str]:
    """How bone was told from marrow, as conditions of a table; each begins with `name`."""
    return {name: cut.value, f"{name}_unit": cut.unit, f"{name}_rule": cut.rule, f"{name}_filter": str(cut.filter)}
