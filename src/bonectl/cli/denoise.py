"""`bonectl denoise`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import streams
from bonectl.cli.command import command
from bonectl.cli.options import READS, WRITES, Device, Request

if TYPE_CHECKING:
    from bonectl.core.header import Fact
    from bonectl.ops.denoise import Model


@command(READS, WRITES)
def denoise(
    request: Request,
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE|SPEC",
            help="Checkpoint of `bonectl train`, or a filter that needs no training: identity, gaussian(sigma=1) ...",
        ),
    ],
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
    on; a voxel size or dose far from its training data is told on standard error. Tiles carry the receptive
    field of the model as halo, so no seam is there to be blended.

    Streams: holds a few slices, whatever the length of the stack.

    \b
    Examples:
      bonectl denoise fbp.npy --model 'gaussian(sigma=1)' -o smooth.npy
      bonectl train fbp.npy --target bone.npy --steps 2 --patch 16 -o quick.safetensors
      bonectl denoise fbp.npy --model quick.safetensors -o denoised.npy
      bonectl denoise --model quick.safetensors < fbp.npy | bonectl info
    """
    from bonectl.ops.denoise import denoise as run

    with streams.reading(request) as noisy:
        chosen = _model(model)
        streams.writing(run(noisy, chosen, device_name=device, tile=tile), request, notes=_notes(chosen))


def _model(text: str) -> "Model":
    """A checkpoint by its path, or a filter by its spec."""
    from bonectl.ops.denoise import trained, untrained

    path = Path(text)
    if path.suffix == ".safetensors" or path.is_file() or ("/" in text and "(" not in text):
        return trained(path)
    return untrained(text)


def _notes(model: "Model") -> "dict[str, Fact]":
    """What the history says of the model."""
    if model.checkpoint is None:
        return {"model": model.name}
    return {"model": model.name, "weights_sha256": model.checkpoint.digest[:16]}
