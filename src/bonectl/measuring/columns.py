"""The columns of several volumes, known from the request alone."""

import re

from bonectl.core import kit
from bonectl.core.spec import parse_sum
from bonectl.core.table import Columns
from bonectl.measuring.request import usual
from bonectl.measuring.tables import CONDITIONS, CUT

# A line of the section Returns in the docstring of a metric: names, and the unit that they share.
_RETURNED = re.compile(r"([a-z]\w*(?:, [a-z]\w*)*) : (.+)")


def columns(metrics: str | None, *, compared: bool, around: bool, labelled: bool = False) -> Columns:
    """The columns of volumes that are measured alike.

    They do not depend on the volumes: what one of them does not allow (density without a calibration, say) stays empty.

    Parameters
    ----------
    metrics : str, optional
        As `bonectl.ops.measure.measure`.
    compared : bool
        Whether there is a reference. The known answers of phantoms have no columns: other volumes have none.
    around : bool
        Whether there may be intervals.
    labelled : bool
        Whether bones are those of labels.
    """
    specs = parse_sum(metrics or usual(dense=True, compared=compared))
    found = {name: unit for spec in specs for name, unit in numbers(spec.name).items()}
    reference = [f"reference_{name}" for name in CUT] if compared else []
    label = ["label"] if labelled else []
    conditions = (*label, *CONDITIONS, *reference, *(["intervals"] if around else []), "warnings")
    return Columns(conditions, found, compared=compared, around=around)


def numbers(metric: str) -> dict[str, str]:
    """Unit by name of the numbers that a metric gives, as its documentation says; nothing is imported."""
    _, _, returned = kit.describe("metrics", metric).doc.partition("\nReturns\n-------\n")
    lines = map(_RETURNED.fullmatch, returned.split("\n\n")[0].splitlines())
    return {name: line[2] for line in lines if line is not None for name in line[1].split(", ")}
