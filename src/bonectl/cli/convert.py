"""`bonectl convert`."""

from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import files, streams
from bonectl.cli.command import command
from bonectl.cli.options import READS, WRITES, Calibrate, Layout, Order, Request
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonectl.core.slabs import Array
    from bonectl.core.stack import Stack
    from bonectl.stacks.crop import Ranges


Axes = Annotated[
    Layout | None,
    typer.Option(
        "--axes",
        help="What the input's axes are, where it does not tell: (z, y, x), (row, view, col), (view, row, col).",
    ),
]
Crop = Annotated[
    str | None, typer.Option("--crop", metavar="Z,Y,X", help="Part to keep, as Python slices: 10:20,:,5:-5.")
]
ViewOrder = Annotated[
    Order | None,
    typer.Option("--order", help="Turn a scan to sinograms or projections; holds it, in memory or a temporary file."),
]
Bin = Annotated[
    int, typer.Option("--bin", metavar="K", min=1, help="Average K³ voxels, or K² detector pixels (counts add up).")
]
DType = Annotated[
    str | None,
    typer.Option("--dtype", metavar="TYPE", help="Nearest value of another type: uint8, float32 ...; never rescaled."),
]
ValueWindow = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="LO:HI",
        help="With --dtype uint16 (or uint8, int16, int8): let the type's whole range stand for these values, for "
        "programs that want integers. Slope and intercept stay in the header; what lies outside is clipped and "
        "counted.",
    ),
]


@command(READS, WRITES)
def convert(
    request: Request,
    *,
    axes: Axes = None,
    crop: Crop = None,
    order: ViewOrder = None,
    bin_: Bin = 1,
    calibrate: Calibrate = None,
    dtype: DType = None,
    window: ValueWindow = None,
) -> None:
    """Change the format, order, extent, sampling or type of a stack, and keep its meaning.

    Input is in any format of bonectl-io(7), such as NPY, TIFF, NRRD, MetaImage or NIfTI, which its bytes tell, or a
    folder of TIFF slices; the name of the output tells its format. Changes are made in this order: --axes, --crop,
    --order, --bin, --calibrate, --dtype. A value is never rescaled: without --calibrate and --bin, output values equal
    input values, or are the nearest of their new type; a value that does not fit is an error.

    With --window, stored numbers stand for values: value = slope × stored + intercept. bonectl reads the values back,
    in their unit, to half a step of the window; other programs see the numbers, and "bonectl info" prints the law.

    Streams, except --order, and --calibrate with a part that reads the whole histogram.

    \b
    Examples:
      bonectl phantom ball --shape 16,32,32 -o ball.npy
      bonectl convert ball.npy -o ball.tif
      bonectl convert ball.tif -o ball.nrrd
      bonectl convert ball.npy --crop 4:12,:,: -o slices/ball_%05d.tif
      bonectl convert ball.npy --bin 2 | bonectl info
      bonectl convert ball.npy --dtype uint16 --window 0:1500 -o ball16.tif
    """
    from bonectl.stacks.convert_cost import cost as cost_of

    files.apart([request.source, calibrate], files.written(request))
    with streams.reading(request) as stack:
        changed = _typed(_changed(stack, axes, crop, order, bin_, calibrate), dtype, window)
        cost = cost_of(stack.header, reordered=order is not None) if request.dry_run else None
        streams.writing(_watched(changed), request, cost=cost)


def _changed(
    stack: "Stack",
    axes: Layout | None,
    crop: str | None,
    order: Order | None,
    bin_: int,
    calibrate: str | None,
) -> "Stack":
    from bonectl.stacks.binning import binned
    from bonectl.stacks.crop import cropped
    from bonectl.stacks.meaning import with_axes
    from bonectl.stacks.view_order import ordered

    if axes is not None:
        stack = with_axes(stack, axes.value)
    if crop is not None:
        stack = cropped(stack, _ranges(crop))
    if order is not None:
        stack = ordered(stack, order.value)
    if bin_ > 1:
        stack = binned(stack, bin_)
    return stack if calibrate is None else _calibrated(stack, calibrate)


def _typed(stack: "Stack", dtype: str | None, window: str | None) -> "Stack":
    """The values in another type: as they are, or by numbers that stand for those of a window."""
    from bonectl.stacks import number_type

    if window is None:
        return stack if dtype is None else number_type.cast(stack, dtype)
    if dtype is None:
        raise UsageError("--window without --dtype; give --dtype uint16 or uint8 with it")
    try:
        low, high = map(float, window.split(":"))
    except ValueError as error:
        raise UsageError(f"cannot read --window {window!r}; give LO:HI such as -200:1800") from error
    return number_type.windowed(stack, dtype, low, high)


def _watched(stack: "Stack") -> "Stack":
    """The same stack, telling its progress."""
    from bonectl.core import progress
    from bonectl.core.stack import chain

    def slabs() -> "Iterator[Array]":
        with progress.task("convert", stack.header.shape[0]) as advance:
            for slab in stack.slabs:
                yield slab
                advance(len(slab))

    return chain(stack.header, slabs())


def _calibrated(stack: "Stack", text: str) -> "Stack":
    from bonectl.core.spec import parse
    from bonectl.ops.calibrate import calibrated

    return calibrated(stack, parse(text))


def _ranges(text: str) -> "Ranges":
    """``10:20,:,5:-5`` as three slices."""
    parts = text.split(",")
    try:
        first, middle, last = (slice(*(int(n) if n.strip() else None for n in _ends(part))) for part in parts)
    except ValueError as error:
        raise UsageError(f"cannot read --crop {text!r}; give three ranges such as 10:20,:,5:-5") from error
    return first, middle, last


def _ends(part: str) -> list[str]:
    ends = part.split(":")
    if not 2 <= len(ends) <= 3:
        raise ValueError(part)
    return ends
