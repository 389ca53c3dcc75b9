"""NeXus files of tomography (NXtomo): Diamond, ESRF, PSI, MAX IV and others."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core.geometry import Angles
from bonectl.core.header import Fact
from bonectl.core.scan import Frames, Scan
from bonectl.errors import DataError, MissingInputError
from bonectl.scanners import _hdf5, _written
from bonectl.scanners._projections import header

TITLE = "NeXus NXtomo (HDF5)"
PLACE = 2
EXTRA = "hdf5"
AS = "nxtomo"

# Values of image_key (NXtomo, NeXus manual): what a frame shows.
PROJECTION, FLAT, DARK = 0, 1, 2
# What names an axis of rotation where the file has no sample/rotation_angle.
ROTATION = ("theta", "rot", "angle")


def claims(path: Path) -> bool:
    """Whether it is HDF5 with an entry that holds frames and an ``image_key``."""
    if not _hdf5.is_hdf5(path):
        return False
    with _hdf5.opened(path) as file:
        return any(True for entry in _entries(file) for _ in _detectors(entry))


def nxtomo(path: Path, *, entry: str = "", detector: str = "") -> Scan:
    """The frames of a NeXus file, told apart by their ``image_key``: 0 projection, 1 flat, 2 dark; 3 is left out.

    Lengths are metres unless their attribute says otherwise. Angles are those of ``sample/rotation_angle``, else of
    the axis of the detector's data. Frames of an alignment (``image_key_control`` -1) are left out. Data in files that
    are linked to is read there.

    Parameters
    ----------
    path : Path
    entry : str
        Which entry of a file that holds several.
    detector : str
        Which detector of an entry that has several with frames.

    Raises
    ------
    DataError
        When there is no such entry or detector, several and none is named, or frames and keys do not fit.
    MissingInputError
        When the frames are a link to a file that is not there.
    """
    with _hdf5.opened(path) as file:
        chosen = _chosen(file, path, entry)
        camera, notes = _camera(chosen, path, detector)
        where = camera.name.strip("/")
        frames = _hdf5.found(camera, "data", path)
        keys = np.ravel(camera["image_key"][()]).astype(int)
        if frames.ndim != 3 or keys.size != frames.shape[0]:
            raise DataError(f"{path}: {where} has {keys.size} image keys for frames of shape {frames.shape}")
        control = camera.get("image_key_control")
        used = keys if control is None else np.where(np.ravel(control[()]) < 0, 3, keys)
        views = np.flatnonzero(used == PROJECTION)
        if not views.size:
            raise DataError(f"{path}: {where} has no projection: none of its {keys.size} image keys is 0")
        angles, problems, more = _angles(chosen, camera, keys.size, views, path)
        pitch = tuple(_hdf5.quantity(camera, (f"{axis}_pixel_size",), _hdf5.MILLIMETRES, "m") for axis in ("y", "x"))
        told = header(
            (views.size, *frames.shape[1:]),
            _hdf5.dtype_of(frames, path),
            f"{path}: {where}",
            pitch=(pitch[0], pitch[1]),
            acquisition=_facts(chosen, camera),
        )
        centre = _centre(camera, told.shape[2])
        data = f"{where}/data"
    left_out = keys.size - views.size - int(((used == FLAT) | (used == DARK)).sum())
    if left_out:
        notes += (f"{left_out} frames are left out: invalid, or of an alignment",)
    if pitch[1] is None:
        notes += ("no pixel size: give --voxel-size in mm",)

    def frames_of(role: int) -> Frames | None:
        chosen = np.flatnonzero(used == role)
        if not chosen.size:
            return None
        alike = told.replace(shape=(chosen.size, *told.shape[1:]), acquisition={})
        return Frames(
            _hdf5.source(path, data, alike, chosen.tolist()), tuple(map(float, np.searchsorted(views, chosen)))
        )

    flats = frames_of(FLAT)
    if flats is None:
        problems += ("no flat (image_key 1): give --flats",)
    return Scan(
        kind="nxtomo",
        name=path.name,
        files=(path,),
        stack=_hdf5.source(path, data, told, views.tolist()),
        flats=flats,
        darks=frames_of(DARK),
        angles=angles,
        centre=centre,
        problems=problems,
        notes=(*notes, *more),
    )


def _groups(parent: Any, kind: str) -> Iterator[Any]:
    """The groups below that say they are of a NeXus class; links that lead nowhere are none."""
    for name in parent:
        member = parent.get(name)
        if member is not None and hasattr(member, "attrs") and _hdf5.text(member.attrs.get("NX_class", "")) == kind:
            yield member


def _entries(file: Any) -> Iterator[Any]:
    for entry in _groups(file, "NXentry"):
        yield entry
        yield from _groups(entry, "NXsubentry")


def _detectors(entry: Any) -> Iterator[Any]:
    """The detectors of an entry that tell what their frames show."""
    for instrument in _groups(entry, "NXinstrument"):
        for camera in _groups(instrument, "NXdetector"):
            if "image_key" in camera and camera.get("data", getlink=True) is not None:
                yield camera


def _chosen(file: Any, path: Path, name: str) -> Any:
    there = {entry.name.strip("/"): entry for entry in _entries(file) if any(True for _ in _detectors(entry))}
    if name:
        if name.strip("/") not in there:
            raise DataError(f"{path}: holds no entry {name!r} with frames; there are {', '.join(there)}")
        return there[name.strip("/")]
    if len(there) > 1:
        raise DataError(f"{path}: holds {len(there)} scans; give one: nxtomo(entry='{next(iter(there))}')")
    return next(iter(there.values()))


def _camera(entry: Any, path: Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """The detector whose frames are there, and a word on those whose are not."""
    cameras = {camera.name.rpartition("/")[2]: camera for camera in _detectors(entry)}
    if name:
        if name not in cameras:
            raise DataError(f"{path}: has no detector {name!r} with frames; there are {', '.join(cameras)}")
        return cameras[name], ()
    there = {key: camera for key, camera in cameras.items() if camera.get("data") is not None}
    gone = {key: _hdf5.dangling(camera, "data") for key, camera in cameras.items() if key not in there}
    if not there:
        key, link = next(iter(gone.items()))
        raise MissingInputError(f"{path}: the frames of {key} are a link to {link}, which is not there; copy it too")
    if len(there) > 1:
        raise DataError(f"{path}: has frames of several detectors; give one: nxtomo(detector='{next(iter(there))}')")
    notes = tuple(
        f"detector {key} is left out: its frames are a link to {link}, not there" for key, link in gone.items()
    )
    return next(iter(there.values())), notes


def _angles(
    entry: Any, camera: Any, frames: int, views: Any, path: Path
) -> tuple[Angles | None, tuple[str, ...], tuple[str, ...]]:
    """Of the projections; else what is missing, and where links lead that lead nowhere."""
    places = ["sample/rotation_angle", *_axes(entry, camera)]
    gone = []
    for place in places:
        there = entry.get(place)
        if there is None:
            if link := _hdf5.dangling(entry, place):
                gone.append(f"{place} is a link to {link}, not there")
            continue
        values = np.ravel(there[()]).astype(np.float64)
        values *= _hdf5.DEGREES.get(_hdf5.text(there.attrs.get("units", "degree")).strip().lower(), 1.0)
        if values.size not in (frames, views.size):
            return None, (f"{place} has {values.size} angles for {frames} frames: give --angles",), tuple(gone)
        try:
            return Angles.of(values[views] if values.size == frames else values), (), tuple(gone)
        except DataError as error:
            raise DataError(f"{path}: {place}: {error}") from error
    return None, ("no rotation angles: give --angles",), tuple(gone)


def _axes(entry: Any, camera: Any) -> Iterator[str]:
    """Fields of the detector's plottable data that run along its frames and are called like a rotation."""
    for data in _groups(entry, "NXdata"):
        if data.name.rpartition("/")[2] != camera.name.rpartition("/")[2]:
            continue
        for name in data:
            along = data.attrs.get(f"{name}_indices")
            if along is not None and 0 in np.ravel(along) and any(word in name.lower() for word in ROTATION):
                yield f"{data.name.rpartition('/')[2]}/{name}"


def _facts(entry: Any, camera: Any) -> dict[str, Fact]:
    places = {
        "energy_kev": (entry, ("beam/incident_energy", "instrument/beam/incident_energy"), _hdf5.KILOVOLTS, "kev"),
        "distance_mm": (camera, ("distance",), _hdf5.MILLIMETRES, "m"),
        "exposure_s": (camera, ("count_time",), {"s": 1.0, "ms": 1e-3}, "s"),
    }
    found = {key: _hdf5.quantity(*place) for key, place in places.items()}
    return {key: value for key, value in found.items() if value is not None}


def _centre(camera: Any, columns: int) -> float | None:
    """The axis' column: the ESRF's files say how far it is from the detector's middle [pixel]."""
    offset = _hdf5.quantity(
        camera, ("x_rotation_axis_pixel_position",), {"pixel": 1.0, "pixels": 1.0, "": 1.0}, "pixel"
    )
    return None if offset is None else (columns - 1) / 2 + offset


def write(scan: Scan, path: Path) -> None:
    """A NeXus file: darks, flats from before, projections and flats from after, told apart by their image keys.

    Raises
    ------
    UsageError
        When it is no scan of a parallel beam.
    UnavailableError
        When h5py is not installed.
    """
    geometry = _written.geometry_of(scan, "NXtomo", ["parallel"])
    dtype, views = _written.counts_dtype(scan), geometry.views
    flats = list(_written.counts(scan.flats, dtype)) if scan.flats else []
    darks = list(_written.counts(scan.darks, dtype)) if scan.darks else []
    late = [at >= views for at in scan.flats.at] if scan.flats and scan.flats.at else [False] * len(flats)
    before = [flat for flat, is_late in zip(flats, late, strict=True) if not is_late]
    after = [flat for flat, is_late in zip(flats, late, strict=True) if is_late]
    keys = [DARK] * len(darks) + [FLAT] * len(before) + [PROJECTION] * views + [FLAT] * len(after)
    first, last = geometry.angles.degrees[[0, -1]]
    early = len(darks) + len(before)
    with _hdf5.created(path) as file:
        entry = _hdf5.group(file, "entry", "NXentry")
        entry["definition"] = "NXtomo"
        camera = _hdf5.group(_hdf5.group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
        frames = chain(darks, before, _written.counts(scan, dtype), after)
        _hdf5.put(camera, "data", (len(keys), *scan.header.shape[1:]), frames, dtype)
        camera["image_key"] = np.array(keys, np.int32)
        for axis, size in (("x", geometry.pitch), ("y", geometry.row_pitch)):
            camera[f"{axis}_pixel_size"] = size / 1000
            camera[f"{axis}_pixel_size"].attrs["units"] = "m"
        camera["x_rotation_axis_pixel_position"] = geometry.centre - (geometry.columns - 1) / 2
        sample = _hdf5.group(entry, "sample", "NXsample")
        sample["rotation_angle"] = [first] * early + geometry.angles.degrees.tolist() + [last] * len(after)
        sample["rotation_angle"].attrs["units"] = "degree"
        if energy := scan.header.acquisition.get("energy_kev"):
            beam = _hdf5.group(entry, "beam", "NXbeam")
            beam["incident_energy"] = energy
            beam["incident_energy"].attrs["units"] = "keV"
        plotted = _hdf5.group(entry, "data", "NXdata")
        plotted["data"] = camera["data"]
        plotted["image_key"] = camera["image_key"]
        plotted["rotation_angle"] = sample["rotation_angle"]
