"""Data Exchange files of the Advanced Photon Source and others: HDF5 with a group ``exchange``."""

from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core.geometry import Angles
from bonectl.core.header import Fact
from bonectl.core.scan import Frames, Scan
from bonectl.errors import DataError
from bonectl.scanners import _hdf5, _written
from bonectl.scanners._projections import header

TITLE = "Data Exchange (HDF5)"
PLACE = 1
EXTRA = "hdf5"
AS = "dxchange"

# Where the standard, and files that came before it, keep them.
_INSTRUMENT = "measurement/instrument"
PITCH = (f"{_INSTRUMENT}/detection_system/objective/resolution", f"{_INSTRUMENT}/detector/actual_pixel_size")
PIXEL = (f"{_INSTRUMENT}/detector/pixel_size_x", f"{_INSTRUMENT}/detector/x_pixel_size")
ENERGY = (f"{_INSTRUMENT}/monochromator/energy", f"{_INSTRUMENT}/source/energy")
DISTANCE = (f"{_INSTRUMENT}/detector_motor_stack/setup/z", f"{_INSTRUMENT}/detector/distance")
MODE = "process/acquisition/flat_fields/flat_field_mode"


def claims(path: Path) -> bool:
    """Whether it is HDF5 with projections in a group ``exchange``, or ``exchange1`` and so on."""
    if not _hdf5.is_hdf5(path):
        return False
    with _hdf5.opened(path) as file:
        return any("data" in file[name] for name in file if name.startswith("exchange") and _is_group(file, name))


def _is_group(file: Any, name: str) -> bool:
    return str(file.get(name, getclass=True).__name__) == "Group"


def dxchange(path: Path, *, group: str = "exchange") -> Scan:
    """Projections, flats (``data_white``), darks (``data_dark``) and angles (``theta``) of a Data Exchange file.

    Angles are degrees unless their attribute says radians. The pixel is the one at the sample (the objective's
    resolution, or the actual pixel size), in micrometres unless its attribute says otherwise. Flats were read before
    the projections, after them, or half and half, as ``flat_field_mode`` says.

    Parameters
    ----------
    path : Path
    group : str
        Which scan of a file that holds several: exchange, exchange1, ...

    Raises
    ------
    DataError
        When there is no such group, or its arrays do not belong together.
    """
    name = path.name
    with _hdf5.opened(path) as file:
        if group not in file or "data" not in file[group]:
            there = [key for key in file if key.startswith("exchange")]
            raise DataError(f"{path}: holds no {group}/data; there are {', '.join(there) or 'no exchange groups'}")
        inside = file[group]
        projections = inside["data"]
        pitch = _hdf5.quantity(file, (*PITCH, *PIXEL), _hdf5.MILLIMETRES, "um")
        facts: dict[str, Fact] = {}
        if (energy := _hdf5.quantity(file, ENERGY, _hdf5.KILOVOLTS, "kev")) is not None:
            facts["energy_kev"] = energy
        if (distance := _hdf5.quantity(file, DISTANCE, _hdf5.MILLIMETRES, "mm")) is not None:
            facts["distance_mm"] = distance
        is_counts = "data_white" in inside
        told = header(
            projections.shape,
            _hdf5.dtype_of(projections, path),
            f"{path}: {group}/data",
            unit="counts" if is_counts else "grey",
            pitch=(pitch, pitch),
            acquisition=facts,
        )
        angles, problems = _angles(inside, told.shape[0], path, group)
        mode = _hdf5.text(file[MODE][()]).lower() if MODE in file else ""
        flats = _frames(inside, path, group, "data_white", told.shape, mode)
        darks = _frames(inside, path, group, "data_dark", told.shape, mode)
    if not is_counts:
        problems += (f"no {group}/data_white: give --flats, or --input-unit where the values are no counts",)
    return Scan(
        kind="dxchange",
        name=name,
        files=(path,),
        stack=_hdf5.source(path, f"{group}/data", told),
        flats=flats,
        darks=darks,
        angles=angles,
        problems=problems,
        notes=() if pitch else ("no pixel size: give --voxel-size in mm",),
    )


def _angles(inside: Any, views: int, path: Path, group: str) -> tuple[Angles | None, tuple[str, ...]]:
    if "theta" not in inside:
        return None, (f"no {group}/theta: give --angles",)
    theta = inside["theta"]
    factor = _hdf5.DEGREES.get(_hdf5.text(theta.attrs.get("units", "degrees")).strip().lower(), 1.0)
    values = np.ravel(theta[()]).astype(np.float64) * factor
    if values.size != views:
        return None, (f"{group}/theta has {values.size} angles for {views} views: give --angles",)
    try:
        return Angles.of(values), ()
    except DataError as error:
        raise DataError(f"{path}: {group}/theta: {error}") from error


def _frames(inside: Any, path: Path, group: str, name: str, scan: tuple[int, int, int], mode: str) -> Frames | None:
    if name not in inside or not inside[name].size:
        return None
    told = header(inside[name].shape, _hdf5.dtype_of(inside[name], path), f"{path}: {group}/{name}")
    if told.shape[1:] != scan[1:]:
        raise DataError(
            f"{path}: {group}/{name} has {told.shape[1]} × {told.shape[2]} pixels, {group}/data {scan[1]} × {scan[2]}"
        )
    count, views = told.shape[0], float(scan[0])
    at = {
        "start": (0.0,) * count,
        "end": (views,) * count,
        "both": (0.0,) * ((count + 1) // 2) + (views,) * (count // 2),
    }.get(mode, ())
    return Frames(_hdf5.source(path, f"{group}/{name}", told), at)


def write(scan: Scan, path: Path) -> None:
    """A Data Exchange file with projections, flats, darks and angles.

    Raises
    ------
    UsageError
        When it is no scan of a parallel beam.
    UnavailableError
        When h5py is not installed.
    """
    geometry = _written.geometry_of(scan, "Data Exchange", ["parallel"])
    dtype = _written.counts_dtype(scan)
    with _hdf5.created(path) as file:
        file["implements"] = "exchange:measurement:process"
        inside = file.create_group("exchange")
        _hdf5.put(inside, "data", scan.header.shape, _written.counts(scan, dtype), dtype)
        for name, frames in (("data_white", scan.flats), ("data_dark", scan.darks)):
            if frames is not None:
                shape = frames.source.header.shape
                _hdf5.put(inside, name, shape, _written.counts(frames, dtype), dtype)
        inside["theta"] = geometry.angles.degrees
        inside["theta"].attrs["units"] = "degrees"
        file[PITCH[1]] = geometry.pitch * 1000
        file[PITCH[1]].attrs["units"] = "um"
        if energy := scan.header.acquisition.get("energy_kev"):
            file[ENERGY[0]] = energy
            file[ENERGY[0]].attrs["units"] = "keV"
        if scan.flats is not None and scan.flats.at:
            late = sum(at >= geometry.views for at in scan.flats.at)
            file[MODE] = "start" if not late else "end" if late == scan.flats.count else "both"
