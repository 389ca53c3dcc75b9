"""`bonectl batch`."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bonectl.cli import streams
from bonectl.cli.batch_options import (
    AsJson,
    DryRun,
    Init,
    Jobs,
    KeepNames,
    NoReport,
    Only,
    Output,
    PipelineFile,
    Redo,
    Retries,
    RetryFailed,
    Roots,
    Scheduler,
    Script,
    Settle,
    ShardOf,
    Status,
    Until,
    Watch,
)
from bonectl.cli.command import command
from bonectl.cli.options import Request
from bonectl.core import ending, progress
from bonectl.core.counted import counted
from bonectl.errors import MissingInputError, UsageError

if TYPE_CHECKING:
    from bonectl.batching.discovery import Found
    from bonectl.batching.pipeline import Pipeline
    from bonectl.batching.planning import Standing
    from bonectl.batching.pool import More, Pool, Settings
    from bonectl.batching.work import Outcome

# Tasks of a job array that a script begins with: more scans than that share a task.
_MOST_TASKS = 16


@command()
def batch(
    request: Request,
    *,
    pipeline: PipelineFile = None,
    roots: Roots = None,
    init: Init = None,
    only: Only = None,
    output: Output = None,
    dry_run: DryRun = False,
    status: Status = False,
    as_json: AsJson = False,
    redo: Redo = None,
    retry_failed: RetryFailed = False,
    retries: Retries = 1,
    jobs: Jobs = 0,
    shard: ShardOf = None,
    print_script: Script = None,
    scheduler: Scheduler = None,
    watch: Watch = False,
    settle: Settle = 60.0,
    until: Until = None,
    no_report: NoReport = False,
    keep_names: KeepNames = False,
) -> None:
    """Run a pipeline over many scans: those that are new, that changed, or that were interrupted.

    The pipeline file is TOML. It says which scans (a pattern; what is a scan is found by what a file or folder holds,
    at any depth, and nothing inside of a scan is another one), where outputs go, and the steps: bonectl commands
    without input and output, which are joined by pipes. keep names an output of a step in the scan's folder; a step
    after it reads that. Paths start from the folder of the file, where the steps run too.

    \b
      scans  = "raw/**"
      output = "processed/{scan}"  # path below raw, without suffix; {name}
      [defaults]                       # for each step that has the option
      device = "auto"
      [[step]]
      run    = "reconstruct"
      centre = "auto"
      [[step]]
      run    = "denoise"
      model  = "models/bone.safetensors"
      keep   = "volume.tif"
      [[step]]
      run    = "measure"
      mask   = "masks/{name}.tif"
      keep   = "numbers.json"
      [scan."hip_07"]                  # a name or a pattern; the last wins
      centre = 1021.75                 # or "reconstruct.centre", "1.centre"
      [scan."test_*"]
      skip   = "alignment scan"

    Options are those of the commands, without dashes; a misspelt one is told before anything runs. In options, {scan},
    {name} and {output} stand for the scan's path, its name, and the folder of its outputs. --init prints a first file
    for the scans below a folder.

    A scan is kept when its command lines, its files (sizes and times), the files that its options name, and the first
    two places of the version are those of its record, and its outputs are there. Else it is run from its first line
    that differs: a changed option runs that scan alone, from that step. What failed by its data or the request (1, 2,
    65, 66) is left so until something changes, or --retry-failed; what lacked memory or was killed is begun again,
    --retries times, and in every later batch, as is what lacked disk, rights or a device.

    Each scan is run in processes of its own, which end with the batch. A batch that was killed goes on when it is
    started again. Several on one folder share the work. A pipeline of one step that prints text about small files has
    several of them done by one process. --dry-run asks the first step of each scan for its estimate (bonectl.plan/1,
    see bonectl(1)).

    Beside a scan's outputs lie .bonectl/log.txt and .bonectl/record.json, one object (bonectl.batch/1): scan, kind,
    state, status, message, attempts, started, ended, seconds, version, python, host, device, processors, inputs (name,
    number of files, bytes, time of the last change, hash of all or of the ends of long files), and lines, each with
    its key (the digest that decides whether it is run again), argv and exit statuses of its commands, seconds,
    peak_memory_bytes, outputs, and warnings (what the commands noted on standard error). Folders above the pipeline's
    are named neither there nor in the log (--keep-names).

    [report] names a table (.tsv or .csv: a line for each scan, failed ones with their reason and without numbers, what
    the steps noted as warnings, and the numbers that measure kept as JSON) and a sheet (.html: failures first, the
    middle slice of each in one window, columns that sort). columns is a table of further facts, such as age and group,
    whose first column has the scans' names; window the values that are black and white. A change of it runs no scan
    again.

    Beyond one machine: --shard in a job array (--print-script slurm prints one), or --scheduler, which has each scan
    run on a worker of dask (pip install 'bonectl[dask]') as a batch of its own, one with a GPU where workers were
    started with --resources "GPU=1". All must see the folders under the same paths.

    Prints a line for each scan: name, done, kept, failed or skipped, seconds, of a failed one status and message, and
    how many warnings its steps gave.
    Ends with 0 when every scan is done, kept or skipped, else with the first of 1, 75, 74, 73, 77, 65, 66, 69, 2 that
    a scan ended with; a scan that was killed counts as 75.

    \b
    Examples:
      bonectl batch --init . > pipeline.toml
      bonectl batch pipeline.toml --dry-run
      bonectl batch pipeline.toml -o numbers --only "bone"
      bonectl batch pipeline.toml --status
    """
    from bonectl.batching.pool import Settings

    asked = _Asked(pipeline, tuple(roots or ()), output, tuple(only or ()), shard, as_json, scheduler, not no_report)
    settings = Settings(slots=jobs, retries=retries, retry_failed=retry_failed, redo=redo or "", keep_names=keep_names)
    if watch and scheduler is not None:
        raise UsageError("--watch runs scans here; leave out --scheduler")
    if until is not None and not watch:
        raise UsageError("--until ends --watch; give both")
    if init is not None:
        _init(init, asked)
    elif print_script is not None:
        _script(print_script, asked)
    elif dry_run:
        _plan(asked, settings)
    elif status:
        _tell(asked)
    else:
        _run(asked, settings, _Watch(settle, until) if watch else None)


@dataclass(frozen=True)
class _Asked:
    """Which scans by which pipeline, and how they are told."""

    pipeline: Path | None
    roots: tuple[Path, ...]
    output: Path | None
    only: tuple[str, ...]
    shard: str | None
    as_json: bool
    scheduler: str | None
    reports: bool

    def loaded(self) -> "Pipeline":
        """The pipeline; paths start from its folder."""
        from bonectl.batching.pipeline import load
        from bonectl.cli.steps import catalogue

        if self.pipeline is None:
            raise UsageError("no pipeline file; give one, or --init ROOT to have one printed")
        output = None if self.output is None else os.path.relpath(self.output, self.pipeline.parent)
        return load(self.pipeline, catalogue(), output)

    def words(self) -> list[str]:
        """Pipeline, roots and output, as another folder names them."""
        output = [] if self.output is None else ["-o", str(self.output.absolute())]
        return [*map(str, (path.absolute() for path in (self.pipeline or Path(), *self.roots))), *output]

    def report(self, pipeline: "Pipeline") -> None:
        """Write what the pipeline's report asks for."""
        from bonectl.batching import report

        if self.reports:
            report.write(pipeline, self.every(pipeline))

    def found(self, pipeline: "Pipeline") -> "list[Found]":
        """The scans that are meant."""
        return self.chosen(pipeline, self.every(pipeline))

    def checked(self, pipeline: "Pipeline") -> "list[Found]":
        """The same; parts of the file that are about no scan are told."""
        there = self.every(pipeline)
        for idle in pipeline.idle(each.scan for each in there):
            progress.note(idle)
        chosen = self.chosen(pipeline, there)
        if self.only and not chosen:
            raise UsageError(f"no scan is named {' or '.join(self.only)}; --status without --only names all")
        return chosen

    def every(self, pipeline: "Pipeline") -> "list[Found]":
        """All scans that there are."""
        from bonectl.batching.discovery import discover
        from bonectl.batching.kinds import kind

        if lost := next((root for root in self.roots if not root.is_dir()), None):
            raise MissingInputError(f"{lost}: is no folder; give the one that holds the scans")
        return discover(pipeline, [Path(os.path.relpath(root, pipeline.base)) for root in self.roots], kind)

    def arriving(self, pipeline: "Pipeline", watch: "_Watch | None", pool: "Pool") -> "More":
        """Scans that come while the batch runs; none come where it does not watch."""
        from bonectl.batching.watching import Watcher, moment

        if watch is None:
            return lambda: None
        until = None if watch.until is None else moment(watch.until)
        return Watcher(lambda: self.found(pipeline), pipeline.base, pool.is_readable, watch.settle, until).more

    def chosen(self, pipeline: "Pipeline", there: "list[Found]") -> "list[Found]":
        """Those of them that --only and --shard leave."""
        from bonectl.batching import fingerprint
        from bonectl.batching.pipeline import fits
        from bonectl.batching.shard import parse

        if self.only:
            there = [each for each in there if any(fits(each.scan, pattern) for pattern in self.only)]
        if self.shard is None:
            return there
        sizes = {each.scan: fingerprint.size(fingerprint.states(pipeline.base / each.path)) for each in there}
        return parse(self.shard).of(there, sizes)


@dataclass(frozen=True)
class _Watch:
    """How new scans are waited for."""

    settle: float
    until: str | None


# ---- running ----


def _run(asked: _Asked, settings: "Settings", watch: _Watch | None) -> None:
    from bonectl.batching import store
    from bonectl.batching.cohort import columns
    from bonectl.batching.dask import scattered
    from bonectl.batching.pool import Pool

    pipeline = asked.loaded()
    columns(pipeline)  # what is wrong with it is told before the night, not after
    found = [] if watch is not None else asked.checked(pipeline)
    store.begin(pipeline)
    outcomes: dict[str, Outcome] = {}
    if asked.scheduler is None:
        pool = Pool(pipeline, settings)
        running = pool.run(found, asked.arriving(pipeline, watch, pool))
    else:
        running = scattered(pipeline, asked.words(), found, asked.scheduler, settings)
    with (
        ending.undoing(cache(lambda: asked.report(pipeline))),  # once, in however many rounds
        _shown(len(found)) as advance,
    ):
        for outcome in running:
            outcomes[outcome.scan] = outcome
            _say(outcome, asked)
            advance()
            if watch is not None:
                with ending.waiting():  # half of one in the way of the last one
                    asked.report(pipeline)
    progress.note(_summary(list(outcomes.values())))
    if outcomes:  # after what is said: it may find the disk full
        asked.report(pipeline)
    if status := store.status(outcomes.values()):
        raise typer.Exit(status)


def _shown(count: int) -> AbstractContextManager[progress.Advance]:
    """A task; on a terminal none: the lines that are printed there show how far it is."""
    if sys.stdout is not None and sys.stdout.isatty():
        return nullcontext(lambda done=1, **facts: None)
    return progress.task("batch", count or None, "scan")


def _say(outcome: "Outcome", asked: _Asked) -> None:
    if asked.as_json:
        streams.say(json.dumps(vars(outcome)))
        return
    _line(outcome)


# ---- telling ----


def _init(root: Path, asked: _Asked) -> None:
    from bonectl.batching.discovery import below
    from bonectl.batching.initial import initial
    from bonectl.batching.kinds import kind
    from bonectl.batching.planning import look

    if asked.pipeline is not None:
        raise UsageError("--init prints a new pipeline file; give it no other")
    found = below(Path(), root, "**", kind)
    streams.say(initial(root, found, look(found)).removesuffix("\n"))


def _plan(asked: _Asked, settings: "Settings") -> None:
    from bonectl.batching.planning import planned
    from bonectl.batching.room import free
    from bonectl.core.memory import spoken

    pipeline = asked.loaded()
    found = asked.checked(pipeline)
    there = []
    for each in planned(pipeline, found, settings):
        there.append(each)
        if asked.as_json:
            streams.say(json.dumps(vars(each)))
            continue
        runs = each.commands and not each.trouble
        takes = [f"memory {spoken(each.memory_bytes)}", f"disk {spoken(each.disk_bytes)}"] if runs else ["", ""]
        said = f"would fail: {each.trouble}" if each.trouble else f"{each.action}: {each.why}"
        streams.say("\t".join((each.scan, each.kind, each.what, *takes, said)))
    needed = sum(each.disk_bytes for each in there)
    actions = ["would fail" if each.trouble else each.action for each in there]
    disk = f"disk needed {spoken(needed)}, free {spoken(free(pipeline))}"
    progress.note(f"{counted(len(there), 'scan')}: {_counts(actions)}; {disk}")


def _script(name: str, asked: _Asked) -> None:
    import shlex

    from bonectl.batching.room import wants_card
    from bonectl.batching.shard import script

    if name != "slurm":
        raise UsageError(f"--print-script {name!r}; there is slurm")
    pipeline = asked.loaded()
    count = min(len(asked.found(pipeline)), _MOST_TASKS)
    line = shlex.join(["bonectl", "batch", *asked.words()])
    streams.say(script(line, count, card=wants_card(pipeline)).removesuffix("\n"))


def _tell(asked: _Asked) -> None:
    from bonectl.batching.planning import standing

    pipeline = asked.loaded()
    there = []
    for each in standing(pipeline, asked.checked(pipeline)):
        there.append(each)
        if asked.as_json:
            streams.say(json.dumps(vars(each)))
        else:
            _line(each)
    progress.note(_summary(there))


def _line(each: "Outcome | Standing") -> None:
    words = [each.scan, each.state, f"{each.seconds:.0f} s", *[str(each.status)] * bool(each.status)]
    many = counted(len(each.warnings), "warning") if each.warnings else ""
    streams.say("\t".join([*words, *filter(None, (each.message, many))]))


def _summary(there: "Sequence[Outcome | Standing]") -> str:
    warned = sum(bool(each.warnings) for each in there)
    states = [each.state for each in there]
    return f"{counted(len(there), 'scan')}: {_counts(states)}{f' ({warned} with warnings)' if warned else ''}"


def _counts(states: Sequence[str]) -> str:
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
