"""Calibration by a phantom with rods of known density: a table, or the scanned rods themselves."""

from collections.abc import Sequence
from csv import reader
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress, reading
from bonectl.core.calibration import Calibration
from bonectl.core.counted import counted
from bonectl.errors import DataError, MissingInputError, UsageError

READS = ("1/cm", "grey")

# Columns of a table of rods, and what a value may be.
DENSITY = "density_mgha_cm3"
VALUES = {"mu_per_cm": "1/cm", "grey": "grey"}

# A line that explains less of the rods' spread is doubtful: scanners' daily control sees 0.999, beam hardening 0.998.
LEAST_R_SQUARED = 0.99


@dataclass(frozen=True)
class Fit:
    """A straight line through the rods.

    Parameters
    ----------
    slope : float
        [mgHA/cm³ per unit of the value].
    intercept : float
        [mgHA/cm³].
    residuals : tuple of float
        Density of each rod minus that of the line [mgHA/cm³], in the order of the rods.
    r_squared : float
        1 - Σ residual² / Σ (density - mean)².
    error : float
        Standard error of the estimate, √(Σ residual² / (n - 2)) [mgHA/cm³]; NaN of two rods, which leave no residual.
    """

    slope: float
    intercept: float
    residuals: tuple[float, ...]
    r_squared: float
    error: float


def rods(unit: str, *, table: str = "rods.tsv") -> Calibration:
    """A straight line through the rods of a density phantom, by least squares of density over value.

    Parameters
    ----------
    unit : str
        Of the stack, 1/cm or grey: the table must be in it.
    table : str
        Path of a tab- or comma-separated text with a line of column names: `density_mgha_cm3`, the density of each rod
        [mgHA/cm³], and either `mu_per_cm` (attenuation [1/cm]) or `grey`, what the rod reads in the reconstruction.
        Lines that begin with # are comments; further columns are ignored.

    Raises
    ------
    MissingInputError
        When the table is not there.
    DataError
        When it is no such table, has fewer than two rods, or density does not rise with the value from each rod to
        the next.
    UsageError
        When the table is in another unit than the stack.

    Notes
    -----
    A line that explains less than 99 % of the variance of the densities is used with a warning. R², the standard
    error of the estimate and the largest residual are in the provenance that travels with the data.
    Ordinary least squares, as scanners' daily quality control; two rods give a line without a residual.
    """
    column, values, densities = _read(Path(table))
    if VALUES[column] != unit:
        raise UsageError(f"{table}: the rods are in {VALUES[column]} ({column}), the volume is in {unit}")
    law = fit(values, densities, table)
    if law.r_squared < LEAST_R_SQUARED:
        progress.note(_poor(law, densities, table))
    return Calibration(law.slope, law.intercept, _source(law, table))


def fit(values: Sequence[float], densities: Sequence[float], name: str = "the rods") -> Fit:
    """The straight line of least squares, density over value.

    Parameters
    ----------
    values : sequence of float
        What each rod reads.
    densities : sequence of float
        [mgHA/cm³].
    name : str
        Of the table, for messages.

    Raises
    ------
    DataError
        For fewer than two rods, and for densities that do not rise with the value.
    """
    x, y = np.asarray(values, np.float64), np.asarray(densities, np.float64)
    if len(x) < 2:
        raise DataError(f"{name}: {counted(len(x), 'rod')}; a line needs two or more")
    _check_rising(x, y, name)
    # About the means: the sums of squares lose no digits to a large offset.
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residuals = dy - slope * dx
    spread = float(residuals @ residuals)
    error = float(np.sqrt(spread / (len(x) - 2))) if len(x) > 2 else float("nan")
    intercept = float(y.mean() - slope * x.mean())
    return Fit(slope, intercept, tuple(residuals.tolist()), 1 - spread / float(dy @ dy), error)


def _check_rising(x: NDArray[np.float64], y: NDArray[np.float64], name: str) -> None:
    """Refuse rods whose density does not rise with the value: two of them were mixed up, or are not resolved."""
    order = np.lexsort((y, x))
    for lower, upper in pairwise(order):
        if not (x[upper] > x[lower] and y[upper] > y[lower]):
            raise DataError(
                f"{name}: rods of {y[lower]:g} and {y[upper]:g} mgHA/cm3 read {x[lower]:g} and {x[upper]:g}; "
                "density must rise with the value from rod to rod"
            )


def _poor(law: Fit, densities: Sequence[float], table: str) -> str:
    """What is wrong with a line that is none."""
    place = int(np.argmax(np.abs(law.residuals)))
    return (
        f"do not trust: the rods of {table} lie on no straight line (R² {law.r_squared:.3f}); the rod of "
        f"{densities[place]:g} mgHA/cm3 is {law.residuals[place]:+.3g} off, densities are off as much; check the table"
    )


def _source(law: Fit, table: str) -> str:
    text = f"rods(table={Path(table).name!r}): {len(law.residuals)} rods, R² {law.r_squared:.6f}"
    if len(law.residuals) == 2:
        return f"{text}, no residual of two rods"
    worst = max(law.residuals, key=abs)
    return f"{text}, standard error {law.error:.3g} mgHA/cm3, largest residual {worst:+.3g} mgHA/cm3"


def _read(path: Path) -> tuple[str, list[float], list[float]]:
    """The name of the value column, the values, and the densities."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise MissingInputError(f"{path}: there is no such table of rods") from None
    except OSError as error:
        raise reading.failure(path, error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no table of rods ({error})") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = [[cell.strip() for cell in row] for row in reader(lines, delimiter="\t" if "\t" in text else ",")]
    head = rows[0] if rows else []
    columns = [name for name in VALUES if name in head]
    if DENSITY not in head or len(columns) != 1:
        raise DataError(f"{path}: needs the column {DENSITY}, and one of {' and '.join(VALUES)}; it has {head}")
    numbers = [_numbers(row, (head.index(columns[0]), head.index(DENSITY)), path) for row in rows[1:]]
    return columns[0], [value for value, _ in numbers], [density for _, density in numbers]


def _numbers(row: list[str], places: tuple[int, int], path: Path) -> tuple[float, float]:
    try:
        value, density = (float(row[place]) for place in places)
    except (ValueError, IndexError):
        raise DataError(f"{path}: {row} is no line of numbers") from None
    if not np.isfinite([value, density]).all():
        raise DataError(f"{path}: {row} is not finite")
    return value, density
