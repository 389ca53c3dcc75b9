"""`bonectl denoise`."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import denoise_inputs, files, streams
from bonectl.cli.branch import branch
from bonectl.cli.command import command
from bonectl.cli.destination import check_output
from bonectl.cli.options import DASH, FORMATS_READ, READS, WRITES, Device, Request
from bonectl.core import atomic, ending
from bonectl.errors import OutputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.header import Fact
    from bonectl.core.slabs import Array
    from bonectl.ops.samples import Samples


@command(READS, WRITES)
def denoise(
    request: Request,
    *,
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IN...",
            help=f"Stacks to read: {FORMATS_READ}, or folders of TIFF slices; - or nothing is standard input. Several "
            "are denoised one after another.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="FILE|SPEC",
            help="Checkpoint of `bonectl train`; bone, a network that comes with bonectl; or a filter that needs no "
            "training: gaussian(sigma=1) ... Several checkpoints give a sample each.",
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
            "--tile",
            metavar="N",
            min=1,
            help="Side of a tile [pixels]. Changes memory and speed, and at most the last digits (1e-6 of full bone): "
            "torch rounds small tiles otherwise.",
        ),
    ] = 512,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="What computes networks: torch, or openvino, which on a CPU takes 1.0 to 3 times less time and needs "
            "the package of that name. The last digits differ (1e-5 of what a network changes).",
        ),
    ] = "torch",
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Denoise what lies outside of what a model was validated for, with a warning."),
    ] = False,
) -> None:
    """Remove noise from a volume.

    Unit, voxel size and absolute scale stay as they are. A checkpoint wants data of the unit it was trained
    on; a voxel size or dose far from its training data is told on standard error, and so are, once all slices have
    passed, values that reach ten times as far or noise of twice or half the strength. Attenuation of another
    calibration (another energy) is scaled by its own: the network sees mineral density. Tiles carry the
    receptive field of the model as halo, so no seam is there to be blended.

    The network bone comes with bonectl: "--model bone". It was learned from trabecular bone of one specimen and from
    phantoms, for voxels of about 0.02 to 0.06 mm, and judged on bone that it never saw; "bonectl info bone" says with
    which results, and where it must not be used. Voxels or noise outside of what it was validated for are refused
    (noise when 32 slices have passed, or all of a shorter stack); --anyway denoises all the same, with a warning.

    With --samples, or several checkpoints, the output is the mean of several answers: of checkpoints that were trained
    alike from other seeds, and of each for the slice turned and mirrored (8 ways), in this order. Nothing is
    drawn. Their spread (--sd, --each) is what training left undecided. The noise of the scan and the errors that all
    networks share are not in it, so it is a lower bound. "bonectl measure --samples FOLDER" makes intervals of it.

    Several stacks are denoised one after another by the same models, which are loaded once. What is made of each has a
    name of its own: {name} in --output, --sd and --each stands for the stack's file name without its suffix, and
    --output may be a folder that is there. A stack that fails is told on stderr, and the others go on; the exit status
    is then that of the first that failed.

    Streams: holds a few slices, whatever the length of the stack; with samples, so many times over.

    \b
    Examples:
      bonectl denoise fbp.npy --model 'gaussian(sigma=1)' -o smooth.npy
      bonectl train fbp.npy --target bone.npy --steps 2 --patch 16 \\
        -o quick.safetensors
      bonectl denoise fbp.npy --model quick.safetensors -o denoised.npy
      bonectl denoise fbp.npy --model bone --anyway -o ready.npy
      bonectl denoise --model quick.safetensors < fbp.npy | bonectl info
      bonectl denoise fbp.npy --model quick.safetensors --samples 4 \\
        --sd sd.npy --each samples -o mean.npy
      bonectl denoise fbp.npy bone.npy --model quick.safetensors \\
        -o 'quick_{name}.npy'
    """
    from bonectl.core.stack import Stack
    from bonectl.ops.denoise_plan import Plan
    from bonectl.ops.denoise_plan import Request as Asked

    asked = Asked(
        models=tuple(model), samples=samples, device_name=device, tile=tile, engine=engine, anyway=anyway
    )  # fmt: skip
    if not asked.is_sampled and (sd is not None or each is not None):
        raise UsageError("--sd and --each are of several samples; give --samples N, or several --model")
    sources = source or [DASH]
    wanted = denoise_inputs.requests(request, sources)
    own = functools.partial(denoise_inputs.beside, count=len(sources))
    places = {one.source: _beside(one, own(sd, one.source), own(each, one.source), asked.count) for one in wanted}
    made = [path for one in wanted for path in _made(one, places[one.source])]
    files.apart([*sources, *model], made)
    if len(sources) > 1:
        for one in wanted:
            check_output(one)
    models = asked.loaded()

    def denoised(one: Request) -> None:
        with streams.reading(one) as noisy:
            plan = Plan(request=asked, models=models, header=noisy.header)
            cost = plan.cost() if one.dry_run else None
            if not asked.is_sampled:
                streams.writing(plan.denoised(noisy), one, notes=plan.facts(), cost=cost)
            elif cost is not None:
                streams.writing(Stack(plan.sampled(noisy).header, iter(())), one, cost=cost)
            else:
                _write(plan.sampled(noisy), one, places[one.source], plan.facts())

    if len(sources) == 1:
        denoised(wanted[0])
    elif status := denoise_inputs.one_by_one(wanted, denoised):
        raise typer.Exit(status)


def _made(request: Request, beside: tuple[Request | None, list[Request]]) -> Iterator[Path | None]:
    """All that is written of one stack."""
    spread, singles = beside
    yield from files.written(request)
    yield from (one.output for one in (*([spread] if spread else []), *singles))


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
