"""Eight bone numbers of several stacks beside their reference, from what `bonectl measure --json` printed.

python demo_table.py numbers.json                                    prints a table
python demo_table.py numbers.json --least                            the stack whose bone numbers err least
python demo_table.py numbers.json --nearer "a.npy b.npy psnr connd"  ends with status 1 where a is not nearer than b
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import fmean

# Row of `measure`, name in print, unit, digits; the first four are errors in percent of the reference.
NUMBERS = (
    ("bvtv", "BV/TV", "%", 1),
    ("connd", "Conn.D", "1/mm³", 2),
    ("tbth", "Tb.Th", "mm", 3),
    ("tbsp", "Tb.Sp", "mm", 3),
    ("tmd", "TMD", "mgHA/cm³", 0),
    ("bmd_distance", "W1 of density", "mgHA/cm³", 1),
    ("psnr", "PSNR", "dB", 1),
    ("fsc_frequency", "FSC", "1/mm", 2),
)
ERRORS = ("bvtv", "connd", "tbth", "tmd")
MERITS = ("psnr", "fsc_frequency")


def read(path: Path) -> dict[str, dict[str, dict]]:
    """Rows by stack and name."""
    return {Path(one["file"]).name: {row["name"]: row for row in one["rows"]} for one in json.loads(path.read_text())}


def error(row: dict) -> float:
    """How far a number is off; less is better."""
    if row["name"] in MERITS:
        return -row["value"]
    return abs(row["value"] if row["percent"] is None else row["percent"])


def cell(row: dict, scale: float, digits: int) -> str:
    """A number as it is printed, with its difference in percent where the reference has it too."""
    text = f"{scale * row['value']:.{digits}f}"
    return text if row["percent"] is None else f"{text} ({row['percent']:+.1f} %)"


def table(stacks: dict[str, dict[str, dict]]) -> list[list[str]]:
    """Lines of cells: the names, then a line for each number."""
    lines = [["", *(Path(name).stem for name in stacks), "reference"]]
    for name, text, unit, digits in NUMBERS:
        scale = 100 if unit == "%" else 1
        rows = [rows[name] for rows in stacks.values()]
        known = rows[0]["reference"]
        last = "" if known is None else f"{scale * known:.{digits}f}"
        lines.append([f"{text} [{unit}]", *(cell(row, scale, digits) for row in rows), last])
    return lines


def main() -> None:
    """Read the arguments; print, choose or judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", type=Path)
    parser.add_argument("--least", action="store_true")
    parser.add_argument("--nearer")
    given = parser.parse_args()
    stacks = read(given.numbers)
    if given.least:
        print(min(stacks, key=lambda name: fmean(min(error(stacks[name][one]), 100) for one in ERRORS)))
    elif given.nearer:
        better, worse, *names = given.nearer.split()
        wrong = [name for name in names if error(stacks[better][name]) >= error(stacks[worse][name])]
        sys.exit(f"{better} is no nearer to the reference than {worse} by {', '.join(wrong)}" if wrong else 0)
    else:
        lines = table(stacks)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
