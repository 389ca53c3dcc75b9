"""Who works on a scan: a lock on an open file, which ends with whoever holds it, killed or not."""

import contextlib
import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bonectl.core import atomic


@dataclass(frozen=True)
class Held:
    """A claim that is ours, until `release`.

    Parameters
    ----------
    path : Path
    descriptor : int
        Handed down to the processes that work on the scan: it is claimed as long as one of them lives.
    """

    path: Path
    descriptor: int

    def release(self) -> None:
        """Give it up; its file goes first, while nobody else can have it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self.descriptor)


def claim(folder: Path, name: str) -> Held | None:
    """Claim a name, or None where another process has it.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    name : str

    Raises
    ------
    BonectlError
        When the folder cannot be written to, or its file system knows no locks.
    """
    path = folder / _file_name(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _locked(descriptor):
                os.close(descriptor)
                return None
            if _is_still(path, descriptor):
                return Held(path, descriptor)
            os.close(descriptor)  # whoever had it before removed it meanwhile
    except OSError as error:
        raise atomic.failure(path.parent, error) from error


def is_claimed(folder: Path, name: str) -> bool:
    """Whether a process works on it now."""
    try:
        descriptor = os.open(folder / _file_name(name), os.O_RDWR)
    except OSError:
        return False
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _file_name(name: str) -> str:
    """A file name that says which scan it is, and is no other's."""
    plain = re.sub(r"[^\w.-]", "_", name)[-80:]
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"
