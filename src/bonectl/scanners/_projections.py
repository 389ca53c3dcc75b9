"""Frames of a detector under one header, from whatever kind of file."""

from bonectl.core.geometry import Geometry
from bonectl.core.header import PROJECTIONS, Fact, Header
from bonectl.errors import DataError


def header(
    shape: tuple[int, ...],
    dtype: str,
    name: str,
    *,
    unit: str = "counts",
    pitch: tuple[float | None, float | None] = (None, None),
    acquisition: dict[str, Fact] | None = None,
    geometry: Geometry | None = None,
) -> Header:
    """The header of projections, flats or darks (frame, row, col).

    Parameters
    ----------
    shape : tuple of int
        (frame, row, col), or (row, col) of one frame.
    dtype, unit, acquisition, geometry
        As `Header` has them.
    name : str
        What messages call it.
    pitch : (float, float)
        Height and width of a detector pixel [mm]; None where unknown.

    Raises
    ------
    DataError
        When it has another number of axes.
    """
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3:
        raise DataError(f"{name}: has shape {shape}; (view, row, col) is needed")
    return Header(
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        axes=PROJECTIONS,
        spacing=(None, *pitch),
        unit=unit,
        acquisition=acquisition or {},
        geometry=geometry,
    )
