"""`bonectl simulate`."""

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import destination, files, scanner_output, streams
from bonectl.cli.branch import branch
from bonectl.cli.command import command
from bonectl.cli.options import READS, WRITES, Device, Energy, Matrix, Order, Request, Seed
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack
    from bonectl.scanning.simulation import SimulatePlan


class Reading(StrEnum):
    """Units of a scan."""

    counts = "counts"
    transmission = "transmission"
    line_integral = "line integral"


@command(READS, WRITES)
def simulate(
    request: Request,
    *,
    geometry: Annotated[
        str, typer.Option("--geometry", metavar="SPEC", help="How the scanner is laid out: 'cone(sod=200, sdd=400)'.")
    ] = "parallel",
    views: Annotated[
        int | None,
        typer.Option("--views", metavar="N", min=1, help="Views of the scan.", show_default="as in the geometry, 720"),
    ] = None,
    photons: Annotated[
        float, typer.Option("--photons", metavar="N", help="Mean counts of a pixel and view without the object.")
    ] = 1e4,
    energy: Energy = None,
    matrix: Matrix = "water",
    noise: Annotated[
        str, typer.Option("--noise", metavar="SPEC", help="Sum of noises, such as 'poisson + electronic(sd=5)'.")
    ] = "poisson",
    blur: Annotated[
        float, typer.Option("--blur", metavar="PX", help="SD of the detector's Gaussian point spread [pixel].")
    ] = 0.5,
    gain: Annotated[
        float, typer.Option("--gain", metavar="SD", help="Relative SD of the pixels' sensitivities; needs --flats.")
    ] = 0.0,
    dark: Annotated[
        float, typer.Option("--dark", metavar="N", help="Counts that every reading has without beam.")
    ] = 0.0,
    oversample: Annotated[
        int,
        typer.Option("--oversample", metavar="K", help="Sub-pixels per side; 1 commits the inverse crime."),
    ] = 2,
    unit: Annotated[Reading, typer.Option("--unit", help="What the readings are.")] = Reading.counts,
    order: Annotated[
        Order, typer.Option("--order", help="Order of the scan; projection holds it, in memory or a temporary file.")
    ] = Order.sinogram,
    flats: Annotated[
        Path | None, typer.Option("--flats", metavar="FILE", help="Also write readings without the object.")
    ] = None,
    darks: Annotated[
        Path | None, typer.Option("--darks", metavar="FILE", help="Also write readings without beam.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", metavar="N", min=1, help="How many flats, and darks.")] = 20,
    scanner: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="KIND",
            help="Write what a scanner leaves, with flats and darks: tiff, dxchange, nxtomo, skyscan, nikon.",
            show_default="a stack",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Scan a volume: what a detector would count behind it, at a dose given by --views and --photons.

    Mineral [mgHA/cm³] attenuates by --energy (tables of xraylib) in a matrix of water, adipose or pmma. The
    object is refined and the pixels are divided (--oversample), so that no reconstruction meets the grid it
    was made on. Intensities are blurred, then counted; every row has its own random draws, so that --slab,
    files and pipes give the same bytes. Readings are never NaN: with --unit 'line integral' a reading below
    half a photon is taken as half a photon, and a line on standard error says how many there were.

    --device cuda projects on a GPU, with the numbers of the CPU to about 1e-5; noise is drawn on the CPU, so a seed
    means the same everywhere.

    The history of the scan keeps the beam and the noise with all their knobs, seed, device and projector.

    The scan is in sinogram order (row, view, col) and streams: memory does not grow with the rows, except for a
    cone beam, which holds volume and scan.

    With --as the output is what a scanner of that kind leaves on disk, to try readers and batches without a beamtime: a
    new folder (tiff, skyscan, nikon) or file (dxchange, nxtomo) with flats from before and after, darks, angles and
    distances, or pictures that are flat-corrected already (skyscan, nikon). See bonectl-scanners(7).

    \b
    Examples:
      bonectl phantom iliac --shape 16,64,64 -o bone.npy
      bonectl simulate bone.npy --views 360 --photons 1e4 --energy 25 \\
        -o scan.npy
      bonectl simulate bone.npy --views 90 --photons 1e3 \\
        --noise 'poisson + electronic(sd=3)' | bonectl info
      bonectl simulate bone.npy --geometry 'cone(sod=20, sdd=40)' --views 90 \\
        --oversample 1 | bonectl info
      bonectl simulate bone.npy --gain 0.02 --dark 100 --flats flats.npy \\
        --darks darks.npy -o raw.npy
      bonectl simulate bone.npy --geometry 'cone(sod=20, sdd=40)' --views 90 \\
        --as nikon -o cabinet
    """
    if scanner is not None:
        scanner_output.check(request, scanner, contradicting={"--unit": unit is not Reading.counts, "--flats": flats,
                                                          "--darks": darks})  # fmt: skip
    elif gain and unit is Reading.counts and flats is None:
        raise UsageError("counts of pixels with unequal sensitivities (--gain) cannot be read without --flats FILE")
    files.apart([request.source], [*files.written(request), flats, darks])
    layout = _with_views(geometry, views)
    beside = {name: _beside(request, path) for name, path in (("flats", flats), ("darks", darks)) if path}

    from bonectl.core.stack import Stack
    from bonectl.ops.simulate import run
    from bonectl.scanning.detector import Detector
    from bonectl.scanning.simulation import SimulateRequest, planned

    asked = SimulateRequest(
        geometry=layout,
        energy=energy,
        matrix=matrix,
        detector=Detector(photons=photons, noise=noise, blur=blur, gain=gain, dark=dark, oversample=oversample),
        unit=unit.value,
        seed=seed,
        device_name=device,
    )
    with streams.reading(request if scanner is None else scanner_output.unwritten(request)) as volume:
        plan = planned(volume.header, asked)
        if scanner is not None:
            scanner_output.write(plan, volume, request, scanner, frames=frames)
            return
        if request.dry_run:
            header = _ordered(Stack(plan.header, iter(())), order).header
            streams.writing(Stack(header, iter(())), request, cost=plan.cost)
            return
        with contextlib.ExitStack() as outputs:  # which are there, whole, only once the scan is
            for name, where in beside.items():
                _write_frames(name, where, plan, frames, outputs)
            streams.writing(_ordered(run(plan, volume), order), request, plan.facts())


def _write_frames(name: str, where: Request, plan: "SimulatePlan", frames: int, outputs: contextlib.ExitStack) -> None:
    """Flats or darks, which are there once the outputs are closed."""
    from bonectl.ops import simulate as ops

    make = {"flats": ops.flats, "darks": ops.darks}[name]
    stack = make(plan.header, plan.request.detector, frames=frames, seed=plan.request.seed)
    push = outputs.enter_context(branch(stack.header, where, plan.facts()))
    for slab in stack.slabs:
        push(slab)


def _ordered(scan: "Stack", order: Order) -> "Stack":
    from bonectl.stacks.view_order import ordered

    return ordered(scan, "projection") if order is Order.projection else scan


def _with_views(geometry: str, views: int | None) -> str:
    """The geometry's spec with --views as its knob."""
    from bonectl.core import kit
    from bonectl.core.spec import Spec, parse

    spec = parse(geometry)
    kit.check("geometries", [spec])
    if views is None:
        return geometry
    if spec.knobs.get("views", views) != views:
        raise UsageError(f"--views {views} contradicts --geometry '{geometry}'; give one of them")
    return str(Spec(spec.name, {**spec.knobs, "views": views}))


def _beside(request: Request, path: Path) -> Request:
    """The request for a second output."""
    from dataclasses import replace

    second = replace(request, output=path, format=None, bare=False)
    destination.check_output(second)
    return second
