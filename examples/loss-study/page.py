"""A document as one HTML file: no script, no network, pictures in it, and pages of A4 when it is printed."""

import io
import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape

import figures
from document import Block, Heading, Picture, Table, Words
from matplotlib.figure import Figure
from PIL import Image

from bonectl.core import pictures

_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 10pt/1.45 "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; color: #222; max-width: 180mm;
       margin: 8mm auto; padding: 0 4mm }
h1 { font-size: 17pt; line-height: 1.2 } h2 { font-size: 13pt; margin-top: 9mm; border-bottom: .3mm solid #bbb }
h3 { font-size: 11pt } h4 { font-size: 10pt } h1, h2, h3, h4 { break-after: avoid }
figure { margin: 5mm 0; break-inside: avoid } figure svg { width: 180mm; max-width: 100%; height: auto }
figcaption { font-size: 8.5pt; line-height: 1.35 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 8pt; line-height: 1.25; margin: 2mm 0 }
th, td { text-align: left; vertical-align: top; padding: .6mm 1.4mm; border-bottom: .15mm solid #ccc }
th { border-bottom: .3mm solid #222 } tr { break-inside: avoid } code { font-size: 92% }
@media print { body { margin: 0; padding: 0; max-width: none } .wide { overflow: visible } }
"""


def html(document: Sequence[Block], *, drawn: bool = True) -> str:
    """The whole page; not drawn, its pictures are empty."""
    title = next(block.text for block in document if isinstance(block, Heading))
    head = f'<meta charset="utf-8"/><title>{escape(title)}</title><style>{_STYLE}</style>'
    inside = "".join(body(document, drawn))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{inside}</body></html>\n'


def body(document: Sequence[Block], drawn: bool) -> Iterator[str]:
    """Block by block."""
    listing = False
    for block in document:
        point = isinstance(block, Words) and block.point
        if point != listing:
            yield "<ul>\n" if point else "</ul>\n"
            listing = point
        yield element(block, drawn) + "\n"
    if listing:
        yield "</ul>\n"


def element(block: Block, drawn: bool) -> str:
    """One block."""
    if isinstance(block, Heading):
        return f"<h{block.level}>{inline(block.text)}</h{block.level}>"
    if isinstance(block, Words):
        tag = "li" if block.point else "p"
        return f"<{tag}>{inline(block.text)}</{tag}>"
    if isinstance(block, Table):
        head = "".join(f"<th>{inline(cell)}</th>" for cell in block.head)
        rows = "".join("<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in row) + "</tr>\n" for row in block.rows)
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>'
    inside = svg(block) if drawn else "<svg></svg>"
    return f'<figure id="{escape(block.name)}">{inside}<figcaption>{inline(block.caption)}</figcaption></figure>'


def inline(text: str) -> str:
    """**bold** and `code` of Markdown."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text, quote=False))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text).replace(" ± ", "\u00a0±\u00a0")


def svg(picture: Picture) -> str:
    """A picture as SVG that stands in a page: the same picture gives the same bytes.

    Names of groups are left out, since a page has several pictures; clips and marks are named by what they are. A
    hundredth of a point is enough for what is drawn.
    """
    with figures.style():
        file = io.StringIO()
        painted(picture).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r"\s*\n\s*", " ", text).strip()
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(picture.name)}" ', 1)


def png(picture: Picture) -> bytes:
    """A picture as PNG of few colours."""
    with figures.style():
        full = Image.open(io.BytesIO(pictures.png(painted(picture)))).convert("RGB")
    file = io.BytesIO()
    full.quantize(256, kmeans=1, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return file.getvalue()


@cache
def painted(picture: Picture) -> Figure:
    """A picture on a canvas of its own, arranged once; inside of `figures.style()`."""
    canvas = pictures.figure(figures.WIDTH, picture.height)
    picture.draw(canvas, picture.height)
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")
    return canvas


def words(page: str) -> str:
    """A page without its pictures: what must be the same wherever it is derived."""
    return re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
