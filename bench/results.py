"""All benchmarks in one command, what they print written into bench/RESULTS.md.

    python bench/results.py [--only projector startup ...] [--anyway]

Each runs in a process of its own, one after another. What is printed replaces what stands between the two marks of
RESULTS.md; the words around them stay. Above it stand the date, the machine, its load at the beginning, the version of
every peer, and of a peer that is not there why it is not. A busy machine is refused (75): its times mean nothing;
`--anyway` measures all the same and says so. Ends with 1 where a benchmark found a wrong result.
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
    parts, wrong = [heading(load)], 0
    for run in chosen:
        status, part = told(run)
        parts.append(part)
        wrong += status not in (0, 69)  # 69: the device is not there
        text = replaced(RESULTS.read_text(), "\n\n".join(parts))  # after each, or hours are lost with the last
        RESULTS.write_text(text)
    return int(wrong > 0)


def heading(load: float) -> str:
    """When, where, and with which peers."""
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    rows = [f"| {name} | {there(package) or how} |" for name, (package, how) in PEERS.items()]
    return "\n".join(
        [
            f"{day} UTC; {processor()}, {len(os.sched_getaffinity(0))} cores, load {load:.2f} at the beginning"
            f"{' (busy: times mean little)' if load > IDLE else ''}; {versions()}, "
            f"Python {platform.python_version()}.",
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


def told(run: tuple[str, ...]) -> tuple[int, str]:
    """The status of a script, and what it printed under a heading."""
    print(" ".join(run), file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(HERE / run[0]), *run[1:]], capture_output=True, text=True, check=False)
    said = [done.stdout.rstrip()]
    if done.returncode:
        said.append(f"Ended with status {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return done.returncode, f"### `bench/{' '.join(run)}`\n\n" + "\n\n".join(part for part in said if part)


def replaced(text: str, block: str) -> str:
    """The page with this block between its marks; at its end where it has none."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if rest else ""
    return f"{before.rstrip()}\n\n{BEGIN}\n\n{block}\n\n{END}\n{after.lstrip()}"


if __name__ == "__main__":
    sys.exit(main())
