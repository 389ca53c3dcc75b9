"""``bonectl measure``: the numbers of a bone volume, beside those of a reference."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bonectl.cli.command import command
from bonectl.cli.measure_inputs import EACH, Inputs, label_of
from bonectl.cli.measure_map import ThicknessMap
from bonectl.cli.measure_numbers import Numbers
from bonectl.cli.measure_picture import Picture
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
from bonectl.errors import UsageError


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
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be measured, and in how much memory; read no voxel."),
    ] = False,
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
    name without its suffix. All that the headers tell is checked before the first is measured. As many are measured at
    a time as there are threads and memory; each is printed when its turn has come and it is done. One that cannot be
    measured is told on stderr, and the others go on; the exit status is then that of the first volume, in the order
    given, that failed. With --label each, every bone of a label image is measured as if it were alone in the stack, as
    --label N does, and printed as a volume of its own, under its label.

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
    bone, no --purify, no reference, no --intervals and no --plot; else it holds the volume, with up to 40 bytes for
    each voxel, 70 beside a reference. What does not fit into memory is refused before it is read.

    With --dry-run no voxel is read: for each volume it prints what would be measured, at what threshold and in what
    region, whether the volume is held or comes slab by slab, and the memory. With --json too that is one JSON object of
    the schema bonectl.plan/1, or a list of them: command, file, shape, axes, spacing_mm, unit, metrics, threshold,
    volume_of_interest, purify, compared, intervals, streams, memory_bytes, memory_limit_bytes and block.

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
    from bonectl.measuring import request as measuring

    asked = measuring.Request(
        metrics=metrics, threshold=threshold, purify=purify, intervals=intervals, seed=seed,
        max_memory=size_in_bytes(max_memory), keep=plot is not None,
    )  # fmt: skip
    inputs = Inputs(
        sources=source or [DASH], reference=reference, mask=mask, label=label_of(label), each=label == EACH,
        mask_label=mask_label, calibrate=calibrate,
    )  # fmt: skip
    request = replace(request, force=force, dry_run=dry_run, as_json=dry_run and (as_json or style is Style.json))
    if map is not None:
        numbers = {
            "metrics": metrics, "reference": reference, "samples": samples, "intervals": intervals, "plot": plot,
            "window": window, "json": as_json and not dry_run, "style": style is not Style.auto,
        }  # fmt: skip
        ThicknessMap(map, inputs, asked).write(replace(request, output=output), leave_out=numbers)
        return
    if output != DASH:
        raise UsageError("--output is for the stack of --map; send numbers to a file with >")
    style = Style.json if as_json and style is Style.auto else style
    if as_json and style is not Style.json:
        raise UsageError(f"--json and --style {style.value}; choose one")
    picture = Picture.of(plot, window, inputs, force=force)
    if status := Numbers(inputs, asked, picture, style, samples).print(request):
        raise typer.Exit(status)
