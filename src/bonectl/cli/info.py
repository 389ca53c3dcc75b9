"""`bonectl info`."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bonectl.cli import model_card, streams
from bonectl.cli.command import command
from bonectl.cli.options import DASH, READS, Request
from bonectl.core import kit, places, progress, shipped
from bonectl.core.counted import counted
from bonectl.core.printable import printable
from bonectl.errors import MissingInputError

if TYPE_CHECKING:
    from bonectl.core.header import Header

_READS = {name: option for name, option in READS.items() if name != "nan"}  # NaN is counted here


@command(_READS)
def info(
    request: Request,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object (schema bonectl.info/1).")] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Read the values: minimum, maximum, mean, SD, zeros, NaN.")
    ] = False,
) -> None:
    """Print what a stack is: shape, voxel size, unit, geometry, calibration, known answers, history.

    A table on a terminal, lines of key, tab and value in a pipe, or JSON. Values are read only with --stats,
    and from a pipe, which is read to its end: status 0 says that the stack is whole.

    Of what a scanner left (bonectl-scanners(7)) it is a person's check before a night's run: what kind it is, how many
    projections, flats and darks there are, over which angles, the detector's pixel, the energy, what is missing and how
    to give it. Its JSON is one object (bonectl.scan/1): kind, title, name, shape, axes, dtype, unit, spacing_mm, bytes,
    geometry, calibration, acquisition, views (count, first, last and step [degree], null where nothing says them),
    flats and darks (count, and how many were read before and after the views), centre, files, facts, problems, notes.

    Of a checkpoint of bonectl train it is a card: the network, its loss and steps, the unit, voxel, dose and stacks of
    the training, and how PSNR and bone numbers of the slices that were held out came out, beside the input's:
    errors of BV/TV and of the Euler number relative to the target's, of mean density and W1 in scales of the network,
    and composite, which weighs the four. Its JSON is one object (bonectl.model/1): name, model, about, parameters (how
    many weights it has), loss, pairs, steps, seed, unit, offset and scale (the network sees value less offset, over
    scale), calibrated, pseudo, axes, spacing_mm, acquisition, noise (of the inputs), stacks, their shapes and
    stacks_sha256, loss_weights_sha256 (of losses that have weights), held_out (of psnr_db and each
    bone number the input's and the output's), sha256 (of the weights) and versions.

    Of a network that comes with bonectl (bonectl info bone) the name is enough, where no file or folder has it. Its
    card also says for which voxel sizes and which noise it was validated, on what, with which results beside those of
    filters, and where it must not be used: validated, in JSON, is null of a network that nobody tried; voxel_mm the
    least and largest voxel size of the training stacks, where they differ.

    Of a TIFF with a calibration function of ImageJ, values and type are those that ImageJ shows, and the function
    stands as imagej_calibration; see bonectl-stream(5).

    JSON is one object (bonectl.info/1): name, shape, axes, dtype, unit, spacing_mm, bytes, geometry, calibration,
    acquisition, answers, region_of_interest, scaling, history and forgotten, as bonectl-stream(5) has them, null where
    there is nothing; with --stats also statistics: minimum, maximum, mean and sd of the finite values, and the counts
    finite, not_finite and zeros.

    Streams: always.

    \b
    Examples:
      bonectl phantom ball --shape 16,32,32 -o ball.npy
      bonectl info ball.npy
      bonectl info ball.npy --stats --json
    """
    from bonectl import scanners
    from bonectl.ops import info as ops

    if request.source != DASH and scanners.claimed(request.source) and not stats:
        told = ops.scan_facts(scanners.read(request.source))
        _show(told, _scan_lines(told), as_json=as_json)
        return
    if request.source != DASH and _is_model(request.source):
        _tell_model(request.source, as_json=as_json)
        return
    _suggest(request.source)
    with streams.opened(request.source, nan=None, stored=True) as stack:
        stack = streams.declared(stack, request)
        name = streams.STDIN if request.source == DASH else streams.plain(str(request.source))
        told = ops.facts(stack.header, name)
        if stats:
            told = ops.with_statistics(told, ops.statistics(stack.restored()))
        elif streams.comes_once(request.source):
            for _ in stack.slabs:
                pass
        _show(told, _lines(told, stack.header), as_json=as_json)


def _show(told: Mapping[str, Any], lines: Iterator[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        streams.say(json.dumps(told, indent=2))
    elif sys.stdout is not None and sys.stdout.isatty():
        _table(lines)
    else:
        streams.say("\n".join(f"{key}\t{value}" for key, value in _escaped(lines)))


def _table(lines: Iterator[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _escaped(lines):
        table.add_row(Text(key), Text(value))
    Console().print(table)


def _escaped(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Without tabs, newlines or anything else in a key or value that would look like another line."""
    for key, value in lines:
        yield printable(key), printable(value)


def _suggest(path: Path) -> None:
    """Say which network was meant, where a word that names no file is nearly its name."""
    if path.suffix or len(path.parts) > 1 or places.is_there(path) or path == DASH:
        return
    if near := kit.suggestion(str(path), shipped.networks()):
        raise MissingInputError(f"{path}: no such file, and no such network{near}")


def _is_model(path: Path) -> bool:
    if path.is_dir():
        return False
    if shipped.is_name(path):
        return True
    if path.name.endswith(".safetensors"):  # (the rest of learning needs torch)
        return path.exists()
    try:
        if not path.is_file():  # a pipe gives its bytes once
            return False
        with path.open("rb") as file:
            head = file.read(9)
    except (OSError, ValueError):
        return False
    return head[8:] == b"{" and head[6:8] == b"\0\0"


def _tell_model(path: Path, *, as_json: bool) -> None:
    from bonectl.learning.card import card, doubts
    from bonectl.learning.checkpoint import Checkpoint

    told = card(Checkpoint.load(shipped.found(path)), streams.plain(str(path)))
    for line in doubts(told):
        progress.note(line)
    _show(told, model_card.lines(told), as_json=as_json)


def _scan_lines(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and value of a scan, one line each."""
    yield "kind", str(told["title"])
    yield "name", str(told["name"])
    yield "shape", " × ".join(f"{n} {axis}" for n, axis in zip(told["shape"], told["axes"], strict=True))
    yield "type", str(told["dtype"])
    yield "unit", str(told["unit"])
    if (views := told["views"]) is not None:
        yield "angles", _angles(views)
        yield from ((role, _frames(told[role])) for role in ("flats", "darks"))
    steps = ["unknown" if s is None else f"{s:.6g}" for s in told["spacing_mm"]]
    yield "spacing_mm", " × ".join("-" if a == "view" else s for s, a in zip(steps, told["axes"], strict=True))
    yield "bytes", str(told["bytes"])
    yield "files", str(told["files"])
    for key in ("centre", "calibration"):
        if told[key] is not None:
            yield key, f"{told[key]:.7g}" if isinstance(told[key], float) else str(told[key])
    for group in ("acquisition", "facts"):
        for key, value in told[group].items():
            yield key, f"{value:.7g}" if isinstance(value, float) else str(value)
    yield from (("missing", line) for line in told["problems"])
    yield from (("note", line) for line in told["notes"])


def _angles(views: Mapping[str, Any]) -> str:
    if views["first"] is None:
        return "unknown"
    even = "unevenly" if views["step"] is None else f"every {views['step']:.6g}"
    return f"{views['first']:.6g} to {views['last']:.6g} degrees, {even}"


def _frames(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "none"
    when = "" if told["before"] is None else f" ({told['before']} before, {told['after']} after)"
    return f"{told['count']}{when}"


def _lines(told: Mapping[str, Any], header: "Header") -> Iterator[tuple[str, str]]:
    """Key and value, one line each."""
    yield "name", str(told["name"])
    yield "shape", " × ".join(f"{n} {axis}" for n, axis in zip(header.shape, header.axes, strict=True))
    yield "type", str(told["dtype"])
    yield "unit", header.unit
    steps = ["unknown" if s is None else f"{s:.6g}" for s in header.spacing]
    yield "spacing_mm", " × ".join("-" if axis == "view" else s for s, axis in zip(steps, header.axes, strict=True))
    yield "bytes", str(told["bytes"])
    if header.geometry is not None:
        yield "geometry", str(header.geometry)
    if (law := header.calibration) is not None:
        pseudo = ", pseudo" if law.pseudo else ""
        yield "calibration", f"{law.slope:.6g} × value + {law.intercept:.6g} mgHA/cm3 ({law.source}{pseudo})"
    if header.scaling is not None:
        slope, intercept = header.scaling
        yield "scaling", f"{slope:.9g} × stored + {intercept:.9g} {header.unit}"
    if header.region_of_interest:
        yield "region_of_interest", "yes: absolute values are not to be trusted"
    for group in ("acquisition", "answers", "statistics"):
        for key, value in (told.get(group) or {}).items():
            word = {"acquisition": "", "answers": "answer ", "statistics": ""}[group] + key
            yield word, f"{value:.7g}" if isinstance(value, float) else str(value)
    if header.forgotten is not None:
        yield (
            "history",
            f"{counted(header.forgotten[0], 'older entry', 'older entries')} (sha256 {header.forgotten[1]})",
        )
    for entry in header.history:
        notes = "".join(f" {key}={value}" for key, value in entry.notes.items())
        yield "history", f"{entry.time} {entry.version} {entry.command}{notes}"
