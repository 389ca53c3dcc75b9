"""`bonectl phantom`."""

import textwrap
from typing import Annotated

import typer

from bonectl.cli import streams
from bonectl.cli.command import command
from bonectl.cli.options import WRITES, Request, Seed
from bonectl.errors import UsageError


@command(WRITES)
def phantom(
    request: Request,
    *,
    spec: Annotated[
        str,
        typer.Argument(metavar="SPEC", help="A phantom, such as iliac, or with knobs: 'ball(diameter=1.2)'."),
    ],
    shape: Annotated[
        str, typer.Option("--shape", metavar="Z,Y,X", help="Voxels along z, y and x; one number is a cube.")
    ] = "64,128,128",
    voxel_size: Annotated[float, typer.Option("--voxel-size", metavar="MM", help="Side of a voxel [mm].")] = 0.02,
    seed: Seed = 0,
) -> None:
    """Make bone, or an object with known answers, in mgHA/cm³.

    PHANTOMS

    What is known exactly (BV/TV, Euler number, thickness ...) travels in the header as answers, and
    bonectl measure prints it beside what it finds. Marrow is 0. Streams: memory does not grow with z.

    \b
    Examples:
      bonectl phantom iliac --shape 64,128,128 --voxel-size 0.02 --seed 1 \\
        -o bone.npy
      bonectl phantom 'trabecular(spacing=0.7, plates=0.3)' --shape 32,64,64 |
        bonectl info
      bonectl phantom 'ball(diameter=0.6)' --shape 48 | bonectl measure
    """
    from bonectl.core.spec import parse
    from bonectl.ops import phantom as ops

    stack = ops.phantom(parse(spec), _lengths(shape), voxel_size, seed)
    streams.writing(stack, request, notes={"seed": seed}, cost=ops.cost(stack) if request.dry_run else None)


def _lengths(text: str) -> tuple[int, int, int]:
    """``64,128,128``, or one number for a cube."""
    try:
        lengths = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"cannot read --shape {text!r}; give Z,Y,X such as 64,128,128") from error
    if len(lengths) == 1:
        lengths *= 3
    if len(lengths) != 3 or min(lengths) < 1:
        raise UsageError(f"--shape {text!r} is not three positive lengths; give Z,Y,X such as 64,128,128")
    return lengths[0], lengths[1], lengths[2]


def _phantoms() -> str:
    """The phantoms and what each is, for the help; read from the sources as text."""
    from bonectl.core import kit

    listed = []
    for name in kit.names("phantoms"):
        summary = kit.summary("phantoms", name).replace("`", "")
        listed += textwrap.wrap(f"  {name:<11} {summary}", 72, subsequent_indent=" " * 14)
    return "\b\nPhantoms:\n" + "\n".join(listed)


phantom.__doc__ = (phantom.__doc__ or "").replace("PHANTOMS", _phantoms().replace("\n", "\n    "))
