"""``bonectl measure --plot``: a picture or a page of what was measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.measure_inputs import NAME, Inputs, own, spoken
from bonectl.cli.options import DASH, Request
from bonectl.core import atomic
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.measuring.tables import Examined


@dataclass(frozen=True)
class Picture:
    """A picture to write.

    Parameters
    ----------
    path : Path
        May hold `NAME`.
    window : (float, float), optional
        Values that are black and white in it.
    force : bool
        Whether it replaces one that is there.
    """

    path: Path
    window: tuple[float, float] | None
    force: bool

    @classmethod
    def of(cls, path: Path | None, window: str | None, inputs: Inputs, *, force: bool) -> "Picture | None":
        """The picture that is asked for; what could not be written is refused before anything is read.

        Raises
        ------
        UsageError, OutputError, PermissionDeniedError
        """
        if path is None:
            if window is not None:
                raise UsageError("--window is of the picture; give --plot too")
            return None
        if path.suffix.lower() not in (".png", ".html"):
            raise UsageError(f"{path}: a picture is named .png, a page .html")
        found = cls(path, None if window is None else _window(window), force)
        paths = found.paths(inputs)
        if len(set(paths)) < len(paths):
            raise UsageError(
                f"{path}: {len(paths)} volumes and one name; write {NAME} in it, with files of different names"
            )
        for each in paths:
            atomic.check(each, force=force)
        return found

    def paths(self, inputs: Inputs) -> list[Path]:
        """Where the picture of each volume goes."""
        return [own(self.path, source) for source in inputs.sources]

    def draw(self, found: "Examined", request: Request) -> None:
        """Write the picture or the page, whole or not at all."""
        import shlex

        import bonectl
        from bonectl.measuring import report

        if self.path.suffix.lower() == ".png":
            data = report.png(found, window=self.window)
        else:
            title = spoken(DASH) if request.source == DASH else streams.plain(request.source.name)
            origin = f"bonectl {bonectl.__version__}, {streams.now()}: {streams.plain(shlex.join(request.argv))}"
            data = report.html(found, title=title, origin=origin, window=self.window).encode()
        with atomic.replacing(own(self.path, request.source), force=self.force) as temporary:
            temporary.write_bytes(data)


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(":"))
    except ValueError:
        raise UsageError(f"--window {text!r}; write LOW:HIGH, such as -400:1600") from None
    if not -3e38 < low < high < 3e38:  # a picture has 32-bit values
        raise UsageError(f"--window {text}; black must lie below white, and both be finite")
    return low, high
