"""``bonectl measure``: the numbers of a bone volume, beside those of a reference."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bonectl.cli import boundary, streams, tables
from bonectl.cli.command import command
from bonectl.cli.files import apart
from bonectl.cli.options import (
    DASH,
    FORMATS_READ,
    READS,
    Calibrate,
    Force,
    MaxMemory,
    Output,
    Request,
    Seed,
    size_in_bytes,
)
from bonectl.cli.tables import Style
from bonectl.core import atomic, progress
from bonectl.core.counted import counted
from bonectl.errors import BonectlError, DataError, MissingInputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack
    from bonectl.core.table import Columns, Table
    from bonectl.measuring.tables import Examined


# In a path: the name of the volume's file, without its suffix.
NAME = "{name}"

# As --label: all labels of the image, one after another.
EACH = "each"


@command(READS)
def measure(
    request: Request,
    *,
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IN...",
            help=f"Stacks to read: {FORMATS_READ}, or folders of TIFF slices; - or nothing is standard input. Several "
            "give one line each.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            "-m",
            metavar="NAMES",
            help="Numbers wanted, such as 'bvtv + tbth(convention=bonej)'; see bonectl-metrics(7).",
            show_default="all that the data allow",
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            "-t",
            metavar="VALUE|NAME",
            help="What is bone: a value in the volume's unit, a segmentation such as 'otsu(sigma=1)' (see "
            "bonectl-segmentations(7)), or reference: Otsu's threshold of the reference for both.",
            show_default="a mask above 0; mgHA/cm3 at the midpoint; else reference, or otsu without one",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", "-r", metavar="FILE", help="What the volume should have been: adds its numbers."),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="FOLDER",
            help="Samples of the volume, as bonectl denoise makes them: all are measured and add to the intervals.",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE|NAME",
            help="Volume of interest (TV): voxels of a file that are not 0, or a region such as cylinder, auto (the "
            "field of view), or 'trabecular(pore=0.2)'; see bonectl-regions(7).",
            show_default="the whole stack",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="N|each",
            help="Of a label image of several bones measure the one of this label, in the reference too; each: one "
            "after another, by rising label, a line for each.",
            show_default="all labels as one bone",
        ),
    ] = None,
    mask_label: Annotated[
        int | None,
        typer.Option(
            "--mask-label",
            metavar="N",
            min=1,
            help="Of --mask, a label image, take the region of this label.",
            show_default="all labels",
        ),
    ] = None,
    purify: Annotated[
        bool,
        typer.Option(
            "--purify",
            help="Before anything is measured keep the largest 26-connected piece of bone alone and fill the marrow "
            "that it encloses, as BoneJ's Purify; the reference too.",
        ),
    ] = False,
    calibrate: Calibrate = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (schema bonectl.measure/1), histograms too: as --style json.")
    ] = False,
    map: Annotated[  # (named as the option is)
        str | None,
        typer.Option(
            "--map",
            metavar="NAME",
            help="Instead of numbers, write the local thickness as a stack [mm]: tbth of the bone, or tbsp of the "
            "marrow; 'tbth(convention=bonej)'.",
            show_default=False,
        ),
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            "--intervals",
            metavar="auto|none|MM",
            help="95 % intervals by block bootstrap: the least distance of sub-volumes [mm], or auto: twice the "
            "plate-model separation.",
            show_default="auto with a reference, else none",
        ),
    ] = None,
    seed: Seed = 0,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="OUT.png|OUT.html",
            help="Draw slice, masks, histograms, thickness map and bias beside the numbers; HTML is one page with the "
            "numbers too.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="LOW:HIGH",
            help="Values that are black and white in --plot, in the volume's unit.",
            show_default="-400:1600 mgHA/cm3; else from the means of marrow and bone",
        ),
    ] = None,
    output: Output = DASH,
    force: Force = False,
    max_memory: MaxMemory = None,
    style: Annotated[
        Style,
        typer.Option(
            "--style",
            help="How to print; auto is a table on a terminal and TSV in a pipe. CSV has one line for each volume.",
        ),
    ] = Style.auto,
) -> None:
    """Measure a bone volume: morphometry, topology, density, and their errors against a reference.

    A volume in mgHA/cm3, 1/cm or grey values is cut at a threshold, which is printed with the numbers; a mask is
    taken as it is: bone is every label above 0, and one below 0 is refused. Values of two levels are a mask in any
    type; its bone is the upper level. Numbers of phantoms stand beside the phantom's known answers. Mask and reference
    must have the shape and voxel size of the volume.

    Several volumes are measured alike, with the same mask and reference: one line each in TSV and CSV, one element of
    a list in JSON. With {name} in --reference, --mask or --plot, each has its own: {name} stands for the volume's file
    name without its suffix. All that the headers tell is checked before the first is measured. Each volume is printed
    when it is done. One that cannot be measured is told on stderr, and the others go on; the exit status is then that
    of the first volume, in the order given, that failed. With --label each, every bone of a label image is measured as
    if it were alone in the stack, as --label N does, and printed as a volume of its own, under its label.

    Against a reference each number gets its difference, and where it adds up over sub-volumes (counts, surface,
    Euler numbers, density, thickness, Dice, PSNR) a 95 % interval by block bootstrap; others have none. With --samples,
    the value has one too: where one more of the samples would have it (95 %, Student's t). It knows what the samples
    differ in, and not what they get wrong alike: it is too narrow.

    TSV of one volume has one line for each condition and number, in the columns name, value, unit, reference,
    difference, percent, definition, value_low, value_high, difference_low, difference_high; nine significant digits,
    empty where there is nothing. JSON (bonectl.measure/1) has conditions, reference, warnings, histograms (start, step,
    counts), and rows with the same keys as the columns, null where there is nothing; interval and difference_interval
    (low, high, source) are there only where they exist. Of several volumes it is one list, one volume on each line, its
    name under file.

    TSV of several volumes, and CSV (RFC 4180) of one or several, has one line for each volume under one line of names:
    file, the conditions, warnings, and the numbers with their units, such as tbth_mm, connd_per_mm3, bmd_mgha_cm3;
    ratios and counts have none. With --reference each is followed by tbth_reference_mm, tbth_difference_mm and
    tbth_percent; with it or --intervals, unless that is none, by tbth_low_mm, tbth_high_mm, tbth_difference_low_mm and
    tbth_difference_high_mm. With --label, label follows file. The columns follow from the options alone: those of
    phantoms, density and plain data are the same, so that lines of many runs go into one table; what a volume does not
    have is empty.

    Streams: for bvtv, surface, euler, smi, tbpf, bmd, tmd and density_spread with a given threshold, no region of the
    bone, no --purify, no reference, no --intervals and no --plot; else it holds the volume, with up to 30 bytes for
    each voxel, 70 beside a reference. What does not fit into memory is refused before it is read.

    \b
    Examples:
      bonectl phantom iliac --shape 48,64,64 -o bone.npy
      bonectl measure bone.npy
      bonectl measure bone.npy --metrics "bvtv + euler" --threshold 320 --json
      bonectl phantom iliac --shape 48,64,64 |
        bonectl measure --reference bone.npy --mask cylinder
      bonectl measure bone.npy bone.npy --metrics "bvtv + tbth" --style csv \\
        > bones.csv
      bonectl measure bone.npy --purify --metrics "bvtv + euler + tmd"
      bonectl measure bone.npy --map tbth -o thickness.npy
      bonectl measure bone.npy --metrics "bvtv + tbth" --intervals 0.3 \\
        --plot report.html
      bonectl phantom shaft --shape 16,96,96 |
        bonectl measure -m "cortical + ctth" --mask auto
    """
    sources = source or [DASH]
    style = Style.json if as_json and style is Style.auto else style
    room = size_in_bytes(max_memory)
    picture = _plot(plot, window, sources, force=force)
    asked = _Asked(
        metrics=metrics, threshold=threshold, mask=mask, purify=purify,
        label=_label(label), each=label == EACH, mask_label=mask_label,
        reference=reference, calibrate=calibrate, intervals=intervals, seed=seed, room=room, plot=picture,
    )  # fmt: skip
    if asked.each:
        _check_each(sources, map=map, samples=samples, plot=plot)
    if map is not None:
        if len(sources) > 1 or metrics or reference or plot or intervals or style is not Style.auto:
            raise UsageError(
                "--map writes one stack; leave out --metrics, --reference, --intervals, --json, --plot and --style"
            )
        apart([sources[0], mask, calibrate], [output])
        _write_map(replace(request, source=sources[0], output=output, force=force), asked, map)
        return
    if output != DASH:
        raise UsageError("--output is for the stack of --map; send numbers to a file with >")
    if window is not None and plot is None:
        raise UsageError("--window is of the picture; give --plot too")
    if as_json and style is not Style.json:
        raise UsageError(f"--json and --style {style.value}; choose one")
    if samples is not None and len(sources) > 1:
        raise UsageError("--samples are of one volume; measure one at a time")
    _check_files(sources, asked, samples)
    if len(sources) == 1 and not asked.each:
        _measure_one(replace(request, source=sources[0]), asked, samples, style)
    elif status := _measure_all(request, sources, asked, style):
        raise typer.Exit(status)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is to be measured, against what, and what is drawn of it; paths may hold `NAME`."""

    metrics: str | None
    threshold: str | None
    mask: str | None
    label: int | None
    each: bool  # label, one after another
    mask_label: int | None
    purify: bool
    reference: Path | None
    calibrate: str | None
    intervals: str | None
    seed: int
    room: int | None
    plot: "_Plot | None"

    def of(self, source: Path) -> "_Asked":
        """As asked of one volume: its own files."""
        reference = None if self.reference is None else _own(self.reference, source)
        mask = None if self.mask is None else str(_own(Path(self.mask), source)) if NAME in self.mask else self.mask
        plot = None if self.plot is None else replace(self.plot, path=_own(self.plot.path, source))
        return replace(self, reference=reference, mask=mask, plot=plot)


@dataclass(frozen=True)
class _Plot:
    """A picture to write, and the values that are black and white in it."""

    path: Path
    window: tuple[float, float] | None
    force: bool


def _own(path: Path, source: Path) -> Path:
    """A path with the name of a volume in it; of standard input it is "stdin"."""
    return Path(str(path).replace(NAME, "stdin" if source == DASH else source.stem))


def _plot(path: Path | None, window: str | None, sources: list[Path], *, force: bool) -> _Plot | None:
    """The picture that is asked for; what could not be written is refused before anything is read."""
    if path is None:
        return None
    if path.suffix.lower() not in (".png", ".html"):
        raise UsageError(f"{path}: a picture is named .png, a page .html")
    paths = [_own(path, source) for source in sources]
    if len(set(paths)) < len(paths):
        raise UsageError(
            f"{path}: {len(paths)} volumes and one name; write {NAME} in it, with files of different names"
        )
    for each in paths:
        atomic.check(each, force=force)
    return _Plot(path, None if window is None else _window(window), force)


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(":"))
    except ValueError:
        raise UsageError(f"--window {text!r}; write LOW:HIGH, such as -400:1600") from None
    if not -3e38 < low < high < 3e38:  # a picture has 32-bit values
        raise UsageError(f"--window {text}; black must lie below white, and both be finite")
    return low, high


def _check_files(sources: list[Path], asked: _Asked, samples: Path | None) -> None:
    """Refuse what would be read twice and can be read once, and pictures that would replace what is read."""
    own = [asked.of(path) for path in sources]
    beside = [path for each in own for path in (each.reference, each.mask)]
    apart([*sources, *beside, samples, asked.calibrate], [each.plot.path for each in own if each.plot])
    if asked.reference == DASH or asked.mask == "-":
        raise UsageError("only the volume itself can come from standard input; give the reference and mask as files")
    if sources.count(DASH) > 1:
        raise UsageError("standard input is given twice; it can be read once")
    if len(sources) > 1:
        for path in (asked.reference, None if asked.mask is None else Path(asked.mask)):
            if path is not None and path.is_fifo():
                raise UsageError(f"{path}: is a pipe, which can be read once, for {len(sources)} volumes; give a file")


def _label(text: str | None) -> int | None:
    """The label that is asked for; None for all of them, as one bone or as `EACH`."""
    if text is None or text == EACH:
        return None
    if not text.isdecimal() or not 1 <= int(text[:20]) < 2**63:
        raise UsageError(f"--label {text!r}; give a whole number from 1 on, or {EACH}")
    return int(text)


def _check_each(sources: list[Path], **of_one: str | Path | None) -> None:
    """Refuse beside --label each what can be read once, and what is of one bone."""
    for path in sources:
        if _is_read_once(path):
            name = streams.STDIN if path == DASH else path
            raise UsageError(f"{name}: can be read once, and --label {EACH} reads for each label; give a file")
    if one := next((name for name, value in of_one.items() if value is not None), None):
        raise UsageError(f"--{one} is of one bone; give --label N instead of --label {EACH}")


def _is_read_once(path: Path) -> bool:
    return path == DASH or path.is_fifo() or path.is_char_device()


def _measure_one(request: Request, asked: _Asked, samples: Path | None, style: Style) -> None:
    """One volume, as it is asked for; CSV has a line for it, as for each of several."""
    paths = [] if samples is None else _samples(samples)
    try:
        table = _measured(request, asked)
    except DataError as error:
        raise _naming(request.source, error) from error
    if samples is not None:
        table = _with_samples(table, request, asked, paths)
    if style is not Style.csv:
        tables.show(table, style)
        return
    with tables.several(style, _columns(asked, around=samples is not None)) as add:
        add(str(request.source), table)


def _measure_all(request: Request, sources: list[Path], asked: _Asked, style: Style) -> int:
    """Each volume that can be measured; the status of the first that cannot, 0 when all were.

    What can be refused before the work is refused before the work. Each is printed when it is done.
    """
    statuses = _refused(request, sources, asked)
    with tables.several(style, _columns(asked, around=False)) as add:
        for number, path in enumerate(sources):
            if number in statuses:
                continue
            for found in _found(replace(request, source=path), asked):
                if isinstance(found, Exception):
                    name = f"bonectl {request.command}" + ("" if isinstance(found, BonectlError) else f": {path}")
                    statuses.setdefault(number, boundary.told(name, _naming(path, found)))
                else:
                    add(str(path), found)
    return statuses[min(statuses)] if statuses else 0


def _found(request: Request, asked: _Asked) -> Iterator["Table | Exception"]:
    """The table of a volume, or of each of its bones, or why there is none."""
    try:
        labels: Sequence[int | None] = _all_labels(request) if asked.each else [asked.label]
    except Exception as error:
        yield error
        return
    for label in labels:
        try:
            with progress.about(str(request.source) + (f", label {label}" if asked.each else "")):
                table = _measured(request, replace(asked, label=label))
        except Exception as error:
            yield _of_label(label, error) if asked.each else error
        else:
            yield table


def _all_labels(request: Request) -> list[int]:
    from bonectl.measuring.labels import all_of

    with streams.reading(request) as stack:
        return all_of(stack, "the volume")


def _of_label(label: int | None, error: Exception) -> Exception:
    """The error, naming the label if it does not yet."""
    if not isinstance(error, BonectlError) or f"label {label}" in str(error):
        return error
    return type(error)(f"label {label}: {error}").with_traceback(error.__traceback__)


def _refused(request: Request, sources: list[Path], asked: _Asked) -> dict[int, int]:
    """Statuses of the volumes whose headers, masks or references do not fit, which is said; no voxel is read.

    Raises
    ------
    BonectlError
        When the same is wrong with all of them: the request itself.
    """
    from bonectl.ops.measure import check

    asked = replace(asked, label=1, each=False) if asked.each else asked  # no header tells labels
    errors: dict[int, BonectlError] = {}
    for number, path in enumerate(sources):
        if _is_read_once(path):
            continue  # what is read once is seen when its turn comes
        try:
            with _opened(replace(request, source=path), asked) as (stack, request_of):
                check(stack, **request_of)
        except BonectlError as error:
            errors[number] = error
    if len(errors) == len(sources) and len({str(error) for error in errors.values()}) == 1:
        raise errors[0]
    name = f"bonectl {request.command}"
    return {number: boundary.told(name, _naming(sources[number], error)) for number, error in errors.items()}


def _naming(path: Path, error: Exception) -> Exception:
    """The error, naming the volume if it does not yet; what is no error of ours stays as it is."""
    name = streams.STDIN if path == DASH else str(path)
    if not isinstance(error, BonectlError) or name in str(error):
        return error
    return type(error)(f"{name}: {error}").with_traceback(error.__traceback__)


def _columns(asked: _Asked, *, around: bool) -> "Columns":
    """Of one line for each volume."""
    from bonectl.measuring.columns import columns

    compared = asked.reference is not None
    wanted = compared if asked.intervals is None else asked.intervals != "none"
    return columns(
        asked.metrics, compared=compared, around=around or wanted, labelled=asked.each or asked.label is not None
    )


def _write_map(request: Request, asked: _Asked, what: str) -> None:
    from bonectl.ops.measure import thickness_map

    with _opened(request, asked) as (stack, of):
        wanted = {name: of[name] for name in ("threshold", "mask", "purify", "max_memory")}
        streams.writing(thickness_map(stack, what=what, **wanted), request)


def _measured(request: Request, asked: _Asked) -> "Table":
    """One volume; mask and reference are opened anew for each."""
    from bonectl.measuring.labels import named
    from bonectl.ops.measure import examine, measure

    with _opened(request, asked) as (stack, request_of):
        if asked.plot is None:
            return named(measure(stack, **request_of), asked.label)
        found = examine(stack, **request_of)
        found = replace(found, table=named(found.table, asked.label))
        _draw_report(found, replace(asked.plot, path=_own(asked.plot.path, request.source)), request)
        return found.table


@contextlib.contextmanager
def _opened(request: Request, asked: _Asked) -> Iterator[tuple["Stack", Mapping[str, Any]]]:
    """The volume, and as `ops.measure.measure` takes it what is asked of it, with its own reference and mask."""
    asked = asked.of(request.source)
    with contextlib.ExitStack() as files:
        stack = _one(files.enter_context(streams.reading(request)), asked.label, "the volume")
        wanted = None
        if asked.reference is not None:
            wanted = _like(files.enter_context(streams.opened(asked.reference, nan=request.nan)), request)
            wanted = _one(wanted, asked.label, "the reference") if wanted.header.unit == "label" else wanted
        if asked.calibrate is not None:
            stack, wanted = _calibrated(stack, wanted, asked.calibrate)
        yield (
            stack,
            {
                "metrics": asked.metrics,
                "threshold": asked.threshold,
                "mask": _voi(asked, files),
                "purify": asked.purify,
                "reference": wanted,
                "intervals": asked.intervals,
                "seed": asked.seed,
                "max_memory": asked.room,
            },
        )


def _voi(asked: _Asked, files: contextlib.ExitStack) -> "Stack | str | None":
    """A file as a stack, the name of a region as it is."""
    from bonectl.core import kit

    if asked.mask is not None and asked.mask.partition("(")[0].strip() not in kit.names("regions"):
        return _one(files.enter_context(streams.opened(Path(asked.mask))), asked.mask_label, "the mask")
    if asked.mask_label is not None:
        raise UsageError("--mask-label is of a label image in a file; give it as --mask")
    return asked.mask


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


def _draw_report(found: "Examined", plot: _Plot, request: Request) -> None:
    """Write the picture or the page, whole or not at all."""
    import shlex

    import bonectl
    from bonectl.measuring import report

    if plot.path.suffix.lower() == ".png":
        data = report.png(found, window=plot.window)
    else:
        title = streams.STDIN if request.source == DASH else streams.plain(request.source.name)
        origin = f"bonectl {bonectl.__version__}, {streams.now()}: {streams.plain(shlex.join(request.argv))}"
        data = report.html(found, title=title, origin=origin, window=plot.window).encode()
    with atomic.replacing(plot.path, force=plot.force) as temporary:
        temporary.write_bytes(data)


def _samples(folder: Path) -> list[Path]:
    """The stacks in a folder, one sample each."""
    from bonectl import io

    if not folder.is_dir():
        raise MissingInputError(f"{folder}: there is no such folder; `bonectl denoise --each` makes one")
    paths = sorted(path for path in folder.iterdir() if io.named(path))
    if len(paths) < 2:
        raise UsageError(f"{folder}: holds {counted(len(paths), 'sample')}; an interval needs at least 2")
    return paths


def _with_samples(table: "Table", request: Request, asked: _Asked, paths: list[Path]) -> "Table":
    """The table with intervals from samples, which are held one at a time."""
    from bonectl.ops.samples import with_intervals

    alike = replace(asked.of(request.source), intervals="none", plot=None)
    found = []
    for path in paths:
        try:
            found.append(_measured(replace(request, source=path), alike))
        except BonectlError as error:
            raise _naming(path, error) from error
    return with_intervals(table, found)


def _like(reference: "Stack", request: Request) -> "Stack":
    """A plain reference is declared by the same options as the volume."""
    silent = reference.header.unit == "grey" or None in reference.header.spacing
    return streams.declared(reference, request) if silent else reference
