"""Tables of tabs: every line a mapping by column, all texts."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path


def read(path: Path, delimiter: str = "\t") -> list[dict[str, str]]:
    """All lines; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        return list(csv.DictReader(file, delimiter=delimiter, quoting=quoting))


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write lines, whole or not at all; a column for every key, six digits each."""
    part = path.with_suffix(".part")
    part.write_text(text(rows), encoding="utf-8")
    part.replace(path)


def text(rows: Sequence[Mapping[str, object]]) -> str:
    """The lines, head first."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    lines = ([shown(one.get(name)) for name in names] for one in rows)
    return "".join("\t".join(line) + "\n" for line in (names, *lines))


def shown(value: object) -> str:
    """As it is written: six digits are more than any of these numbers has, and a text is one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else " ".join(str(value).split())
