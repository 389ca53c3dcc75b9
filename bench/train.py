"""Training: does it wait for its data, and what does the loss on bone topology cost?

    python bench/train.py [--model "unet25d(width=16, scales=3)"] [--steps 12] [--threads 2]

Three questions, each answered by rounds that alternate in one run; the median over the rounds counts.

1. How long does a step wait for its batch? Batches are made in a thread from memory-mapped files, as `bonectl train`
   does; the wait is what remains of it when the step before is done. Bar: below 5 % of a step.
2. Patches per second against the same steps on batches that lie ready in memory. Bar: at least 0.9.
3. What share of a three-dimensional step is `euler`? Value and gradient of the term, by the whole step with
   `l1 + euler` (unet3d). Bar: at most 5 %.

The run looks at its results: batches from files are, value by value, those that lie ready; what the timed steps
trained errs less than it did; the gradient of `euler` is that of its differences. Status 1 where not.

Seconds of the processor (all threads) beside those of the wall: on a busy machine only the former compare.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from truth import Judge

from bonectl import __version__
from bonectl.core import kit, threads
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.io import npy
from bonectl.learning import device
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.ranks import Ranks
from bonectl.learning.sample import Sample
from bonectl.training.learner import Learner, Task
from bonectl.training.objective import Objective
from bonectl.training.patches import Batch, PatchBatch, Patches
from bonectl.training.recipe import Recipe
from bonectl.training.volumes import opened

Seconds = tuple[float, float]


def timed(run: Callable[[], object]) -> Seconds:
    """Return wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def stored(folder: Path, side: int, depth: int) -> list[Path]:
    """Write a noisy stack and its target of random rods [mgHA/cm3]."""
    random = np.random.default_rng(0)
    z, y, x = np.meshgrid(np.arange(depth), np.arange(side), np.arange(side), indexing="ij")
    clean = (1000.0 * (np.sin(y / 2.5 + z / 9) * np.sin(x / 3) > 0.2)).astype(np.float32)
    noisy = clean + random.normal(0, 300, clean.shape).astype(np.float32)
    paths = []
    for name, values in (("low", noisy), ("clean", clean)):
        paths.append(folder / f"{name}.npy")
        with paths[-1].open("wb") as file:
            npy.write(Stack.of(values, Header(shape=values.shape, unit="mgHA/cm3", spacing=(0.02,) * 3)), file)
    return paths


def learner_of(recipe: Recipe, header: Header, where: torch.device) -> Learner:
    """Return what `bonectl train` steps forward."""
    objective = Objective(recipe.loss, recipe.steps)
    task = Task(
        recipe=recipe,
        model=parse(recipe.model),
        pairs=parse(recipe.pairs),
        normalisation=Normalisation.of(header),
        headers=(header,),
        digests=(),
        stacks=("low.npy", "clean.npy"),
    )
    return Learner(task, objective, Ranks(where=where))


def waits(learner: Learner, batches: Iterable[Batch]) -> tuple[float, float]:
    """Step through batches; returns the wall seconds spent waiting for them, and all."""
    waited, source = 0.0, iter(batches)
    learner.advance(next(source))  # the first one is not made while another step runs
    begun = time.perf_counter()
    while True:
        asked = time.perf_counter()
        batch = next(source, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return waited, time.perf_counter() - begun
        learner.advance(batch)


def unlike(batches: Iterable[Batch], others: list[PatchBatch]) -> float:
    """The largest difference of any value of some batches."""
    pairs = zip(batches, others, strict=False)
    return max(float((a.given - b.given).abs().max() + (a.clean - b.clean).abs().max()) for a, b in pairs)


@torch.inference_mode()
def miss(learner: Learner, batch: PatchBatch) -> float:
    """The mean absolute error of the network on a batch."""
    batch = batch.to(learner.where)
    return float((batch.estimate(learner.network.eval()) - batch.clean).abs().mean())


def loading(folder: Path, given: argparse.Namespace, where: torch.device, judge: Judge) -> list[str]:
    """Answer the first two questions."""
    recipe = Recipe(model=given.model, steps=10_000, batch=4, run=4, patch=64)
    with opened(stored(folder, 256, 64)) as volumes:
        pairing = kit.bind("pairings", parse("supervised"))(volumes[:1], volumes[1:])
        learner = learner_of(recipe, volumes[0].header, where)
        patches = Patches(pairing, learner.task.normalisation, learner.network.reach, recipe)
        ready = [patches(step) for step in range(given.steps)]
        start = miss(learner, ready[0])
        learner.advance(ready[0])
        shares, ours, theirs = [], [], []
        for number in range(given.rounds):
            first = 1 + number * given.steps
            result: list[tuple[float, float]] = []
            stream = patches.from_step(first, first + given.steps)
            ours.append(timed(lambda result=result, stream=stream: result.append(waits(learner, stream))))
            shares.append(result[0][0] / result[0][1])
            theirs.append(timed(lambda: [learner.advance(batch) for batch in ready]))
        alike = judge("batches from files", unlike(patches.from_step(0, 3), ready), 0.0)
        end = judge("the error after training, over that before", miss(learner, ready[0]) / start, 0.999)
    runs = given.steps * recipe.batch * recipe.run
    rows = [f"waiting for data                 {100 * median(shares):6.2f} % of a step       (bar: below 5 %)"]
    for name, rounds in (("patches in memory", theirs), ("bonectl train", ours)):
        wall, cpu = (median(each) for each in zip(*rounds, strict=True))
        rows.append(f"{name:17}  {runs / wall:12.1f} patches/s {runs / cpu:9.1f} patches/CPU s")
    wall, cpu = (median(t[which] / o[which] for o, t in zip(ours, theirs, strict=True)) for which in range(2))
    rows.append(f"ratio              {wall:12.3f} by wall {cpu:11.3f} by CPU     (bar: at least 0.9)")
    rows.append(f"batches from files differ by {alike} from those in memory; error after over before training {end}")
    return rows


def topology(given: argparse.Namespace, where: torch.device, judge: Judge) -> list[str]:
    """Answer the third question."""
    recipe = Recipe(model=given.volumetric, loss="l1 + 100*euler", steps=10_000, batch=2, run=16, patch=48)
    header = Header(shape=(64, 256, 256), unit="mgHA/cm3", spacing=(0.02,) * 3)
    learner = learner_of(recipe, header, where)
    depth = recipe.run + 2 * learner.network.reach.slices
    batch = PatchBatch(
        torch.rand(recipe.batch, depth, recipe.patch, recipe.patch),
        torch.rand(recipe.batch, recipe.run, recipe.patch, recipe.patch),
    )
    euler = kit.bind("losses", parse("euler"))

    def term() -> None:
        leaf = batch.given[:, : recipe.run].to(where).requires_grad_()
        value = euler(Sample(estimate=leaf, clean=batch.clean.to(where)))
        float(torch.autograd.grad(value, leaf)[0].sum())

    def slope_off() -> float:
        """Of the term's gradient along a random way, against the difference of its values."""
        leaf = batch.given[:, : recipe.run].double().requires_grad_()
        way, clean, small = torch.randn_like(leaf), batch.clean.double(), 1e-6

        def value(estimate: torch.Tensor) -> torch.Tensor:
            return euler(Sample(estimate=estimate, clean=clean))

        along = float((torch.autograd.grad(value(leaf), leaf)[0] * way).sum())
        with torch.no_grad():
            rise = float(value(leaf + small * way) - value(leaf - small * way)) / (2 * small)
        return abs(along / rise - 1)

    error = judge("the gradient of euler", slope_off(), 1e-3)
    learner.advance(batch)
    term()
    steps = [timed(lambda: learner.advance(batch)) for _ in range(given.rounds)]
    terms = [timed(term) for _ in range(given.rounds)]
    share = [100 * median(t[which] for t in terms) / median(s[which] for s in steps) for which in range(2)]
    return [
        f"euler in a step of {given.volumetric}: {share[0]:.2f} % by wall, {share[1]:.2f} % by CPU (bar: at most 5 %); "
        f"error of its gradient {error}"
    ]


def main() -> None:
    """Print the answers."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--model", default="unet25d")
    options.add_argument("--volumetric", default="unet3d")
    options.add_argument("--steps", type=int, default=12)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=0)
    options.add_argument("--device", default="auto")
    given = options.parse_args()
    threads.choose(given.threads)
    where = device.choose(given.device)
    versions = f"bonectl {__version__}, torch {torch.__version__}, numpy {np.__version__}"
    print(f"{versions}, Python {platform.python_version()}; {where}, {threads.count()} threads")
    judge = Judge()
    print(f"{given.model}, batches of 4 runs of 4 slices of 64 × 64")
    with tempfile.TemporaryDirectory(prefix="bonectl-bench-") as folder:
        print(*loading(Path(folder), given, where, judge), sep="\n")
    print(*topology(given, where, judge), sep="\n")
    judge.close()


if __name__ == "__main__":
    main()
