"""Denoising against a plain eager PyTorch loop over the same network, in the same run.

    python bench/denoise.py [--model "unet25d(width=16, scales=3)"] [--shape 16,512,512] [--threads 2]

The loop is what a script would do: every slice with its neighbours as one (1, slices, y, x) image in torch's default
memory layout, whole slices, no tiles. Ours is `bonectl.ops.denoise.denoise` from stack to stack: blocks, halo, tiles,
normalisation and all. Rounds alternate and the best of each counts; CPU time is that of the process.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from truth import Judge

from bonectl.core import kit, threads
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.ops.denoise import Model, denoise


def network(text: str) -> torch.nn.Module:
    """Return a model with random weights, the last layer included."""
    torch.manual_seed(0)
    model = kit.bind("models", parse(text))()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


@torch.inference_mode()
def plain(model: torch.nn.Module, values: np.ndarray, device: str) -> np.ndarray:
    """Denoise slice by slice the way a script does."""
    context = model.reach.slices
    bare = model.network.to(device).to(memory_format=torch.contiguous_format)
    padded = np.pad(values, ((context, context), (0, 0), (0, 0)), mode="edge") / np.float32(1200)
    result = np.empty_like(values)
    for z in range(len(values)):
        image = torch.from_numpy(padded[z : z + 2 * context + 1]).unsqueeze(0).to(device)
        result[z] = (image[:, context] + bare(image)[:, 0])[0].cpu().numpy() * 1200
    return result


def ours(model: torch.nn.Module, values: np.ndarray, device: str) -> np.ndarray:
    """Denoise as the command does."""
    header = Header(shape=values.shape, unit="mgHA/cm3")
    return denoise(Stack.of(values, header), Model(model, "bench"), device_name=device).collect()


def timed(run: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Return wall seconds, CPU seconds and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def main() -> None:
    """Print Mvoxel/s of both, their ratio, and how far their results differ."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--model", default="unet25d")
    options.add_argument("--shape", default="16,512,512")
    options.add_argument("--threads", type=int, default=0)
    options.add_argument("--device", default="cpu")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    threads.choose(given.threads)
    torch.set_num_threads(threads.count())
    values = (np.random.default_rng(0).random([int(n) for n in given.shape.split(",")]) * 1000).astype(np.float32)
    # The loop changes the memory layout of its weights, so each has its own copy.
    rivals = {"plain loop": (plain, network(given.model)), "bonectl": (ours, network(given.model))}
    best = dict.fromkeys(rivals, (np.inf, np.inf))
    results = {}
    for _ in range(given.rounds):
        for name, (run, model) in rivals.items():
            wall, cpu, results[name] = timed(lambda run=run, model=model: run(model, values, given.device))
            best[name] = tuple(np.minimum(best[name], (wall, cpu)))
    for name, (wall, cpu) in best.items():
        print(f"{name:11}  {values.size / wall / 1e6:7.3f} Mvoxel/s  {values.size / cpu / 1e6:7.3f} Mvoxel/CPU s")
    (wall, cpu), (our_wall, our_cpu) = best["plain loop"], best["bonectl"]
    print(f"ratio        {wall / our_wall:.2f} by wall, {cpu / our_cpu:.2f} by CPU ({threads.count()} threads)")
    difference = np.abs(results["plain loop"] - results["bonectl"]).max()
    changed = np.abs(results["bonectl"] - values).max()
    judge = Judge()
    error = judge("against the plain loop", float(difference / changed), 1e-4)
    print(f"largest difference {difference:.2g} mgHA/cm3, {error} of what the network changes ({changed:.0f})")
    judge.close()


if __name__ == "__main__":
    main()
