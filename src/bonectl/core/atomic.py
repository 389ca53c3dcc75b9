"""Output that is there when it is whole, and not before."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from bonectl.core import ending
from bonectl.errors import BonectlError, OutputError, PermissionDeniedError, WriteError


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
    parent = path.parent
    if not parent.is_dir():
        raise OutputError(f"{path}: there is no folder {parent}; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionDeniedError(f"{path}: the folder {parent} may not be written to")


def failure(path: Path | str, error: OSError) -> BonectlError:
    """The error, with its exit status, that an OSError while writing `path` amounts to."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{path}: {reason.lower()}")
    return WriteError(f"{path}: {reason.lower()}; nothing was left behind")


@contextlib.contextmanager
def replacing(path: Path, *, force: bool = True) -> Iterator[Path]:
    """A hidden temporary name beside `path`, moved onto it when the block succeeds.

    The block may create a file or a folder under that name. Whatever goes wrong, signals included
    (`bonectl.core.ending`), the temporary is removed and an older `path` stays as it was.

    Raises
    ------
    OutputError, PermissionDeniedError
        See `check`.
    WriteError
        When the disk is full, or fails.
    """
    check(path, force=force)
    try:
        with vanishing(path.parent, path.suffix) as temporary:
            yield temporary
            settle(temporary)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            temporary.replace(path)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise failure(path, error) from error


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
    temporary = folder / f".bonectl-{secrets.token_hex(6)}.part{suffix if len(suffix) < 8 else ''}"
    with ending.undoing(lambda: _remove(temporary)):
        try:
            yield temporary
        finally:
            _remove(temporary)


def settle(path: Path) -> None:
    """Let the bytes of a file, or of the files in a folder, reach the disk before their name does."""
    for part in path.iterdir() if path.is_dir() else [path]:
        with part.open("rb") as file:
            os.fsync(file.fileno())


def _remove(path: Path) -> None:
    aside = path.with_name(f"{path.name}.gone")
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.rename(aside)  # a thread that still writes into the folder finds it no more
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
