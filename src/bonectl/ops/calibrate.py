"""Grey values or attenuation to mineral density."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bonectl.core.calibration import ORIGIN, Calibration
from bonectl.core.kit import bind, describe, fact
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.errors import UsageError


def calibrated(stack: Stack, spec: Spec) -> Stack:
    """The same volume in mgHA/cm³.

    Parameters
    ----------
    stack : Stack
        A volume in 1/cm or grey, as the part demands.
    spec : Spec
        A part of the kit of calibrations, e.g. ``peaks(low=0, high=1050)``. A part that derives its law from the
        voxels holds the whole volume in memory; the others stream.

    Returns
    -------
    Stack
        float32, with the calibration in the header.

    Raises
    ------
    UsageError
        When the part does not read this unit, or the stack is a scan.
    DataError
        When the voxels do not support the part (no two peaks).
    """
    part = bind("calibrations", spec)
    reads: tuple[str, ...] = fact("calibrations", spec.name, "READS")
    header = stack.header
    if header.is_scan:
        raise UsageError("a scan has no mineral density; run `bonectl reconstruct` first")
    if header.unit not in reads:
        raise UsageError(f"{spec.name} reads values in {' or '.join(reads)}, but these are in {header.unit}")
    given: dict[str, Any] = {"unit": header.unit}
    flows = describe("calibrations", spec.name).flows
    if "values" in flows:
        given["values"] = stack.collect()
        stack = Stack.of(given["values"], header)
    law = part(*(given[name] for name in flows))
    facts = {**header.acquisition, ORIGIN: "grey"} if header.unit == "grey" else header.acquisition
    new = header.replace(unit="mgHA/cm3", dtype="<f4", calibration=law, acquisition=facts)
    return stack.map(_linear(law.slope, law.intercept), new)


def attenuation_law(spec: Spec) -> Calibration:
    """The law of a part that turns attenuation into density and needs no voxels for it.

    Parameters
    ----------
    spec : Spec
        A part of the kit of calibrations, e.g. ``rods(table=rods.tsv)`` or ``energy(kev=25)``.

    Raises
    ------
    UsageError
        When the part reads other values than attenuation, or derives its law from the voxels.
    MissingInputError, DataError
        As the part.
    """
    part = bind("calibrations", spec)
    reads: tuple[str, ...] = fact("calibrations", spec.name, "READS")
    flows = describe("calibrations", spec.name).flows
    if "1/cm" not in reads or "values" in flows:
        raise UsageError(f"{spec.name} is no law of attenuation [1/cm]; `bonectl convert --calibrate` takes it")
    law: Calibration = part(*("1/cm" for _ in flows))
    return law


def _linear(slope: float, intercept: float) -> Callable[[Array], Array]:
    """value → slope · value + intercept, worked in float64 and rounded once."""

    def line(slab: Array) -> Array:
        with np.errstate(over="ignore"):  # what becomes infinite is refused where it is written
            return (slab.astype(np.float64) * slope + intercept).astype(np.float32)

    return line
