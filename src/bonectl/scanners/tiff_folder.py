"""A folder of TIFF files in which names tell what each frame is: projections, flats, darks, and a file of angles."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bonectl.core.angles import listed as listed_angles
from bonectl.core.counted import counted
from bonectl.core.geometry import Angles
from bonectl.core.scan import Frames, Scan
from bonectl.errors import MissingInputError
from bonectl.io.slices import series
from bonectl.scanners import _slices, _written

TITLE = "TIFF folder with roles"
PLACE = 9
EXTRA = ""
AS = "tiff"

# Words that facilities begin the names of files and of sub-folders with, by what the frames show.
WORDS = {
    "projections": ("projections", "projection", "proj", "tomo", "radios", "images", "sample"),
    "flats": ("flats", "flat", "references", "refs", "refHST", "ref", "white", "brights", "bright", "ob", "ff"),
    "darks": ("darks", "dark", "df", "dc"),
}
AFTER = re.compile(r"(.*[^a-z])?(after|post|end)([^a-z].*)?|[a-z]+2", re.IGNORECASE)
BEFORE = re.compile(r"(.*[^a-z])?(before|pre|start)([^a-z].*)?|[a-z]+1", re.IGNORECASE)
ANGLES = re.compile(r".*(angle|theta|rotation).*\.(txt|csv|dat|tsv|npy)", re.IGNORECASE)
# Frames that are there to find the axis, and are no view of the scan.
ALIGNMENT = re.compile(r".*_180deg.*", re.IGNORECASE)


@dataclass(frozen=True)
class _Parted:
    """The files of a scan by what they show."""

    projections: Sequence[Path]
    flats: Sequence[Path]
    darks: Sequence[Path]
    angles: Path | None


def claims(path: Path) -> bool:
    """Whether it is a folder with TIFF projections, and with flats, darks or a file of angles beside them."""
    if not path.is_dir():
        return False
    found = _parted(path)
    if not found.projections:  # frames without sample alone are a scan whose projections are gone
        return bool(found.flats and (found.darks or found.angles))
    return bool(found.flats or found.darks or found.angles)


def tiff_folder(path: Path) -> Scan:
    """TIFF files of one folder, or of sub-folders for each role, as many synchrotrons leave them.

    Flats are files, or lie in a folder, whose names begin with flat, ref, white, bright, ob or ff; darks with dark, df
    or dc; what remains are projections, or what lies in a folder called tomo, proj, projections, radios or images.
    Frames called after or post, or in a second folder (flats2), were read after the projections. A file called
    angles, theta or rotation (.txt, .csv, .dat, .npy) has one angle per view [degree]. The pixel's size is the one
    that the files tell.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        When files of a role are not one unbroken series, or differ in size or type.
    """
    found = _parted(path)
    if not found.projections:
        raise MissingInputError(
            f"{path}: holds {'flats and darks' if found.darks else 'flats'}, but no projections; copy them too"
        )
    stack = _slices.frames(_series(found.projections, path), str(path), unit="counts" if found.flats else "grey")
    views = stack.header.shape[0]
    problems: list[str] = []
    angles = _angles(found.angles, views, problems)
    if not found.flats:
        problems.append("no flats: give --flats, or --input-unit where the values are no counts")
    flats, darks = (_frames(paths, path, views) for paths in (found.flats, found.darks))
    notes = [] if stack.header.spacing[2] else ["no pixel size: give --voxel-size in mm"]
    if flats and not darks:
        notes.append("no darks: readings without beam are taken as 0")
    files = (*found.projections, *found.flats, *found.darks, *([found.angles] if found.angles else []))
    return Scan(
        kind="tiff_folder",
        name=path.name,
        files=files,
        stack=stack,
        flats=flats,
        darks=darks,
        angles=angles,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _parted(path: Path) -> _Parted:
    there = _slices.listed(path)
    files = [one for one in there if _slices.TIFF.fullmatch(one.name) and not ALIGNMENT.fullmatch(one.name)]
    roles = {role: [one for one in files if _named(one.name, WORDS[role])] for role in ("flats", "darks")}
    rest = [one for one in files if one not in {*roles["flats"], *roles["darks"]}]
    for below in (one for one in there if one.is_dir()):
        for role, words in WORDS.items():
            if _named(below.name, words):
                inside = [one for one in _slices.listed(below) if _slices.TIFF.fullmatch(one.name)]
                (rest if role == "projections" else roles[role]).extend(inside)
    told = [one for one in there if ANGLES.fullmatch(one.name)]
    return _Parted(rest, roles["flats"], roles["darks"], told[0] if len(told) == 1 else None)


def _named(name: str, words: Iterable[str]) -> bool:
    """Whether a name is one of some words, or begins with it and goes on with no letter."""
    return re.fullmatch(rf"({'|'.join(words)})([^a-z].*)?", name, re.IGNORECASE) is not None


def _series(paths: Sequence[Path], where: Path) -> list[Path]:
    return series.in_order(paths, where) if len(paths) > 1 else list(paths)


def _angles(path: Path | None, views: int, problems: list[str]) -> Angles | None:
    if path is None:
        problems.append("no file of angles: give --angles")
        return None
    angles = listed_angles(path)
    if len(angles) != views:
        many = counted(len(angles), "angle")
        problems.append(f"{path.name} has {many} for {counted(views, 'view')}: give --angles")
        return None
    return angles


def _frames(paths: Sequence[Path], where: Path, views: int) -> Frames | None:
    """Frames of one role, those from before the projections first."""
    if not paths:
        return None
    after = [path for path in paths if _is(AFTER, path, where)]
    before = [path for path in paths if path not in after]
    known = bool(after) or any(_is(BEFORE, path, where) for path in before)
    ordered = [*_series(before, where), *_series(after, where)]
    at = (0.0,) * len(before) + (float(views),) * len(after) if known else ()
    return Frames(_slices.frames(ordered, str(where)), at)


def _is(pattern: re.Pattern[str], path: Path, where: Path) -> bool:
    """Whether a file's name, or that of the folder it lies in, has a word; its own number is none."""
    stem = re.sub(r"[_-]*\d*$", "", path.stem)
    return bool(pattern.fullmatch(stem)) or (path.parent != where and bool(pattern.fullmatch(path.parent.name)))


def write(scan: Scan, folder: Path) -> None:
    """Projections, flats from before and after them, darks and angles.txt, as files of a new folder.

    Raises
    ------
    UsageError
        When it is no scan of a parallel beam: such a folder tells no distances.
    """
    geometry = _written.geometry_of(scan, "TIFF", ["parallel"])
    folder.mkdir()
    dtype, views = _written.counts_dtype(scan), geometry.views
    names = iter(f"tomo_{i:04d}.tif" for i in range(views))
    for frame in _written.counts(scan, dtype):
        _written.picture(folder / next(names), frame, scan.header)
    for frames, role in ((scan.flats, "flat"), (scan.darks, "dark")):
        if frames is None:
            continue
        ends = ["_after" if at >= views else "_before" for at in frames.at] or [""] * frames.count
        numbers = [ends[:i].count(end) for i, end in enumerate(ends)]
        for frame, end, number in zip(_written.counts(frames, dtype), ends, numbers, strict=True):
            _written.picture(folder / f"{role}{end}_{number:04d}.tif", frame, scan.header)
    degrees = geometry.angles.degrees
    (folder / "angles.txt").write_text("".join(f"{angle:.6f}\n" for angle in degrees), encoding="ascii")
