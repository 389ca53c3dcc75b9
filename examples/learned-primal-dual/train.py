"""Train the learned primal-dual method: scans and the volumes they are scans of in, weights for `lpd` out.

bonectl phantom iliac --shape 32,96,96 --voxel-size 0.03 -o bone.npy
bonectl simulate bone.npy --geometry 'parallel(views=60)' --photons 5000 -o scan.npy
python examples/learned-primal-dual/train.py scan.npy --target bone.npy -o lpd.safetensors
bonectl reconstruct scan.npy --method "lpd(weights='lpd.safetensors')" -o volume.npy
"""

import argparse
import contextlib
from pathlib import Path

from bonectl.core import threads
from bonectl.ops.learn_primal_dual import Pair, learn
from bonectl.ops.recipe import Recipe
from bonectl.ops.volumes import mapped


def main() -> None:
    """Train, and print the held-out PSNR."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=Path, nargs="+", help="scans (row, view, col) with their geometry")
    parser.add_argument("--target", type=Path, action="append", required=True, help="volume of a scan, once for each")
    parser.add_argument("-o", "--output", type=Path, required=True, help="weights to write, .safetensors")
    parser.add_argument("--model", default="lpd", help="lpd(iterations=6, width=16, memory=4)")
    parser.add_argument("--loss", default="l2", help="as of bonectl train")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--run", type=int, default=2, help="rows at a time")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0 is all processors")
    asked = parser.parse_args()
    if len(asked.scans) != len(asked.target):
        raise SystemExit(f"{len(asked.scans)} scans but {len(asked.target)} targets; give one --target for each")
    threads.choose(asked.threads)
    recipe = Recipe(
        model=asked.model, loss=asked.loss, steps=asked.steps, run=asked.run, rate=asked.rate, seed=asked.seed
    )
    with contextlib.ExitStack() as files:
        volumes = files.enter_context(mapped([*asked.scans, *asked.target]))
        count = len(asked.scans)
        pairs = [Pair(scan, target) for scan, target in zip(volumes[:count], volumes[count:], strict=True)]
        end = learn(pairs, recipe, device_name=asked.device)
    end.checkpoint.save(asked.output)
    print(f"held-out PSNR {end.psnr:.2f} dB; filtered back-projection (Hann) {end.psnr_start:.2f} dB")


if __name__ == "__main__":
    main()
