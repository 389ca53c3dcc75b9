"""End with status 1 unless numbers that `bonectl measure --json` wrote are where they must be.

python expect.py right.json "psnr > 20" "bmd ~ 2%"
python expect.py denoised.json "psnr > psnr" --than low.json

NAME > X and NAME < X compare a number with X, or with a number of the table --than; NAME ~ P% wants it within P percent
of the reference that it was measured beside.
"""

import argparse
import json
import sys
from pathlib import Path

Rows = dict[str, dict[str, float]]


def table(path: Path) -> Rows:
    """Rows of a table by name."""
    return {row["name"]: row for row in json.loads(path.read_text())["rows"]}


def holds(claim: str, rows: Rows, others: Rows) -> bool:
    """Whether a claim is true of a table."""
    name, relation, right = claim.split()
    value = rows[name]["value"]
    if relation == "~":
        return abs(value / rows[name]["reference"] - 1) <= float(right.rstrip("%")) / 100
    bound = others[right]["value"] if right in others else float(right)
    return value > bound if relation == ">" else value < bound


def main() -> None:
    """Read the arguments, judge every claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("claims", nargs="+", metavar="CLAIM")
    parser.add_argument("--than", type=Path, help="another table, to compare with")
    given = parser.parse_args()
    rows = table(given.table)
    others = table(given.than) if given.than else {}
    wrong = [claim for claim in given.claims if not holds(claim, rows, others)]
    for claim in wrong:
        print(f"{given.table}: {claim} does not hold: {rows[claim.split()[0]]}", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
