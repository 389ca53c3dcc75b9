"""From a request to specimens: the volumes read, cut into bone and marrow, and seen in their region."""

from dataclasses import replace

import numpy as np

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.errors import DataError
from bonectl.measuring.plan import Plan, units_differ
from bonectl.measuring.threshold_rule import rule_of
from bonectl.measuring.values import BLOCK, Mask, collected
from bonectl.morphology import voi
from bonectl.morphology.cells import MARROW, Labels
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.sums import Sums
from bonectl.morphology.threshold import NONE, Threshold, Volume

EMPTY = "the mask is empty: no voxel is inside the volume of interest"


def read(plan: Plan) -> Specimen:
    """The volume, read and cut into bone and marrow."""
    values = collected(plan.stack, "the volume")
    return segmented(plan, values, plan.region.inside(values), "the volume")


def beside(plan: Plan, header: Header, reference: Volume) -> Plan:
    """The plan beside a reference of grey values, now that they are read: of two levels, they are a mask.

    Such levels say nothing of the threshold of a grey volume.
    """
    unit = plan.stack.header.unit
    if header.unit != "grey":
        return plan
    if reference.has_two_levels:
        rule = rule_of(None, unit, "label") if plan.request.threshold is None else plan.rule
        return replace(plan, rule=rule)
    if unit not in ("label", "grey"):
        raise units_differ(unit, header.unit)
    return plan


def extent_of(specimen: Specimen) -> voi.Extent:
    """How far the volume of interest reaches, and what its shell is made of."""
    extent = voi.Extent(specimen.labels.shape)
    for start in range(0, len(specimen.labels), BLOCK):
        extent.add(specimen.labels[start : start + BLOCK])
    return extent


def labelled(bone: Mask, inside: Mask | None) -> Labels:
    """MARROW and BONE of morphology.cells, OUTSIDE where `inside` is false."""
    labels = bone.view(np.uint8) | np.uint8(MARROW)
    if inside is not None:
        labels *= inside
    return labels


def segmented(
    plan: Plan, values: Array, inside: Mask | None, what: str, threshold: Threshold | None = None
) -> Specimen:
    """Cut one volume, and add up what its voxels are; by the plan's rule, unless the threshold is known."""
    with progress.task(f"cut {what}", 1, "volume") as advance:
        specimen = _cut_out(plan, values, inside, threshold)
        check_filled(specimen.sums, specimen.threshold, f"{what}, purified," if plan.request.purify else what)
        advance()
    return specimen


# Where the data hold less than this share of the region's bone beyond it, they are of no bone: air, or blanked.
SAME_TISSUE = 0.25


def _goes_on(values: Array, bone: Mask, inside: Mask) -> bool:
    """Whether the data show the structure beyond the volume of interest too."""
    levels: set[float] = set()
    for plane, within in zip(values, inside, strict=True):
        there = plane[~within]
        if there.size:
            levels |= {float(there.min()), float(there.max())}
    if len(levels) < 2:
        return False
    here, total = np.count_nonzero(bone & inside), np.count_nonzero(bone)
    voxels = np.count_nonzero(inside)
    return bool((total - here) * voxels > SAME_TISSUE * here * (bone.size - voxels))


def check_filled(sums: Sums, threshold: Threshold, what: str) -> None:
    """Refuse a volume without bone or without marrow: no number of it means anything."""
    bone, total = sums.cells.bone_voxels, sums.cells.total_voxels
    if total == 0:
        raise DataError(EMPTY)
    if bone == 0:
        raise DataError(f"{what} holds no bone: no voxel is {threshold}; a lower threshold may be right")
    if bone == total:
        raise DataError(
            f"{what} is nothing but bone: all {total} voxels are {threshold}; a higher threshold may be right"
        )


def _cut_out(plan: Plan, values: Array, inside: Mask | None, threshold: Threshold | None) -> Specimen:
    unit = plan.stack.header.unit
    if inside is not None and not inside.any():
        raise DataError(EMPTY)
    two_levels = unit != "label" and Volume(values, unit, inside).has_two_levels
    if threshold is None:
        threshold = plan.rule_for(unit, two_levels=two_levels).threshold(values, unit, plan.spacing, inside)
    if two_levels and threshold.filter is NONE:
        threshold = replace(threshold, mask=True, rule=f"{threshold.rule}, two levels: a mask")
    grey = None if unit == "label" else values
    bone = threshold.bone(values)
    if inside is None:
        inside = plan.region.around(bone, plan.spacing)
    around = bone if inside is not None and _goes_on(values, bone, inside) else None
    specimen = Specimen(labelled(bone, inside), plan.spacing, unit, threshold, grey, around=around)
    return specimen.purify() if plan.request.purify else specimen
