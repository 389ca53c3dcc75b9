"""`bonectl prepare --try`: one slice for each value of a knob, for the eye."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.options import DASH, Request
from bonectl.core import atomic
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.header import Fact
    from bonectl.ops.try_steps import Opened
    from bonectl.scanning.preparing import Beam

_WRITTEN = re.compile(r"\s*(\w+)\s*\(\s*(\w+)\s*=\s*([^()]+?)\s*\)\s*")


@dataclass(frozen=True)
class KnobTries:
    """What is tried, and how it is shown.

    Parameters
    ----------
    part, knob : str
    values : tuple
        Numbers or words.
    index : int, optional
        The slice; the middle one when not given.
    sheet : Path, optional
        Picture of all tries.
    """

    part: str
    knob: str
    values: tuple[str | float | int, ...]
    index: int | None
    sheet: Path | None

    @classmethod
    def of(cls, text: str | None, index: int | None, sheet: Path | None) -> "KnobTries | None":
        """From ``part(knob=FROM:TO:STEP)`` or ``part(knob=A|B|C)``; None where nothing is to be tried.

        Raises
        ------
        UsageError
            When it is neither, options of --try come without it, or the sheet is no PNG.
        """
        if text is None:
            if index is not None or sheet is not None:
                raise UsageError("--slice and --sheet are for --try; give --try 'stripes(size=11:51:10)'")
            return None
        if sheet is not None and sheet.suffix.lower() != ".png":
            raise UsageError(f"{sheet}: the sheet is a PNG; name it FILE.png")
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise UsageError(f"--try {text!r}; give part(knob=FROM:TO:STEP), or part(knob=A|B|C)")
        return cls(found[1], found[2], _values(text, found[3]), index, sheet)

    def settles(self, specs: tuple[Spec, ...]) -> bool:
        """Whether the axis of a step that joins the scan is what is tried."""
        return self.knob == "centre" and any(spec.name == self.part for spec in specs)

    def run(
        self, opened: "Opened", specs: tuple[Spec, ...], beam: "Beam", request: Request, notes: "Mapping[str, Fact]"
    ) -> None:
        """A line for each value on standard output; a picture and a stack, with `notes`, where asked for.

        Raises
        ------
        UsageError
            When the input comes only once; as `bonectl.ops.try_steps.try_steps`.
        """
        from bonectl.ops.try_steps import try_steps, varied
        from bonectl.scanning.sheet import sheet_of

        if request.dry_run or streams.comes_once(request.source):
            raise UsageError("--try reads the scan again for each value: give a file, and no --dry-run")
        if self.sheet is not None:
            atomic.check(self.sheet, force=request.force)
        steps = varied(specs, self.part, self.knob, self.values)
        done = try_steps(opened, steps, self.part, self.knob, beam, self.index)
        if self.sheet is not None:
            titles = ["without", *(f"{value}: {off:.3g}" for value, off in zip(done.values, done.changed, strict=True))]
            heading = f"slice {done.index} by {self.knob} of {self.part}: how much it changes the slice"
            picture = sheet_of(
                done.header, [done.without, *done.tries], titles, heading, (done.without, f"without {self.part}")
            )
            with atomic.replacing(self.sheet, force=request.force) as temporary:
                temporary.write_bytes(picture)
        if request.output != DASH:
            tried = f"{self.part}.{self.knob} = {', '.join(done.values)}"
            streams.writing(done.stack(), request, {**notes, "tried": tried})
        streams.say(done.tsv().rstrip("\n"))


def _values(text: str, given: str) -> tuple[str | float | int, ...]:
    """Numbers from a range, or words and numbers between bars."""
    from bonectl.scanning.tries import spread

    if "|" in given:
        return tuple(_number(word.strip()) for word in given.split("|"))
    try:
        first, last, step = map(float, given.split(":"))
    except ValueError:
        raise UsageError(f"--try {text!r}; give part(knob=FROM:TO:STEP), or part(knob=A|B|C)") from None
    whole = all(part.strip().lstrip("+-").isdigit() for part in given.split(":"))
    return tuple(int(value) if whole else value for value in spread(first, last, step))


def _number(word: str) -> str | float | int:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word
