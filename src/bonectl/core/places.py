"""Questions about paths that are answered and never raise."""

from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether there is something at a path; False where it may not be looked at, and for a name that is too long."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False where it may not be looked at, and for a name that is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False
