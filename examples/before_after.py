"""Pictures of one slice of several stacks, side by side, in one fixed window of values.

python before_after.py low.npy denoised.npy reference.npy -o before-after.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 8
CAPTION = 30


def panel(path: Path, index: int, low: float, high: float, zoom: int) -> Image.Image:
    """Slice `index` of a stack as a grey picture with the file's name above it."""
    slice_ = np.load(path, mmap_mode="r")[index]
    grey = np.clip((slice_ - low) / (high - low), 0, 1) * 255
    picture = Image.fromarray(np.rint(grey).astype(np.uint8)).resize(
        (slice_.shape[1] * zoom, slice_.shape[0] * zoom), Image.Resampling.NEAREST
    )
    framed = Image.new("L", (picture.width, picture.height + CAPTION), 255)
    framed.paste(picture, (0, CAPTION))
    ImageDraw.Draw(framed).text((2, 4), path.stem, fill=0, font=ImageFont.load_default(size=20))
    return framed


def main() -> None:
    """Read the arguments, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--slice", type=int, help="default: the middle one")
    parser.add_argument("--window", type=float, nargs=2, default=(-300, 1500), help="values shown black and white")
    parser.add_argument("--zoom", type=int, default=2)
    given = parser.parse_args()
    index = given.slice if given.slice is not None else np.load(given.stacks[0], mmap_mode="r").shape[0] // 2
    panels = [panel(path, index, *given.window, given.zoom) for path in given.stacks]
    width = sum(p.width + MARGIN for p in panels) - MARGIN
    sheet = Image.new("L", (width, max(p.height for p in panels)), 255)
    left = 0
    for picture in panels:
        sheet.paste(picture, (left, 0))
        left += picture.width + MARGIN
    sheet.save(given.output)


if __name__ == "__main__":
    main()
