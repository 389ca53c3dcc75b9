"""The options of `bonectl batch`."""

from pathlib import Path
from typing import Annotated

import typer

PipelineFile = Annotated[
    Path | None,
    typer.Argument(metavar="PIPELINE.toml", help="Pipeline file: scans, steps, what differs.", show_default=False),
]
Roots = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="ROOT...",
        help="Folders to search for scans, instead of where the patterns of the file begin.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FOLDER", help="Folder of all outputs.", show_default="as in the file"),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=0,
        help="Scans at a time; 0 is one for each GPU where a step uses one, else one for 8 processors.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Scans of these names alone.", show_default=False),
]
Redo = Annotated[
    str | None,
    typer.Option("--redo", metavar="GLOB", help="Scans of these names from their first step.", show_default=False),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try those again that failed by their data or the request, unchanged."),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries", metavar="N", min=0, help="How often a scan that lacked memory, or was killed, is begun again."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say of each scan what would be run and why; run nothing.")]
Status = Annotated[bool, typer.Option("--status", help="Say of each scan how it stands, while others work or not.")]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init", metavar="ROOT", help="Print a pipeline file for the scans below a folder.", show_default=False
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N|auto",
        help="Part I of N of the scans, of about as many bytes; auto: by the variables of a job array of Slurm, PBS, "
        "SGE or LSF (auto/N where they do not say how many).",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="Run on the workers of a scheduler of dask (its address, or the file that it wrote) instead of here.",
        show_default=False,
    ),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave the table and the sheet as they are.")]
Script = Annotated[
    str | None,
    typer.Option(
        "--print-script", metavar="slurm", help="Print a job for Slurm to edit; run nothing.", show_default=False
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on and take each scan that comes, when it is whole.")]
Settle = Annotated[
    float,
    typer.Option(
        "--settle", metavar="S", min=0, help="How long a scan must not have changed before --watch takes it [s]."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="HH:MM", help="When --watch ends.", show_default="never: ^C ends it"),
]
KeepNames = Annotated[
    bool, typer.Option("--keep-names", help="Let logs and records name the folders above the pipeline's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object for each scan.")]
