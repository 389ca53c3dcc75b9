"""Views that lie beside their place on the detector, moved back by a table."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift as moved

from bonectl.core import reading
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.errors import DataError, UsageError

WORKS = "projections"
READS = ("transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = False
FRAMES = False
BESIDE = None
BYTES = 18.0
PACE = 46.0


def shift(scan: Setting, *, table: str = "") -> Step:
    """Every projection moved by its own shift, by cubic splines; beyond its ends the outermost pixel goes on.

    Scanners move the sample or the detector between views to blur rings, or record where a sample drifted. Whole
    pixels are moved exactly. It stands behind `flats`, for the detector's own pattern does not move.

    Parameters
    ----------
    scan : Setting
    table : str
        Path of a text with a line for each view: how far its picture lies beside its place, in columns, and where there
        is a second number in rows [pixel]; it is moved back by that. Lines that begin with # are not read.

    Raises
    ------
    UsageError
        When no table is named.
    DataError
        When a line holds no one or two finite numbers, or there is not one for each view.
    """
    if not table:
        raise UsageError("shift(table=FILE) needs a file of a line for each view")
    away = _away(table)
    if len(away) != scan.lengths["view"]:
        raise DataError(
            f"{table} moves {len(away)} views, the scan has {scan.lengths['view']}; one line each is needed"
        )

    def work(plane: Plane, view: int) -> Plane:
        columns, rows = away[view]
        if columns == rows == 0:
            return plane
        whole = float(columns).is_integer() and float(rows).is_integer()
        return np.asarray(moved(plane, (-rows, -columns), order=0 if whole else 3, mode="nearest"))

    return Step(scan.header.replace(dtype="<f4"), work)


def _away(table: str) -> NDArray[np.float64]:
    """Shift along columns and rows of each view, (view, 2) [pixel]."""
    found = []
    try:
        lines = Path(table).read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise reading.failure(table, error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: is no table of shifts: not a text in UTF-8") from error
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) not in (1, 2) or not np.isfinite(values).all():
            raise DataError(f"{table}: line {number} holds no one or two numbers; give columns and rows [pixel]")
        found.append((values[0], values[1] if len(values) == 2 else 0.0))
    return np.array(found, dtype=np.float64).reshape(-1, 2)
