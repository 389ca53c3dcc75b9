"""What it amounts to that an input cannot be opened or read."""

import errno
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
    if error.errno in _MISSING:
        return MissingInputError(f"{path}: {reason}")
    if error.errno == errno.EISDIR:
        return DataError(f"{path}: is a folder; a file is needed")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return WriteError(f"{path}: cannot be opened: {reason}; raise the limit (ulimit -n)")
    return WriteError(f"{path}: cannot be read: {reason}")
