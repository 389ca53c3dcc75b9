"""All benchmarks in one command, what they print written into bench/RESULTS.md.

    python bench/results.py [--only projector startup ...] [--anyway]

Each runs in a process of its own, one after another, whose threads wait as those of a command do. What is printed
replaces what the same script printed before, between the two marks of RESULTS.md; the words around them stay. Above all
stand the machine, the version of every peer, and of a peer that is not there why it is not; above each part stand the
date, and the load before the first script. A busy machine is refused (75): its times mean nothing; `--anyway` measures
all the same and says so. Ends with 1 where a benchmark found a wrong result.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from truth import versions

from bonectl.core import threads

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
BEGIN, END = "<!-- what bench/results.py printed: begin -->", "<!-- end -->"
# In this order; a script may run several times.
RUNS = (
    ("startup.py",),
    ("files.py",),
    ("projector.py", "--large"),
    ("memory.py",),
    ("measure.py",),
    ("measure.py", "512", "--one-call"),
    ("denoise.py",),
    ("train.py",),
    ("adam.py",),
    ("preparations.py",),
    ("axis.py",),
    ("samples.py",),
    ("scan.py",),
    ("gpu.py",),
)
# Package on PyPI, and how it is had where it is not installed.
PEERS = {
    "ASTRA": ("astra-toolbox", "pip install astra-toolbox"),
    "scikit-image": ("scikit-image", "pip install scikit-image"),
    "SciPy": ("scipy", "pip install scipy"),
    "RTK": ("itk-rtk", "make bench installs it"),
    "edt": ("edt", "make bench installs it"),
    "localthickness": ("localthickness", "make bench installs it"),
    "algotom": ("algotom", "make bench installs it"),
    "onnxruntime": ("onnxruntime", "pip install onnxruntime"),
    "OpenVINO": ("openvino", "pip install openvino"),
    "porespy": ("porespy", "pip install porespy; no script uses it yet"),
    "svmbir": ("svmbir", "pip install svmbir; no script uses it yet"),
    "TomoPy (gridrec)": ("tomopy", "not on PyPI: conda install -c conda-forge tomopy; no script uses it yet"),
    "tomocupy": ("tomocupy", "conda and CUDA alone; its published times are quoted"),
}
PART = "### `bench/"
# A machine with more to do than this share of a processor is busy.
IDLE = 0.3


def main(words: list[str] | None = None) -> int:
    """Run, and write."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", nargs="+", metavar="SCRIPT", help="these scripts alone")
    options.add_argument("--anyway", action="store_true", help="measure on a busy machine too")
    given = options.parse_args(words)
    chosen = [run for run in RUNS if not given.only or Path(run[0]).stem in given.only or run[0] in given.only]
    if not chosen:
        print(f"no such benchmark; there are {', '.join(sorted({Path(run[0]).stem for run in RUNS}))}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    if load > IDLE and not given.anyway:
        print(
            f"the machine is busy (load {load:.2f}): its times would mean nothing; --anyway measures", file=sys.stderr
        )
        return 75
    threads.let_sleep()
    wrong = 0
    for run in chosen:
        status, part = told(run, load)
        wrong += status not in (0, 69)  # 69: the device is not there
        RESULTS.write_text(replaced(RESULTS.read_text(), part))  # after each, or hours are lost with the last
    return int(wrong > 0)


def heading() -> str:
    """Where, and with which peers."""
    rows = [f"| {name} | {there(package) or how} |" for name, (package, how) in PEERS.items()]
    return "\n".join(
        [
            f"{processor()}, {len(os.sched_getaffinity(0))} cores; {versions()}, Python {platform.python_version()}.",
            "",
            "| peer | version, or why it is not there |",
            "|---|---|",
            *rows,
        ]
    )


def there(package: str) -> str:
    """The version that is installed; empty where none is."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def processor() -> str:
    """Its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def told(run: tuple[str, ...], load: float) -> tuple[int, str]:
    """The status of a script, and what it printed under a heading; `load` is that before the first script."""
    print(" ".join(run), file=sys.stderr, flush=True)
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    busy = " (busy: times mean little)" if load > IDLE else ""
    done = subprocess.run([sys.executable, str(HERE / run[0]), *run[1:]], capture_output=True, text=True, check=False)
    said = [f"{day} UTC, load {load:.2f} before the first script{busy}.", done.stdout.strip()]
    if done.returncode:
        said.append(f"Ended with status {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return done.returncode, f"{title(run)}\n\n" + "\n\n".join(part for part in said if part)


def title(run: tuple[str, ...]) -> str:
    """The heading of what a script printed."""
    return f"{PART}{' '.join(run)}`"


def replaced(text: str, part: str) -> str:
    """The page with this part between its marks, in the order of `RUNS`; at its end where it has no marks."""
    before, _, rest = text.partition(BEGIN)
    block, _, after = rest.partition(END)
    there = {one.partition("\n")[0]: one for one in (f"{PART}{piece}".rstrip() for piece in block.split(PART)[1:])}
    there[part.partition("\n")[0]] = part
    parts = [there[name] for name in map(title, RUNS) if name in there]
    whole = "\n\n".join([before.rstrip(), BEGIN, heading(), *parts, END])
    return f"{whole}\n{after.lstrip()}"


if __name__ == "__main__":
    sys.exit(main())
