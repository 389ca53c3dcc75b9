"""`bonectl denoise`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import files, streams
from bonectl.cli.branch import branch
from bonectl.cli.command import command
from bonectl.cli.options import DASH, READS, WRITES, Device, Request
from bonectl.core import atomic, ending
from bonectl.errors import OutputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.cost import Cost
    from bonectl.core.header import Fact, Header
    from bonectl.core.slabs import Array
    from bonectl.ops.denoise import Model
    from bonectl.ops.samples import Samples


@command(READS, WRITES)
def denoise(
    request: Request,
    *,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="FILE|SPEC",
            help="Checkpoint of `bonectl train`, or a filter that needs no training: identity, gaussian(sigma=1) ... "
            "Several checkpoints give a sample each.",
        ),
    ],
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            metavar="N",
            min=0,
            help="Denoise so many times over, by checkpoint and symmetry of the slice, and write the mean.",
            show_default="one for each checkpoint",
        ),
    ] = 0,
    sd: Annotated[
        Path | None,
        typer.Option("--sd", metavar="OUT", help="Where the standard deviation of the samples goes."),
    ] = None,
    each: Annotated[
        Path | None,
        typer.Option("--each", metavar="FOLDER", help="Where the samples themselves go: sample_000.npy and so on."),
    ] = None,
    device: Device = "auto",
    tile: Annotated[
        int,
        typer.Option(
            "--tile", metavar="N", min=1, help="Side of a tile [pixels]. Changes memory and speed, never a value."
        ),
    ] = 512,
) -> None:
    """Remove noise from a volume.

    Unit, voxel size and absolute scale stay as they are. A checkpoint wants data of the unit it was trained
    on; a voxel size or dose far from its training data is told on standard error. Attenuation of another calibration
    (another energy) is scaled by its own: the network sees mineral density. Tiles carry the receptive
    field of the model as halo, so no seam is there to be blended.

    With --samples, or several checkpoints, the output is the mean of several answers: of checkpoints that were trained
    alike from other seeds, and of each for the slice turned and mirrored (8 ways), in this order. Nothing is
    drawn. Their spread (--sd, --each) is what training left undecided. The noise of the scan and the errors that all
    networks share are not in it, so it is a lower bound. "bonectl measure --samples FOLDER" makes intervals of it.

    Streams: holds a few slices, whatever the length of the stack; with samples, so many times over.

    \b
    Examples:
      bonectl denoise fbp.npy --model 'gaussian(sigma=1)' -o smooth.npy
      bonectl train fbp.npy --target bone.npy --steps 2 --patch 16 \\
        -o quick.safetensors
      bonectl denoise fbp.npy --model quick.safetensors -o denoised.npy
      bonectl denoise --model quick.safetensors < fbp.npy | bonectl info
      bonectl denoise fbp.npy --model quick.safetensors --samples 4 \\
        --sd sd.npy --each samples -o mean.npy
    """
    from bonectl.ops.denoise import denoise as run

    single = len(model) == 1 and not samples
    if single and (sd is not None or each is not None):
        raise UsageError("--sd and --each are of several samples; give --samples N, or several --model")
    beside = _beside(request, sd, each, samples or len(model))
    files.apart([request.source, *model], [*files.written(request), sd, *(one.output for one in beside[1])])
    models = [_model(text) for text in model]
    if single:
        with streams.reading(request) as noisy:
            answer = run(noisy, models[0], device_name=device, tile=tile)
            cost = _cost(noisy.header, models, 1, device, tile) if request.dry_run else None
            streams.writing(answer, request, notes=_notes(models), cost=cost)
        return
    from bonectl.core.stack import Stack
    from bonectl.ops.samples import sampled

    with streams.reading(request) as noisy:
        drawn = sampled(noisy, models, samples or len(models), device_name=device, tile=tile)
        if request.dry_run:
            cost = _cost(noisy.header, models, drawn.count, device, tile)
            streams.writing(Stack(drawn.header, iter(())), request, cost=cost)
            return
        _write(drawn, request, beside, _notes(models))


def _cost(header: "Header", models: "list[Model]", count: int, device: str, tile: int) -> "Cost":
    from bonectl.ops.denoise_cost import cost

    return cost(header, models, count, device_name=device, tile=tile)


def _beside(request: Request, sd: Path | None, each: Path | None, count: int) -> tuple[Request | None, list[Request]]:
    """Where the standard deviation and the samples go, refused before anything is read."""
    if DASH in (sd, each):
        raise UsageError("only the mean goes to standard output; give --sd and --each a name")
    spread = None if sd is None else replace(request, output=sd, bare=False)
    if spread is not None and spread.output == DASH:
        raise UsageError(f"{sd}: leads to standard output, where only the mean goes")
    if each is None:
        return spread, []
    if each.exists() and not each.is_dir():
        raise OutputError(f"{each}: is a file; --each wants a folder")
    atomic.check(each if not each.exists() else each / ".bonectl", force=True)
    digits = max(3, len(str(count - 1)))
    names = [each / f"sample_{number:0{digits}d}.npy" for number in range(count)]
    known = set(names)
    if each.is_dir() and (other := sorted(path for path in each.glob("sample_*.npy") if path not in known)):
        raise OutputError(f"{other[0]}: is a sample that would not be replaced; remove it, or name another folder")
    for name in names if each.is_dir() else []:
        atomic.check(name, force=request.force)
    return spread, [replace(request, output=name, format=None, bare=False) for name in names]


def _write(
    drawn: "Samples", request: Request, beside: tuple[Request | None, list[Request]], notes: "Mapping[str, Fact]"
) -> None:
    """Write the mean, and beside it what else is wanted, as the blocks come."""
    from bonectl.core.stack import Stack
    from bonectl.ops.samples import deviation, mean

    notes = {**notes, "samples": drawn.count}
    spread, singles = beside
    with contextlib.ExitStack() as outputs:
        if singles:
            outputs.enter_context(_there(singles[0].output.parent))
        sinks: list[Callable[[Array], None]] = []
        if spread is not None:
            push = outputs.enter_context(branch(drawn.header, spread, {**notes, "holds": "standard deviation"}))
            sinks.append(_of(deviation, push))
        for number, single in enumerate(singles):
            push = outputs.enter_context(branch(drawn.header, single, {**notes, "sample": number}))
            sinks.append(_of(_picked(number), push))

        def means() -> "Iterator[Array]":
            for block in drawn.blocks:
                for sink in sinks:
                    sink(block)
                yield mean(block)

        streams.writing(Stack(drawn.header, means()), request, notes)


@contextlib.contextmanager
def _there(folder: Path) -> "Iterator[None]":
    """A folder, made where it is not there yet; one that was made and stayed empty is removed."""
    if folder.is_dir():
        yield
        return

    def remove() -> None:
        with contextlib.suppress(OSError):  # it holds something by now, or was never made
            folder.rmdir()

    with ending.undoing(remove):
        try:
            folder.mkdir()
            yield
        finally:
            remove()


def _of(part: "Callable[[Array], Array]", push: "Callable[[Array], None]") -> "Callable[[Array], None]":
    return lambda block: push(part(block))


def _picked(number: int) -> "Callable[[Array], Array]":
    return lambda block: block[number]


def _model(text: str) -> "Model":
    """A checkpoint by its path, or a filter by its spec."""
    from bonectl.ops.denoise import trained, untrained

    path = Path(text)
    if path.suffix == ".safetensors" or path.is_file() or ("/" in text and "(" not in text):
        return trained(path)
    return untrained(text)


def _notes(models: "list[Model]") -> "Mapping[str, Fact]":
    """What the history says of the models."""
    names = dict.fromkeys(model.name for model in models)
    digests = [model.checkpoint.digest[:16] for model in models if model.checkpoint is not None]
    return {"model": "; ".join(names)} | ({"weights_sha256": " ".join(digests)} if digests else {})
