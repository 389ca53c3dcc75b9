"""Output that is there when it is whole, and not before."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bonectl.core import ending, progress
from bonectl.errors import BonectlError, OutputError, PermissionDeniedError, WriteError

# Files of a folder that wait for the disk at the same time, so that it writes them in one go.
SYNCHRONISED = 16

# What a write that failed leaves.
LEFT = "nothing was left behind"


def check(path: Path, *, force: bool = False) -> None:
    """Refuse early what could not be written later.

    Raises
    ------
    OutputError
        When `path` exists and `force` is not given, or its folder does not exist.
    PermissionDeniedError
        When its folder may not be written to.
    """
    if path.exists() and not force:
        raise OutputError(f"{path}: exists already; give --force to replace it, or another name")
    parent = target(path).parent
    if not parent.is_dir():
        raise OutputError(f"{path}: there is no folder {parent}; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionDeniedError(f"{path}: the folder {parent} may not be written to")


def target(path: Path) -> Path:
    """Where a name leads: links are followed, as cp does, so that they stay links."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def inherit(old: Path, new: Path) -> None:
    """Give a file that is to replace another its mode, owner and group, as far as they may be given; tell the rest.

    Parameters
    ----------
    old : Path
        The file that is there; nothing happens where there is none, or it is no regular file.
    new : Path
        The file that takes its place.
    """
    try:
        before = old.stat()
    except OSError:
        return
    if not stat.S_ISREG(before.st_mode) or not new.is_file():
        return
    for owner in ((before.st_uid, -1), (-1, before.st_gid)):
        with contextlib.suppress(PermissionError):
            os.chown(new, *owner)
    after = new.stat()
    foreign = after.st_gid != before.st_gid
    # rights of a group that could not be kept would be those of another
    new.chmod(stat.S_IMODE(before.st_mode) & ~(0o070 if foreign else 0))
    if foreign or after.st_uid != before.st_uid:
        progress.note(f"{old}: its owner or group could not be kept: it belongs to you now")
    if before.st_nlink > 1:
        progress.note(f"{old}: has other names (hard links), which keep what was there before")


def failure(path: Path | str, error: OSError, left: str = LEFT) -> BonectlError:
    """The error, with its exit status, that an OSError while writing `path` amounts to, and what is `left` after it."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{path}: {reason.lower()}")
    return WriteError("; ".join(filter(None, (f"{path}: {reason.lower()}", left))))


@contextlib.contextmanager
def replacing(path: Path, *, force: bool = True, left: str = LEFT) -> Iterator[Path]:
    """A hidden temporary name beside `path`, moved onto it when the block succeeds.

    The block may create a file or a folder under that name. Whatever goes wrong, signals included
    (`bonectl.core.ending`), the temporary is removed and an older `path` stays as it was. A link is followed, and
    what is replaced hands on its mode, owner and group.

    Parameters
    ----------
    path : Path
    force : bool
        Whether there may be an older one.
    left : str
        What is there after a write that failed, for its message.

    Raises
    ------
    OutputError, PermissionDeniedError
        See `check`.
    WriteError
        When the disk is full, or fails.
    """
    check(path, force=force)
    place = target(path)
    try:
        with vanishing(place.parent, place.suffix) as temporary:
            yield temporary
            settle(temporary)
            inherit(place, temporary)
            if place.is_dir():
                shutil.rmtree(place)
            temporary.replace(place)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise failure(path, error, left) from error


@contextlib.contextmanager
def vanishing(folder: Path, suffix: str = "") -> Iterator[Path]:
    """A hidden name in a folder; whatever has it when the block ends, or a signal ends the process, is removed.

    Parameters
    ----------
    folder : Path
    suffix : str
        What the name ends in; left out where it is long.
    """
    # Names may have up to 255 bytes: the temporary must not be longer than the name it stands for.
    temporary = folder / f".bonectl-{os.urandom(6).hex()}.part{suffix if len(suffix) < 8 else ''}"
    with ending.undoing(lambda: _remove(temporary)):
        try:
            yield temporary
        finally:
            _remove(temporary)


def settle(path: Path) -> None:
    """Let the bytes of a file, or of all files below a folder, reach the disk before their name does."""
    if not path.is_dir():
        _synchronise(path)
        return
    with ThreadPoolExecutor(SYNCHRONISED) as pool:  # together: one by one, each waits for the disk
        list(pool.map(_synchronise, (file for file in path.rglob("*") if file.is_file())))


def _synchronise(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _remove(path: Path) -> None:
    aside = path.with_name(f"{path.name}.gone")
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.rename(aside)  # a thread that still writes into the folder finds it no more
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
