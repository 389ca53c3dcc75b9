"""The volumes that `bonectl measure` reads, and what it reads beside each: reference, mask, label, calibration."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.files import apart
from bonectl.cli.options import DASH, Request
from bonectl.errors import BonectlError, UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack
    from bonectl.measuring import request as measuring

# In a path: the name of the volume's file, without its suffix.
NAME = "{name}"

# As --label: all labels of the image, one after another.
EACH = "each"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Volumes, and what is read beside each; paths may hold `NAME`.

    Parameters
    ----------
    sources : list of Path
    reference : Path, optional
    mask : str, optional
        A file, or the name of a region.
    label : int, optional
        The one label that is taken as bone.
    each : bool
        Whether all labels are, one after another.
    mask_label : int, optional
    calibrate : str, optional
        Law between values and density.
    """

    sources: list[Path]
    reference: Path | None = None
    mask: str | None = None
    label: int | None = None
    each: bool = False
    mask_label: int | None = None
    calibrate: str | None = None

    def beside(self, source: Path) -> "Inputs":
        """What is read beside one volume: its own files."""
        reference = None if self.reference is None else own(self.reference, source)
        mask = None if self.mask is None else str(own(Path(self.mask), source)) if NAME in self.mask else self.mask
        return replace(self, sources=[source], reference=reference, mask=mask)

    def check(self, *read: Path | None, written: list[Path]) -> None:
        """Refuse what would be read twice and can be read once, and outputs that would replace what is read.

        Raises
        ------
        UsageError
        """
        found = [self.beside(path) for path in self.sources]
        beside = [path for each in found for path in (each.reference, each.mask)]
        apart([*self.sources, *beside, *read, self.calibrate], written)
        if self.reference == DASH or self.mask == "-":
            raise UsageError(
                "only the volume itself can come from standard input; give the reference and mask as files"
            )
        if self.sources.count(DASH) > 1:
            raise UsageError("standard input is given twice; it can be read once")
        if len(self.sources) > 1:
            for path in (self.reference, None if self.mask is None else Path(self.mask)):
                if path is not None and path.is_fifo():
                    raise UsageError(
                        f"{path}: is a pipe, which can be read once, for {len(self.sources)} volumes; give a file"
                    )

    def check_each(self, **of_one: object) -> None:
        """Refuse beside --label each what can be read once, and what is of one bone.

        Raises
        ------
        UsageError
        """
        if not self.each:
            return
        for path in self.sources:
            if is_read_once(path):
                raise UsageError(
                    f"{spoken(path)}: can be read once, and --label {EACH} reads for each label; give a file"
                )
        if one := next((name for name, value in of_one.items() if value is not None), None):
            raise UsageError(f"--{one} is of one bone; give --label N instead of --label {EACH}")

    @contextlib.contextmanager
    def opened(self, request: Request, asked: "measuring.Request") -> Iterator[tuple["Stack", "measuring.Request"]]:
        """One volume, and what is asked of it with its own reference and mask, which are opened anew for each."""
        from bonectl.stacks.placing import placed

        wanted = self.beside(request.source)
        with contextlib.ExitStack() as files:
            stack = _one(files.enter_context(streams.reading(request)), self.label, "the volume")
            reference = None
            if wanted.reference is not None:
                reference = _like(files.enter_context(streams.opened(wanted.reference, nan=request.nan)), request)
                labelled = reference.header.unit == "label"
                reference = _one(reference, self.label, "the reference") if labelled else reference
            if self.calibrate is not None:
                stack, reference = _calibrated(stack, reference, self.calibrate)
            region = _region(wanted, files)
            if region is not None and not isinstance(region, str):
                region = placed(region, stack.header)
            yield stack, replace(asked, mask=region, reference=reference)

    def labels(self, request: Request) -> list[int]:
        """All labels of one volume."""
        from bonectl.measuring.labels import all_of

        with streams.reading(request) as stack:
            return all_of(stack, "the volume")


def own(path: Path, source: Path) -> Path:
    """A path with the name of a volume in it; of standard input it is "stdin"."""
    return Path(str(path).replace(NAME, "stdin" if source == DASH else source.stem))


def label_of(text: str | None) -> int | None:
    """The label that is asked for; None for all of them, as one bone or as `EACH`.

    Raises
    ------
    UsageError
        When it is none.
    """
    if text is None or text == EACH:
        return None
    if not text.isdecimal() or not 1 <= int(text[:20]) < 2**63:
        raise UsageError(f"--label {text!r}; give a whole number from 1 on, or {EACH}")
    return int(text)


def is_read_once(path: Path) -> bool:
    """Whether a volume is gone when it has been read."""
    return path == DASH or path.is_fifo() or path.is_char_device()


def spoken(path: Path) -> str:
    """How messages call a volume."""
    return streams.STDIN if path == DASH else str(path)


def naming(path: Path, error: Exception) -> Exception:
    """The error, naming the volume if it does not yet; what is no error of ours stays as it is."""
    if not isinstance(error, BonectlError) or spoken(path) in str(error):
        return error
    return type(error)(f"{spoken(path)}: {error}").with_traceback(error.__traceback__)


def _region(inputs: Inputs, files: contextlib.ExitStack) -> "Stack | str | None":
    """The volume of interest: a file as a stack, the name of a region as it is."""
    from bonectl.core import kit

    if inputs.mask is not None and inputs.mask.partition("(")[0].strip() not in kit.names("regions"):
        return _one(files.enter_context(streams.opened(Path(inputs.mask))), inputs.mask_label, "the mask")
    if inputs.mask_label is not None:
        raise UsageError("--mask-label is of a label image in a file; give it as --mask")
    return inputs.mask


def _one(stack: "Stack", label: int | None, what: str) -> "Stack":
    """One label of a label image, where that is asked for."""
    from bonectl.measuring.labels import chosen

    return stack if label is None else chosen(stack, label, what)


def _calibrated(stack: "Stack", reference: "Stack | None", text: str) -> tuple["Stack", "Stack | None"]:
    """The volume in mgHA/cm3, and the reference where it is in the same unit as the volume was."""
    from bonectl.core.spec import parse
    from bonectl.ops.calibrate import calibrated

    spec = parse(text)
    if reference is not None and reference.header.unit == stack.header.unit:
        reference = calibrated(reference, spec)
    return calibrated(stack, spec), reference


def _like(reference: "Stack", request: Request) -> "Stack":
    """A plain reference is declared by the same options as the volume."""
    silent = reference.header.unit == "grey" or None in reference.header.spacing
    return streams.declared(reference, request) if silent else reference
