"""`bonectl reconstruct --try`: one slice with the rotation axis at several columns, for the eye and in numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import provenance, streams
from bonectl.cli.options import DASH, Request
from bonectl.cli.scan_files import ScanFiles
from bonectl.core import atomic, progress
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.header import Fact
    from bonectl.core.stack import Stack
    from bonectl.scanning.reconstruction import Plan, ReconstructRequest
    from bonectl.scanning.tries import Tried

AUTO = "auto"


@dataclass(frozen=True)
class Tries:
    """What is tried, and how it is shown.

    Parameters
    ----------
    columns : str
        FROM:TO:STEP, or auto.
    index : int, optional
        The slice; the middle one when not given.
    sheet : Path, optional
        Picture of all tries.
    as_json : bool
        Whether scores are printed as JSON.
    """

    columns: str
    index: int | None
    sheet: Path | None
    as_json: bool

    @classmethod
    def of(cls, columns: str | None, index: int | None, sheet: Path | None, *, as_json: bool) -> "Tries | None":
        """The mode; None where nothing is to be tried.

        Raises
        ------
        UsageError
            When options of --try come without it, or the sheet is no PNG.
        """
        if columns is None:
            if index is not None or sheet is not None:
                raise UsageError("--slice and --sheet are for --try; give --try FROM:TO:STEP, or auto")
            return None
        if sheet is not None and sheet.suffix.lower() != ".png":
            raise UsageError(f"{sheet}: the sheet is a PNG; name it FILE.png")
        return cls(columns, index, sheet, as_json)

    def check(self, request: Request, asked: "ReconstructRequest") -> None:
        """Refuse what a try does not take, before anything is read.

        Raises
        ------
        UsageError
            Naming what to leave out.
        OutputError
            When the sheet exists.
        """
        if asked.centre is not None:
            raise UsageError("--centre and --try; give one of them")
        if asked.device_name not in ("cpu", AUTO) or asked.backend != AUTO:
            raise UsageError("--try runs on the CPU; leave out --device and --backend")
        if request.dry_run:
            raise UsageError("--dry-run is for a volume; leave out --try")
        self._tried()
        if self.sheet is not None:
            atomic.check(self.sheet, force=request.force)

    def run(self, scan: "Stack", plan: "Plan", request: Request, beside: ScanFiles) -> None:
        """Scores on standard output; a picture and a stack where asked for."""
        from bonectl.scanning.tries import try_columns

        done = try_columns(scan, plan, centres=self._tried(), index=self.index)
        if self.sheet is not None:
            from bonectl.scanning.sheet import contact_sheet

            with atomic.replacing(self.sheet, force=request.force) as temporary:
                temporary.write_bytes(contact_sheet(done))
        if request.output != DASH:
            streams.writing(done.stack(), request, self._facts(done, plan) | provenance.of_files(beside.read))
        progress.note(_verdict(done))
        if done.disagrees:
            progress.note(f"opposite views put it at column {done.mirrored:.2f} instead; look at both")
        streams.say((done.json() if self.as_json else done.tsv()).rstrip("\n"))

    def _tried(self) -> tuple[float, ...] | None:
        """Columns; None for those around the automatic one."""
        from bonectl.scanning.tries import spread

        if self.columns == AUTO:
            return None
        try:
            first, last, step = map(float, self.columns.split(":"))
        except ValueError:
            raise UsageError(f"--try {self.columns!r}; give FROM:TO:STEP such as 290:300:0.5, or auto") from None
        return spread(first, last, step)

    def _facts(self, done: "Tried", plan: "Plan") -> "dict[str, Fact]":
        """The plan's, with the columns that were tried in place of one."""
        columns = done.centres
        step = columns[1] - columns[0] if len(columns) > 1 else 1.0
        told = {name: value for name, value in plan.facts().items() if not name.startswith("centre")}
        tried = f"{columns[0]:g}:{columns[-1]:g}:{step:g}"
        return {"tried": tried, "slice": done.index, "best": columns[done.best], **told}


def _verdict(done: "Tried") -> str:
    columns, best = done.centres, done.best
    said = f"column {columns[best]:g} scores best of {len(columns)}"
    if len(columns) > 1 and best in (0, len(columns) - 1):
        return f"{said}, at the end of what was tried; try on from there"
    return f"{said}; the least score lies near {done.between:.2f}" if len(columns) > 1 else said
