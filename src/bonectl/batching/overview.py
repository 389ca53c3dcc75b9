"""All scans on one page: failures first, the middle slice of each in one window, numbers that sort by a click.

One HTML file that needs nothing else, and no network.
"""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bonectl.batching import record
from bonectl.batching.cohort import FIRST, Cohort, Member, shown
from bonectl.batching.work import SKIPPED

if TYPE_CHECKING:
    from bonectl.core.pictures import Window

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff }}
h1 {{ font-size: 1.3rem; margin: 0 }} .warn {{ color: #a33900 }} .scroll {{ overflow-x: auto }}
table {{ border-collapse: collapse; margin-top: 1rem }}
th, td {{ padding: .3rem .6rem; text-align: left; vertical-align: middle; border-bottom: 1px solid #ddd }}
th {{ position: sticky; top: 0; background: #f3f3f3 }} th button {{ all: unset; cursor: pointer; font-weight: 600 }}
th button:focus-visible {{ outline: 2px solid #0072b2 }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums }} .failed td {{ background: #fdece6 }}
.skipped td, .waiting td {{ color: #777 }} img {{ display: block; width: 128px; image-rendering: pixelated }}
img:hover {{ width: 256px }}
</style></head><body>
<h1>{title}</h1><p>{counts}{window}</p>{warnings}
<div class="scroll"><table><thead><tr>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div>
<script>
for (const [column, button] of [...document.querySelectorAll("th button")].entries()) {{
  let up = false;
  button.addEventListener("click", () => {{
    up = !up;
    const body = document.querySelector("tbody");
    const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const empty = row => key(row) === "" ? 1 : 0;
    const number = button.dataset.n === "1";
    const rows = [...body.rows].sort((a, b) => empty(a) - empty(b) || (up ? 1 : -1) *
      (number ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b), "en", {{numeric: true}})));
    body.append(...rows);
    document.querySelectorAll("th").forEach(head => head.removeAttribute("aria-sort"));
    button.parentElement.setAttribute("aria-sort", up ? "ascending" : "descending");
  }});
}}
</script></body></html>
"""

# States in the order of the page: what needs a person first.
_ORDER = (record.FAILED, "interrupted", record.RUNNING, "waiting", record.DONE, SKIPPED)


def page(cohort: Cohort, title: str, window: "Window | None") -> str:
    """The page of a batch.

    Parameters
    ----------
    cohort : Cohort
    title : str
    window : tuple, optional
        Values that are black and white; of mineral and masks those of all pictures of bonectl, else what the middle
        99 % of all slices together span.
    """
    members = sorted(cohort.members, key=lambda member: _ORDER.index(member.standing.state))
    window = window or _window([member for member in members if member.middle is not None])
    names = ["slice", *FIRST, "seconds", *cohort.known, *cohort.numbers]
    numbers = {"status", "seconds", *cohort.numbers}
    states = [member.standing.state for member in members]
    counts = ", ".join(f"{states.count(state)} {state}" for state in _ORDER if state in states)
    units = sorted({member.middle.unit for member in members if member.middle is not None})
    return _PAGE.format(
        title=html.escape(title),
        counts=f"{len(members)} scans: {counts}.",
        window=f" Slices from {window[0]:g} (black) to {window[1]:g} (white) {html.escape(', '.join(units))}."
        if window
        else "",
        warnings="".join(f'<p class="warn">{html.escape(text)}</p>' for text in cohort.warnings),
        heads="".join(
            f'<th scope="col"><button data-n="{int(name in numbers)}">{html.escape(name)}</button></th>'
            for name in names
        ),
        rows="\n".join(_row(member, cohort, window) for member in members),
    )


def _row(member: Member, cohort: Cohort, window: "Window | None") -> str:
    there = member.standing
    picture = ""
    if member.middle is not None and window is not None:
        data = base64.b64encode(png(_grey(member.middle.values, window))).decode("ascii")
        picture = f'<img alt="middle slice of {html.escape(member.scan)}" src="data:image/png;base64,{data}">'
    texts = [there.scan, there.state]
    cells = [
        f'<td data-v="{html.escape(there.scan)}">{picture}</td>',
        *map(_text, texts),
        _number(there.status or None),
    ]
    cells += [_text(there.message), _text("; ".join(member.doubts))]
    cells += [_number(round(there.seconds, 1) if there.seconds else None)]
    cells += [_text(member.known.get(name, "")) for name in cohort.known]
    cells += [_number(member.numbers.get(name)) for name in cohort.numbers]
    return f'<tr class="{there.state}">{"".join(cells)}</tr>'


def _text(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"


def _number(value: float | None) -> str:
    """Four digits to be read, all of them to sort by."""
    short = "" if value is None else str(value) if isinstance(value, int) else f"{value:.4g}"
    return f'<td class="n" data-v="{shown(value)}">{short}</td>'


def _window(members: Sequence[Member]) -> "Window | None":
    """One for all slices."""
    from bonectl.core.pictures import WINDOWS

    pictures = [member.middle for member in members if member.middle is not None]
    if not pictures:
        return None
    units = {picture.unit for picture in pictures}
    if len(units) == 1 and (unit := units.pop()) in WINDOWS:
        return WINDOWS[unit]
    values = np.concatenate([picture.values[np.isfinite(picture.values)] for picture in pictures])
    low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0


def _grey(values: NDArray[np.float32], window: "Window") -> NDArray[np.uint8]:
    low, high = window
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    return np.asarray(np.rint(255 * scaled), np.uint8)


def png(grey: NDArray[np.uint8]) -> bytes:
    """A grey picture (y, x) as PNG (ISO/IEC 15948): 8 bits, no filter."""
    height, width = grey.shape
    lines = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
