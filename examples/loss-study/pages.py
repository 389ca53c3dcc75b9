"""A document as PDF: text, tables and pictures one after another on pages of A4."""

import io
import re
from collections.abc import Iterator, Sequence
from functools import cache

import figures
from document import Block, Heading, Picture, Table, Words
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from page import painted

from bonectl.core import pictures

HIGH, WIDE, MARGIN = 297.0, 210.0, 15.0  # [mm]
_INCH = 25.4
_POINT = _INCH / 72
_LEAD = 1.35  # of a line, in sizes of its letters
HEADINGS = {1: 15.0, 2: 12.0, 3: 10.0, 4: 9.0}
BODY, CAPTION, CELL = 9.0, 8.0, 8.0
LEAST = 6.5  # what a table that is too wide is made smaller to, at most
GAP = 2.0  # between columns [mm]


class Pages:
    """Writes on pages from top to bottom.

    Parameters
    ----------
    file : PdfPages
    """

    def __init__(self, file: PdfPages) -> None:
        self.file = file
        self.page: Figure | None = None
        self.count = 0
        self.turn()

    def turn(self) -> None:
        """End a page, begin another."""
        self.end()
        self.page = Figure(figsize=(WIDE / _INCH, HIGH / _INCH))
        FigureCanvasAgg(self.page)
        self.count += 1
        self.at = MARGIN

    def end(self) -> None:
        """Write the page."""
        if self.page is not None:
            self.page.text(0.5, 8 / HIGH, str(self.count), ha="center", fontsize=CELL)
            self.file.savefig(self.page)

    def room(self, height: float) -> None:
        """Turn the page where so much [mm] is not left."""
        if self.at + height > HIGH - MARGIN and self.at > MARGIN:
            self.turn()

    def write(self, text: str, size: float, *, bold: bool = False, indent: float = 0.0) -> None:
        """Lines of text, broken to the width."""
        for line in broken(text, size, WIDE - 2 * MARGIN - indent, bold=bold):
            self.room(size * _LEAD * _POINT)
            self.put(line, MARGIN + indent, self.at, size, bold=bold)
            self.at += size * _LEAD * _POINT

    def put(self, text: str, left: float, top: float, size: float, *, bold: bool = False) -> None:
        """One line, its top left corner there [mm]."""
        if self.page is not None:
            weight = "bold" if bold else "normal"
            self.page.text(
                left / WIDE, 1 - (top + size * _POINT) / HIGH, text.replace("$", r"\$"), fontsize=size, weight=weight
            )

    def rule(self, right: float, weight: float) -> None:
        """A line from the left margin, a little above where writing goes on."""
        if self.page is not None:
            y = 1 - (self.at - 0.4) / HIGH
            self.page.add_artist(Line2D([MARGIN / WIDE, right / WIDE], [y, y], color=pictures.PALE, linewidth=weight))


def pdf(document: Sequence[Block]) -> bytes:
    """All pages."""
    made = io.BytesIO()
    title = next(block.text for block in document if isinstance(block, Heading))
    about = {"Title": title, "CreationDate": None, "Creator": None, "Producer": None}
    with figures.style(), PdfPages(made, metadata=about) as file:
        pages = Pages(file)
        for place, block in enumerate(document):
            pages.room(least(document[place:]))
            add(pages, block)
        pages.end()
    return made.getvalue()


def least(document: Sequence[Block]) -> float:
    """What the first block needs on a page [mm]: a heading keeps what follows it."""
    first, *rest = document
    if isinstance(first, Heading):
        return HEADINGS[first.level] * 3 * _POINT + (least(rest) if rest else 0)
    if isinstance(first, Picture):
        lines = len(list(broken(plain(first.caption), CAPTION, WIDE - 2 * MARGIN)))
        return first.height + lines * CAPTION * _LEAD * _POINT + 4
    return 25.0 if isinstance(first, Table) else 8.0


def add(pages: Pages, block: Block) -> None:
    """One block."""
    if isinstance(block, Heading):
        size = HEADINGS[block.level]
        pages.at += 0.0 if pages.at == MARGIN else 0.6 * size * _POINT
        pages.write(plain(block.text), size, bold=True)
        pages.at += 1
    elif isinstance(block, Words):
        if block.point:
            pages.put("•", MARGIN, pages.at, BODY)
        pages.write(plain(block.text), BODY, indent=4.0 if block.point else 0.0)
        pages.at += 1.2
    elif isinstance(block, Table):
        add_table(pages, block)
    else:
        add_picture(pages, block)


def add_picture(pages: Pages, picture: Picture) -> None:
    """A picture with its caption under it, its panels where they are when it stands alone."""
    if pages.page is None:
        return
    rest = HIGH - pages.at - picture.height
    part = pages.page.add_subfigure(
        pages.page.add_gridspec(
            3, 3, width_ratios=(MARGIN, figures.WIDTH, WIDE - MARGIN - figures.WIDTH),
            height_ratios=(pages.at, picture.height, rest), wspace=0, hspace=0,
        )[1, 1]
    )  # fmt: skip
    picture.draw(part, picture.height)
    for here, there in zip(part.get_axes(), painted(picture).get_axes(), strict=True):
        here.set_position(there.get_position())
    pages.at += picture.height + 2
    pages.write(plain(picture.caption), CAPTION)
    pages.at += 4


def add_table(pages: Pages, table: Table) -> None:
    """A table: columns as wide as their widest word, made smaller or broken where the page is too narrow."""
    size, widths = fitted(table)
    step = size * 1.2 * _POINT
    for place, row in enumerate((table.head, *table.rows)):
        bold = not place
        cells = [list(broken(kept(c), size, w, bold=bold)) for c, w in zip(row, widths, strict=True)]
        height = max(1, *map(len, cells)) * step + 1.0
        pages.room(height)
        left = MARGIN
        for lines, wide in zip(cells, widths, strict=True):
            for rank, line in enumerate(lines):
                pages.put(line, left, pages.at + rank * step, size, bold=bold)
            left += wide + GAP
        pages.at += height
        pages.rule(left - GAP, 0.6 if bold else 0.2)
    pages.at += 3


def kept(text: str) -> str:
    """The text of a cell, in which a mean and its interval stay on one line."""
    return plain(text).replace(" ± ", "\u00a0±\u00a0")


def fitted(table: Table) -> tuple[float, list[float]]:
    """Size of letters and widths of columns [mm] of a table that fits a page."""
    room = WIDE - 2 * MARGIN - GAP * (len(table.head) - 1)
    size = CELL
    while True:
        columns = list(zip(table.head, *table.rows, strict=True))
        least = [max(w for n, c in enumerate(col) for w in word_widths(kept(c), size, not n)) for col in columns]
        most = [max(width(kept(c), size, bold=not n) for n, c in enumerate(col)) for col in columns]
        if sum(least) <= room or size <= LEAST:
            break
        size -= 0.25
    spare = max(0.0, room - sum(least))
    wish = [b - a for a, b in zip(least, most, strict=True)]
    share = min(1.0, spare / sum(wish)) if sum(wish) > 0 else 0.0
    return size, [a + share * more + 0.01 for a, more in zip(least, wish, strict=True)]


def word_widths(text: str, size: float, bold: bool) -> list[float]:
    """Width of each word [mm]."""
    return [width(word, size, bold=bold) for word in text.split(" ")]


@cache
def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of a text [mm]."""
    if not text:
        return 0.0
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size)
    return float(TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]) * _POINT


def broken(text: str, size: float, most: float, *, bold: bool = False) -> Iterator[str]:
    """Lines no wider than `most` [mm], broken at blanks."""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width(longer, size, bold=bold) > most:
            yield line
            line = word
        else:
            line = longer
    yield line


def plain(text: str) -> str:
    """Without the marks of Markdown."""
    return re.sub(r"\*\*(.+?)\*\*|`(.+?)`", lambda m: m.group(1) or m.group(2), text)
