"""Every option that two commands share, declared once; and what they amount to, as values."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bonectl.cli.report import Progress
from bonectl.core import kit
from bonectl.errors import UsageError

DASH = Path("-")

# The format of a stream between commands.
STREAM = "npy"

# The formats that are read, for help; bonectl-io(7) says more of them.
FORMATS_READ = ", ".join(kit.defining("io", "read"))


class NaN(StrEnum):
    """What to do with values that are not finite."""

    fail = "fail"
    zero = "zero"
    fill = "fill"


class Order(StrEnum):
    """Orders of a scan."""

    sinogram = "sinogram"
    projection = "projection"


class Layout(StrEnum):
    """What the three axes of a plain file are."""

    volume = "volume"
    sinogram = "sinogram"
    projection = "projection"


Source = Annotated[
    Path,
    typer.Argument(
        metavar="IN",
        help=f"Stack to read: {FORMATS_READ}, or a folder of TIFF slices; - or nothing is standard input.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="Stack to write: x.npy, x.tif, or slice_%05d.tif for a file per slice; - is standard output.",
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"Format of the output where its name does not tell: {', '.join(kit.defining('io', 'write'))}.",
        show_default=f"by name, else {STREAM}",
    ),
]
Bare = Annotated[
    bool, typer.Option("--bare", help="Plain NPY without our header comment; the header goes to OUT.json.")
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]
NoHistory = Annotated[bool, typer.Option("--no-history", help="Write no history entry: same data, same bytes.")]
Slab = Annotated[
    int,
    typer.Option(
        "--slab",
        metavar="N",
        min=0,
        help="Slices read and written at a time; 0 chooses. Never changes a value.",
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Memory that may be held, such as 6G or 800M (of 1024): work is cut to fit, or refused. Never changes a "
        "value.",
        show_default="most of what is free",
    ),
]
VoxelSize = Annotated[
    float | None,
    typer.Option(
        "--voxel-size",
        metavar="MM",
        help="Voxel size (detector pitch of a scan) [mm] where the input has none.",
    ),
]
Unit = Annotated[
    str | None,
    typer.Option("--input-unit", metavar="UNIT", help="What the input's values are, where it does not tell."),
]
NotFinite = Annotated[
    NaN,
    typer.Option(
        "--nan",
        help="NaN and infinite values in the input: fail; zero sets them to 0 (not in counts and transmissions, where "
        "0 absorbs all); fill takes them from their neighbours in the slice.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print shape, memory, disk and time; write nothing.")]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="With --dry-run, print the estimate as JSON (schema bonectl.plan/1, see bonectl(1))."),
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=0, help="Threads to use; 0 is all processors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Progressing = Annotated[Progress, typer.Option("--progress", help="How progress is shown on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        max=2**64 - 1,
        help="Seed of all random draws, below 2^64; recorded in the history.",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, or auto: a GPU where there is one."),
]
Flats = Annotated[Path | None, typer.Option("--flats", metavar="FILE", help="Readings without the object, for counts.")]

Darks = Annotated[Path | None, typer.Option("--darks", metavar="FILE", help="Readings without beam, for counts.")]

ViewAngles = Annotated[
    str | None,
    typer.Option(
        "--angles",
        metavar="DEG|FILE",
        help="Arc that the views divide evenly (its end is no view), or a file of one angle per view, "
        ".npy or text [degree].",
    ),
]

TriedSlice = Annotated[
    int | None,
    typer.Option("--slice", metavar="N", min=0, help="Slice of --try, from 0.", show_default="the middle one"),
]

TriedSheet = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE.png", help="Picture of the tries of --try side by side, in one grey window."),
]

Energy = Annotated[
    float | None,
    typer.Option("--energy", metavar="KEV", help="Photon energy [keV], for attenuation and mineral density."),
]
Matrix = Annotated[
    str, typer.Option("--matrix", metavar="NAME", help="What fills the rest of bone: water, adipose or pmma.")
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="SPEC",
        help="Law between values and mgHA/cm³, such as 'rods(table=rods.tsv)'; see bonectl-calibrations(7).",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the shared options of one command said.

    Parameters
    ----------
    command : str
        The command's name, for messages.
    argv : tuple of str
        The whole command line, for the history.
    source, output : Path
        ``-`` is standard input or output.
    format, bare, force, no_history, slab, voxel_size, input_unit, nan, dry_run, as_json
        See the options above.
    """

    command: str
    argv: tuple[str, ...]
    source: Path = DASH
    output: Path = DASH
    format: str | None = None
    bare: bool = False
    force: bool = False
    no_history: bool = False
    slab: int = 0
    voxel_size: float | None = None
    input_unit: str | None = None
    nan: NaN = NaN.fail
    dry_run: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if _leads_to_standard_output(self.output):
            object.__setattr__(self, "output", DASH)
        if self.as_json and not self.dry_run:
            raise UsageError("--json is for an estimate; give --dry-run --json")


def _leads_to_standard_output(path: Path) -> bool:
    """Whether a name such as ``/dev/stdout`` is a link to standard output: it must not be replaced by a file."""
    try:
        return sys.stdout is not None and path.is_symlink() and os.path.samestat(path.stat(), os.fstat(1))
    except (OSError, ValueError):
        return False


# Groups of shared options that a command takes: field of Request -> (option, default).
Group = Mapping[str, tuple[object, object]]
READS: Group = {
    "source": (Source, DASH),
    "voxel_size": (VoxelSize, None),
    "input_unit": (Unit, None),
    "nan": (NotFinite, NaN.fail),
}
WRITES: Group = {
    "output": (Output, DASH),
    "format": (Form, None),
    "bare": (Bare, False),
    "force": (Force, False),
    "no_history": (NoHistory, False),
    "slab": (Slab, 0),
    "dry_run": (DryRun, False),
    "as_json": (AsJson, False),
}
SPEAKS: Group = {
    "threads": (Threads, 0),
    "quiet": (Quiet, False),
    "progress": (Progressing, Progress.auto),
    "debug": (Debug, False),
}

# Which kit's parts the value of an option names: checked before anything heavy is imported, and completed.
KIT_OF = {
    "loss": "losses",
    "model": "models",
    "teacher": "models",
    "pairs": "pairings",
    "method": "methods",
    "metrics": "metrics",
    "geometry": "geometries",
    "noise": "noises",
    "calibrate": "calibrations",
    "format": "io",
    "prepare": "preparations",
}


_POWERS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def size_in_bytes(text: str | None) -> int | None:
    """A size such as 6G, 6GiB or 6GB, all of 1024, in bytes."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None or not float(found[1]) > 0:
        raise UsageError(f"--max-memory {text!r}; give a size such as 6G or 800M")
    return int(float(found[1]) * (1 << _POWERS[found[2].upper()]))
