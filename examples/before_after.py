"""One slice of several stacks beside their reference: bone outlined, differences below, and the numbers.

python before_after.py low.npy filter.npy network.npy reference.npy --numbers numbers.json -o before-after.png
"""

import argparse
from pathlib import Path

import numpy as np
from demo_table import read, table

from bonectl.core import pictures

WINDOW = (-400.0, 1600.0)
APART = (-600.0, 600.0)  # of the differences


def draw(stacks: list[Path], numbers: Path, side: float, index: int, threshold: float) -> bytes:
    """The picture: grey values with the outline of what counts as bone, differences, a table."""
    slices = [np.asarray(np.load(path, mmap_mode="r")[index], dtype=np.float64) for path in stacks]
    with pictures.house():
        figure = pictures.figure(180, 138)
        grid = figure.add_gridspec(3, len(stacks), height_ratios=(1, 1, 0.75))
        for place, (path, image) in enumerate(zip(stacks, slices, strict=True)):
            axes = figure.add_subplot(grid[0, place])
            pictures.section(axes, image, window=WINDOW, sides=(side, side), unit="mgHA/cm3", title=path.stem)
            pictures.overlay(axes, image > threshold, sides=(side, side))
            if path != stacks[-1]:
                axes = figure.add_subplot(grid[1, place])
                apart, title = image - slices[-1], f"{path.stem} - {stacks[-1].stem}"
                pictures.section(axes, apart, window=APART, sides=(side, side), unit="mgHA/cm3", title=title)
        axes = figure.add_subplot(grid[2, :])
        axes.axis("off")
        lines = table(read(numbers))
        widths = [0.24, *[0.19] * (len(lines[0]) - 1)]
        shown = axes.table(
            lines[1:], colLabels=lines[0], colWidths=widths, loc="center", cellLoc="left", edges="horizontal"
        )
        shown.auto_set_font_size(False)
        shown.set_fontsize(8)
        for cell in shown.get_celld().values():
            cell.set_linewidth(0.4)
        return pictures.png(figure)


def main() -> None:
    """Read the arguments, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", nargs="+", type=Path, help="the last one is the reference")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--numbers", type=Path, required=True, help="what bonectl measure --json said of them")
    parser.add_argument("--slice", type=int, help="default: the middle one")
    parser.add_argument("--voxel-size", type=float, default=0.0585, help="[mm]")
    parser.add_argument("--threshold", type=float, default=375, help="bone lies above it [mgHA/cm3]")
    given = parser.parse_args()
    index = given.slice if given.slice is not None else np.load(given.stacks[0], mmap_mode="r").shape[0] // 2
    given.output.write_bytes(draw(given.stacks, given.numbers, given.voxel_size, index, given.threshold))


if __name__ == "__main__":
    main()
