"""One slice of several stacks side by side, in one stated window of values.

python panels.py -o right.png --window -1 4 "right=right.npy" "2 columns off=off.npy"
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from bonectl import io as stacks
from bonectl.core import pictures
from bonectl.core.slabs import Array

# Greys and colours that are kept: a picture for a manual, not for measuring in.
COLOURS = 48
DOTS_PER_INCH = 150
PANEL, HEAD = 38.0, 12.0


def slice_of(path: Path, crop: str | None) -> tuple[Array, tuple[float, float], str]:
    """First slice of a stack or a part ROWS,COLUMNS of it, with the sides of its pixels [mm] and its unit."""
    with stacks.open(path) as stack:
        header, image = stack.header, stack.collect()[0]
    if crop is not None:
        rows, columns = (slice(*map(int, part.split(":"))) for part in crop.split(","))
        image = image[rows, columns]
    return image, (header.spacing[1] or 1.0, header.spacing[2] or 1.0), header.unit


def main() -> None:
    """Read the arguments, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panels", nargs="+", metavar="TITLE=FILE")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--window", type=float, nargs=2, required=True, help="values shown black and white")
    parser.add_argument("--crop", metavar="ROWS,COLUMNS", help="as 10:90,20:100")
    given = parser.parse_args()
    low, high = given.window
    with pictures.house():
        figure = pictures.figure(PANEL * len(given.panels), PANEL + HEAD)
        for i, panel in enumerate(given.panels):
            title, _, name = panel.rpartition("=")
            image, sides, unit = slice_of(Path(name), given.crop)
            axes = figure.add_subplot(1, len(given.panels), i + 1)
            pictures.section(axes, image, window=(low, high), sides=sides, unit=unit, title=title)
        drawn = pictures.png(figure, dpi=DOTS_PER_INCH)
    grey = Image.open(io.BytesIO(drawn)).convert("L")
    levels = np.rint(np.asarray(grey) / 255 * (COLOURS - 1)) / (COLOURS - 1) * 255
    Image.fromarray(levels.astype(np.uint8)).quantize(COLOURS).save(given.output, optimize=True)


if __name__ == "__main__":
    main()
