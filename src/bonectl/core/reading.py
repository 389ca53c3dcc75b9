"""What it amounts to that an input cannot be opened or read."""

import errno
import stat
from collections.abc import Callable
from pathlib import Path

from bonectl.errors import BonectlError, DataError, MissingInputError, PermissionDeniedError, WriteError

_DENIED = (errno.EACCES, errno.EPERM)
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def failure(path: Path | str, error: OSError) -> BonectlError:
    """The error, with its exit status, that an OSError while opening or reading `path` amounts to.

    Parameters
    ----------
    path : path or str
        How the message calls the input.
    error : OSError
    """
    reason = (error.strerror or str(error)).lower()
    if error.errno in _DENIED:
        return PermissionDeniedError(f"{path}: {reason}")
    if error.errno == errno.ENOENT and Path(path).is_symlink():
        return MissingInputError(f"{path}: is a link to what is not there")
    if error.errno in _MISSING:
        return MissingInputError(f"{path}: {reason}")
    if error.errno == errno.EISDIR:
        return DataError(f"{path}: is a folder; a file is needed")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return WriteError(f"{path}: cannot be opened: {reason}; raise the limit (ulimit -n)")
    return WriteError(f"{path}: cannot be read: {reason}")


def is_folder(path: Path) -> bool:
    """Whether a folder lies there; no, and no error, where it may not be looked at or no name can be so long."""
    return _is(path, stat.S_ISDIR)


def is_file(path: Path) -> bool:
    """Whether a regular file lies there; no, and no error, as for `is_folder`."""
    return _is(path, stat.S_ISREG)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False
