"""A batch on the workers of a dask scheduler: each scan is a batch of its own there, of that scan alone.

What holds on one machine holds here: records and claims are in the shared folder, and a worker's child ends with its
worker, so that a scan that dask begins again elsewhere is run once.
"""

import glob
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bonectl.batching import record
from bonectl.batching.discovery import Found
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.pool import Settings
from bonectl.batching.stages import Room, launched
from bonectl.batching.work import SKIPPED, Outcome
from bonectl.core.printable import one_line
from bonectl.errors import MemoryShortageError, UnavailableError

# How long a scheduler may take to answer [s].
PATIENCE = 30

# What workers that have a GPU are started with: --resources "GPU=1".
CARD = "GPU"


def scattered(
    pipeline: Pipeline, words: Sequence[str], found: Sequence[Found], scheduler: str, settings: Settings
) -> Iterator[Outcome]:
    """What became of each scan, as they end on the workers.

    Parameters
    ----------
    pipeline : Pipeline
    words : sequence of str
        Pipeline file, roots and output of the batch, by absolute paths that the workers know too.
    found : sequence of Found
    scheduler : str
        Its address, or the file that it wrote.
    settings : Settings

    Raises
    ------
    UnavailableError
        When dask is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise UnavailableError("--scheduler needs dask; pip install 'bonectl[dask]'") from None
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = Client(**where, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise UnavailableError(f"{scheduler}: no scheduler of dask answers there ({str(error)[:80]})") from error
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        cards = any(CARD in worker.get("resources", {}) for worker in workers)
        waiting = {}
        for each in found:
            if why := pipeline.skipped(each.scan):
                yield Outcome(scan=each.scan, state=SKIPPED, message=why)
                continue
            argv = ("batch", *words, "--only", glob.escape(each.scan), *_options(settings, each.scan))
            future = client.submit(run, argv, pure=False, resources={CARD: 1} if cards else None)
            waiting[future] = each.scan
        for future in as_completed(waiting):
            yield _outcome(waiting[future], future)


def run(argv: Sequence[str]) -> tuple[int, str, str]:
    """On a worker: a batch of one scan, as a child that ends with the worker; its status, lines and speech."""
    done = subprocess.run(launched(argv, Room()), capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def _options(settings: Settings, scan: str) -> list[str]:
    """Of a batch of one scan."""
    words = ["-j", "1", "--json", "--quiet", "--no-report", "--retries", str(settings.retries)]
    words += ["--redo", glob.escape(scan)] if settings.redoes(scan) else []
    words += ["--retry-failed"] if settings.retry_failed else []
    return [*words, "--keep-names"] if settings.keep_names else words


def _outcome(scan: str, future: Any) -> Outcome:
    """What the batch on the worker says of its scan, or why it says nothing."""
    if future.status != "finished":
        message = f"its workers were lost ({type(future.exception()).__name__})"
        return Outcome(scan=scan, state=record.FAILED, status=MemoryShortageError.status, message=message)
    status, lines, said = future.result()
    for line in lines.splitlines():
        told = json.loads(line)
        if told.get("scan") == scan:
            return Outcome(**told)
    message = one_line(said.splitlines()[-1]) if said.strip() else "its batch said nothing"
    return Outcome(scan=scan, state=record.FAILED, status=status if 0 < status < 128 else 75, message=message)
