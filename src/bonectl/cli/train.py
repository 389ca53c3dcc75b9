"""`bonectl train`."""

import contextlib
import functools
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import files, streams
from bonectl.cli.command import command
from bonectl.cli.options import FORMATS_READ, AsJson, Device, Force, NaN, NotFinite, Request, Seed
from bonectl.core import ending
from bonectl.core.cost import SCHEMA
from bonectl.core.counted import counted
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.ops.train import Trained
    from bonectl.training.request import Request as Asked


@command()
def train(
    request: Request,
    *,
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help=f"Noisy stacks (or scans, for lpd): {FORMATS_READ}, or folders."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Checkpoint to write: x.safetensors; its .resume, .csv and .png lie beside it.",
        ),
    ],
    target: Annotated[
        list[Path] | None,
        typer.Option("--target", "-t", metavar="STACK", help="Clean stack of an input; once for each, in their order."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="SPEC", help="Network (bonectl-models(7)).")
    ] = "unet25d",
    loss: Annotated[
        str,
        typer.Option(
            "--loss", "-l", metavar="SPEC", help="Weighted sum of losses (bonectl-losses(7)), with @ schedules."
        ),
    ] = "l1",
    pairs: Annotated[
        str, typer.Option("--pairs", metavar="SPEC", help="How input and target are paired (bonectl-pairings(7)).")
    ] = "supervised",
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            metavar="FILE|SPEC",
            help="Learn what this model makes of the inputs, not the targets: a checkpoint, bone, or a filter such as "
            "gaussian(sigma=1); of several their mean.",
        ),
    ] = None,
    teacher_share: Annotated[
        float,
        typer.Option(
            "--teacher-share", metavar="F", help="Share of the teachers in what is learned; targets: the rest."
        ),
    ] = 1.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Steps to train.")] = 2000,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Runs of slices per step.")] = 4,
    run: Annotated[
        int,
        typer.Option(
            "--run", metavar="N", min=1, help="Consecutive slices per run; losses in 3-D see so many at a time."
        ),
    ] = 4,
    patch: Annotated[int, typer.Option("--patch", metavar="N", min=1, help="Side of a patch [pixels].")] = 64,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="Highest learning rate.")] = 3e-3,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="F", help="Share of the slices of each stack, its last, that only validate."
        ),
    ] = 0.125,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance",
            help="The numbers in --loss are shares of the gradient relative to the first term's, and not weights.",
        ),
    ] = False,
    critics: Annotated[
        str,
        typer.Option(
            "--critics",
            metavar="RATE",
            help="Learning rate of adversarial losses: constant, or cosine (as --rate).",
        ),
    ] = "constant",
    patience: Annotated[
        int,
        typer.Option(
            "--patience",
            metavar="N",
            min=0,
            help="End after N checkpoints without better bone numbers, and keep the best; 0 never does.",
        ),
    ] = 0,
    seed: Seed = 0,
    nan: NotFinite = NaN.fail,
    any_voxel_size: Annotated[
        bool,
        typer.Option("--any-voxel-size", help="Stacks may differ in voxel size: the network learns for all of them."),
    ] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(
            "--init-from",
            metavar="FILE",
            help="Checkpoint whose weights to begin with, or bone: of the same model, or of a unet2d for unet25d and "
            "unet3d.",
            show_default="random weights",
        ),
    ] = None,
    offset: Annotated[
        float | None,
        typer.Option("--offset", metavar="V", help="Value that the network sees as 0, for uncalibrated data."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", metavar="V", help="Difference that the network sees as 1, together with --offset."),
    ] = None,
    every: Annotated[
        int, typer.Option("--every", metavar="N", min=1, help="Steps from one checkpoint to the next.")
    ] = 500,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where a run stopped; with more --steps, where a finished one ended."),
    ] = False,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="Draw curves and a sample to OUT.png at the end.")
    ] = True,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="FOLDER", help="Write TensorBoard curves too (bonectl[tensorboard])."),
    ] = None,
    force: Force = False,
    device: Device = "auto",
    compile: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network first (torch.compile): faster on a GPU, other rounding."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try a step, print what the run will do, memory and time; write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network to denoise, on pairs of stacks.

    Values are scaled by their calibration (0 and 1200 mgHA/cm³ become 0 and 1), never by statistics of an image, and
    nothing is clipped. Stacks must agree in unit, voxels and calibration. The last slices of every stack are held out:
    they are never trained on, and the network is tried on them with every checkpoint: PSNR (peak: the scale) and errors
    of bone numbers are logged. What is kept is the moving average of the weights.

    Bone numbers (bone lies above 0.4 of the scale, 480 mgHA/cm³): BV/TV, Euler number, mean density, and the
    1-Wasserstein distance of the voxels' densities. Their composite is the mean of error by tolerance, where the
    tolerances are 1 % of BV/TV, 5 % of the Euler number (and at least one), 12 and 24 mgHA/cm³: so 1 is "as wrong as
    may be". With --patience N, training ends when it has not fallen for N checkpoints, and the checkpoint is the
    best one, not the last.

    Value, weight and share of the gradient of every term of the loss are in the .csv of every run. With --balance,
    "l1 + 0.5*ssim" gives ssim half of the gradient of l1 at the network's output, whatever the size of their values.

    Before it begins, a run reads all stacks once: a value that is NaN or infinite is refused with its place, and so is
    a stack that is given twice, by whatever name. A target that is noisier than its input, or lies some pixels beside
    it, is told on standard error. The digests of all stacks are in the checkpoint, and --resume wants the same.

    The same seed gives the same bytes on one CPU. Interrupting (^C, SIGTERM) saves first, and ends at once the second
    time; --resume then gives the bytes that the uninterrupted run would have given. If the loss becomes NaN, training
    stops, names the term, and the last checkpoint stays.

    A finished run is prolonged by --resume with more --steps. From there on everything that refers to the length of the
    run follows the new one: a run of 2000 steps that goes on to 4000 does so at the rate that a run of 4000 has in its
    middle, which is half of the highest, and @75% is step 3000. The checkpoint tells that it was prolonged, and where;
    what comes out is not the bytes of one run of 4000 steps.

    Several processes train together under torchrun, on CPUs or with a GPU each: "torchrun --nproc-per-node 2 -m --
    bonectl train ..." with --batch 4 sees in every step the patches that one process sees with --batch 8. Stacks should
    be NPY files then: others are unpacked by every process. If one process dies, the others end with status 69.

    With --teacher the network learns what other models make of the inputs: of several it learns the mean of their
    answers, in one network that costs as much as one (distillation). A teacher is a checkpoint of the same unit and
    scale, or a filter. All are asked once, before the first step, slab by slab as "bonectl denoise" asks them, and so
    with all of their context; their answers are a temporary file for each input (in TMPDIR). With --teacher-share 0.7
    what is learned lies at 0.7 of the teachers' mean and 0.3 of the --target, voxel by voxel. The held-out part is
    judged by the targets alone. The checkpoint holds the teachers and the digests of their weights, and --resume wants
    the same.

    With --any-voxel-size stacks may differ in voxel size (their slices in number and side anyway); the checkpoint says
    from which size to which.

    The model lpd learns to reconstruct: IN are scans, each with the volume that it is a scan of as --target, and
    "bonectl reconstruct --method lpd(weights=OUT)" uses what comes out.

    Reads NPY files in place; other formats are unpacked first, to a temporary file without a name (in TMPDIR).

    \b
    Examples:
      bonectl train fbp.npy --target bone.npy --steps 4 --patch 32 --every 2 \\
        -o bone.safetensors
      bonectl denoise fbp.npy --model bone.safetensors -o denoised.npy
      bonectl train fbp.npy --target bone.npy --steps 6 --patch 32 \\
        --loss 'l1 + l2@50%' -o mixed.safetensors
      bonectl train fbp.npy -t bone.npy --steps 2 --patch 32 \\
        --loss 'l1 + 0.5*ssim' --balance -o balanced.safetensors
      bonectl train fbp.npy -t bone.npy --teacher bone.safetensors \\
        --teacher mixed.safetensors --steps 2 --patch 32 -o mean.safetensors
      bonectl train bone.npy --pairs 'lowdose(views=60)' --steps 2 --patch 16 \\
        -o simulated.safetensors
      bonectl train scan.npy -t bone.npy --model 'lpd(iterations=2)' \\
        --steps 2 --run 2 -o lpd.safetensors
      bonectl reconstruct scan.npy --method "lpd(weights='lpd.safetensors')" \\
        -o learned.npy
    """
    from bonectl.training.recipe import Recipe
    from bonectl.training.request import Request as Asked
    from bonectl.training.saving import Saving

    request = replace(request, output=output, force=force, dry_run=dry_run, as_json=as_json)
    made = [output.with_name(f"{output.name}{ending}") for ending in ("", ".resume", ".csv", ".png")]
    files.apart([*inputs, *(target or []), *(teacher or []), model, loss, pairs, init_from], made)
    recipe = Recipe(
        model=model, loss=loss, pairs=pairs, steps=steps, batch=batch, run=run, patch=patch, rate=rate,
        held_out=held_out, balance=balance, critics=critics, patience=patience, seed=seed,
    )  # fmt: skip
    saving = Saving(
        output=output, every=every, force=force, resume=resume, picture=picture, tensorboard=tensorboard
    )  # fmt: skip
    asked = Asked(
        inputs=tuple(inputs), targets=tuple(target or ()), recipe=recipe, saving=saving, start=init_from,
        of_any_voxels=any_voxel_size, teachers=tuple(teacher or ()), teacher_share=teacher_share,
        normalisation=_normalisation(offset, scale), device_name=device, compiled=compile,
        mending=None if nan is NaN.fail else functools.partial(streams.screened, nan=nan),
    )  # fmt: skip
    if dry_run:
        _tell(asked, request)
    else:
        _train(asked)


def _train(asked: "Asked") -> None:
    """Train until the end, or a signal."""
    from bonectl.core import progress
    from bonectl.learning.card import card, doubts
    from bonectl.learning.checkpoint import Checkpoint
    from bonectl.ops.train import train

    with _asked_to_stop() as stop:
        end = train(asked, stop=stop)
        if end.finished:
            stop.forget()
        if end.leads:
            progress.note(_summary(end, asked.saving.output))
            for doubt in doubts(card(Checkpoint.load(asked.saving.output), "")) if end.finished else ():
                progress.note(f"warning: {doubt}")


def _tell(asked: "Asked", request: Request) -> None:
    """Print what would be done, and what that takes."""
    from bonectl.ops.train import estimated

    facts, cost = estimated(asked)
    output = streams.plain(str(asked.saving.output))
    if request.as_json:
        told = {"schema": SCHEMA, "command": request.command, "output": output} | facts | cost.numbers()
        streams.say(json.dumps(told, indent=2))
        return
    lines = {"output": output} | {key: _in_words(fact) for key, fact in facts.items()} | cost.words()
    streams.say("\n".join(f"{key}\t{value}" for key, value in lines.items()))


def _in_words(fact: object) -> str:
    """A fact for people; of several alike one."""
    if not isinstance(fact, list):
        return str(fact)
    words = [_in_words(each) for each in fact]
    return " × ".join(words) if isinstance(fact[0], int) else ", ".join(dict.fromkeys(words))


class _Stop:
    """Remembers that a signal asked for the end; the second one ends at once, unless torchrun repeats itself."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.signum is not None

    def forget(self) -> None:
        """Do not die of a signal that came after the last step: everything is saved."""
        self.signum = None

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.signum is None:
            self.signum = signum
        elif "TORCHELASTIC_RUN_ID" not in os.environ:
            ending.by(signum)


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[_Stop]:
    """Turn signals into a wish that the training loop asks for; die of them once it has saved."""
    stop = _Stop()
    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
    for name in ending.ASKING:
        signum = getattr(signal, name, None)
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            before[signum] = signal.signal(signum, stop.hear)
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if stop.signum is not None:
        ending.by(stop.signum)


def _normalisation(offset: float | None, scale: float | None) -> tuple[float, float] | None:
    if (offset is None) != (scale is None):
        raise UsageError("--offset and --scale belong together; give both, or none for calibrated data")
    return None if offset is None or scale is None else (offset, scale)


def _summary(end: "Trained", output: Path) -> str:
    bone = "" if end.now.bone is None else f", composite {end.now.composite:.3g} (input {end.before.composite:.3g})"
    kept = f"; step {end.kept} was the best" if end.kept != end.steps else ""
    psnr = f"{end.psnr:.2f} dB (input {end.psnr_input:.2f} dB)"
    stopped = "" if end.finished else "; stopped early, --resume goes on from there"
    return f"{counted(end.steps, 'step')}; held-out PSNR {psnr}{bone}{kept}; wrote {output}{stopped}"
