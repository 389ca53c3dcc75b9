"""What `bonectl --help` costs beside the import of typer alone.

    python bench/startup.py [--rounds N]

Medians of interleaved runs of whole processes, CPU seconds and wall seconds.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median


def cost(*argv: str) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = children(), time.perf_counter()
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    end = time.perf_counter()
    if "--help" in argv and not said.startswith("Usage: bonectl"):
        sys.exit(f"{' '.join(argv)} printed no help; its time means nothing")
    return children() - before, end - start


def children() -> float:
    """CPU seconds of all ended processes that this one started; finer than the hundredths that `os.times` counts."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    rounds = options.parse_args().rounds
    lines = {
        "python -c 'import typer'": (sys.executable, "-c", "import typer"),
        "bonectl --help": (str(Path(sys.executable).with_name("bonectl")), "--help"),
        "bonectl train --help": (str(Path(sys.executable).with_name("bonectl")), "train", "--help"),
    }
    runs = [{name: cost(*argv) for name, argv in lines.items()} for _ in range(rounds)]
    middle = {name: [median(run[name][which] for run in runs) for which in range(2)] for name in lines}
    base = next(iter(middle.values()))
    print("| what | CPU s | wall s | CPU ratio | wall ratio |\n|---|---|---|---|---|")
    for name, (cpu, wall) in middle.items():
        print(f"| {name} | {cpu:.3f} | {wall:.3f} | {cpu / base[0]:.2f} | {wall / base[1]:.2f} |")


if __name__ == "__main__":
    main()
