"""Where compiled kernels are kept between runs: numba refuses to be imported with where it finds no place.

numba looks for a place beside the sources, then in the user's cache folder; a service account or a container with a
read-only installation and no home has neither. Then they go to a private folder among the temporary files.
"""

import atexit
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bonectl.core import places
from bonectl.core.home import expanded

COMPILING = "compiling for this machine, once: later runs begin at once"
VARIABLE, DRAWING = "NUMBA_CACHE_DIR", "MPLCONFIGDIR"


_chosen: list[Path] = []


def settle() -> None:
    """Give numba a place for compiled kernels where it would find none; to be called before it is imported.

    matplotlib, which looks for a place of its own and complains in its own words, gets one beside.
    """
    unplaced = not os.environ.get(VARIABLE) and not _finds_place()
    undrawn = not os.environ.get(DRAWING) and not _home_takes(Path("~/.config/matplotlib"))
    folder = _private() or _fleeting() if unplaced or undrawn else None
    if folder is None:  # numba will say so, where it is needed
        return
    if undrawn:
        os.environ[DRAWING] = str(folder)
    if not unplaced:
        return
    _chosen.append(folder)
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:  # it has read its environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)


def note() -> str:
    """What to say when kernels have been compiled into a place of ours; empty when none were."""
    if not _chosen or "numba" not in sys.modules:
        return ""
    return (
        f"compiled kernels are kept in {_chosen[0]}, for there is no home to write to; {VARIABLE} names another folder"
    )


def announce(say: Callable[[str], None]) -> None:
    """Say once, when the first kernel is not found among those that are kept, why it takes long.

    Nothing is imported for it: it waits until somebody imports numba.
    """
    sys.meta_path.insert(0, _Announcement(say))


class _Announcement:
    """Sees numba being imported, and listens to its compiler from then on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Find nothing: the import goes on as it would."""
        if name != "numba.core.dispatcher":
            return
        sys.meta_path.remove(self)
        from numba.core import event

        say = self.say

        class Listener(event.Listener):  # type: ignore[misc]
            def on_start(self, _: object) -> None:
                event.unregister("numba:compile", self)
                say(COMPILING)

            def on_end(self, _: object) -> None:
                pass

        event.register("numba:compile", Listener())


def _finds_place() -> bool:
    """Whether all folders of sources, or the user's cache folder, can be written to."""
    package = Path(__file__).parent.parent
    if all(_writable(folder / "__pycache__") for folder in package.iterdir() if (folder / "__init__.py").is_file()):
        return True
    caches = os.environ.get("XDG_CACHE_HOME")
    return _writable(Path(caches) / "numba") if caches else _home_takes(Path("~/.cache/numba"))


def _home_takes(folder: Path) -> bool:
    """Whether a folder of the user's home can be written to, or be made; not where there is no home."""
    there = expanded(folder)
    return there.is_absolute() and _writable(there)


def _writable(folder: Path) -> bool:
    """Whether a folder can be written to, or be made."""
    there = next((part for part in (folder, *folder.parents) if os.path.lexists(part)), folder)
    return places.is_folder(there) and os.access(there, os.W_OK | os.X_OK)


def _private() -> Path | None:
    """A folder of this user's own that outlives the process; None where there is none, or it is another's."""
    try:
        folder = Path(tempfile.gettempdir()) / f"bonectl-kernels-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    # Whoever may write there could have us run his code.
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return folder if own and os.access(folder, os.W_OK | os.X_OK) else None


def _fleeting() -> Path | None:
    """A folder for this process alone, in memory where no disk can be written to; None where there is no memory."""
    for place in (None, "/dev/shm"):
        try:
            folder = Path(tempfile.mkdtemp(prefix="bonectl-kernels-", dir=place))
        except OSError:
            continue
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    return None
