"""`bonectl export`."""

from pathlib import Path
from typing import Annotated

import typer

from bonectl.cli import files
from bonectl.cli.command import command
from bonectl.cli.options import Force, Request
from bonectl.core import progress


@command()
def export(
    request: Request,
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint of `bonectl train`.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="x.onnx, or x.zip: a package of the BioImage Model Zoo.",
        ),
    ],
    force: Force = False,
) -> None:
    """Turn a trained model into ONNX, for software that has no bonectl.

    The graph takes a slice between its neighbours as channels, (1, 2 n + 1, y, x) in float32, of any y and x, and gives
    the slice; n is how many slices the model sees on either side. At the ends of a stack its outermost slices stand in
    for missing neighbours; for the model blind those n + 1 slices farther in, or it would see the slice itself. Values
    go in and come out in the unit of the training data: the scale of the network is part of the graph, so nobody can
    leave it out. Do not normalise them by the image.

    Attenuation is taken to have the calibration of the training data. "bonectl denoise" scales data of another energy
    by their own; a graph cannot see a header.

    The metadata of the ONNX file, and "config" in the package, hold the card that "bonectl info MODEL --json" prints,
    and the unit in words. The package (x.zip) holds bioimageio.yaml (model description 0.5), the graph, a test tensor
    with its answer, and a page with how the model did on slices that were held out; authors, licence and a cover are
    added by whom it belongs to.

    Before anything is written, onnxruntime runs the graph on the test tensor: its values must be those of bonectl to
    1e-5 of full bone. Needs the packages onnx and onnxruntime: bonectl[onnx].

    \b
    Examples:
      bonectl train fbp.npy --target bone.npy --steps 2 --patch 16 \\
        -o quick.safetensors
      bonectl export quick.safetensors -o quick.onnx
      bonectl export quick.safetensors -o quick.zip
    """
    files.apart([model], [output])
    from bonectl.ops.export import export as write

    made = write(model, output, force=force)
    progress.note(
        f"wrote {output}, {made.size / 1e6:.2g} MB; onnxruntime differs by at most {made.difference:.2g} {made.unit}"
    )
