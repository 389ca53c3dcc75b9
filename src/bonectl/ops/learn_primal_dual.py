"""Train the learned primal-dual on scans and the volumes they are scans of; a checkpoint out.

Every step is a function of (seed, step): a scan, and a run of its rows. The last rows of every scan are held out: they
are never trained on, and the figures at the end are theirs.
"""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import log10

import numpy as np
import torch
from torch import Tensor

import bonectl
from bonectl.core import draws, physics, progress
from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Geometry
from bonectl.core.header import SINOGRAMS, VOLUME, Header
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError
from bonectl.learning import device
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.sample import Sample, Volume
from bonectl.methods._primal_dual import KNOBS, PrimalDual, built
from bonectl.methods.lpd import start
from bonectl.ops.objective import Objective
from bonectl.ops.recipe import Recipe
from bonectl.projection.projector import Projector


@dataclass(frozen=True, eq=False)
class Pair:
    """A scan and the volume it is a scan of.

    Parameters
    ----------
    scan : Volume
        (row, view, col), line integrals, or counts with a known white level; of a parallel or fan beam.
    target : Volume
        (z, y, x), a slice for each row: 1/cm, or mgHA/cm3 where the scan carries a calibration.

    Raises
    ------
    UsageError
        They do not fit together, or lack what is needed.
    """

    scan: Volume
    target: Volume
    projector: Projector = field(init=False, repr=False)
    calibration: Calibration = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scan, target = self.scan.header, self.target.header
        geometry = _geometry(scan, self.scan.name)
        expected = (scan.shape[0], geometry.size, geometry.size)
        if target.axes != VOLUME or target.shape != expected:
            raise UsageError(
                f"{self.target.name} has shape {target.shape}; the slices of {self.scan.name} are {expected}"
            )
        if target.unit not in ("1/cm", "mgHA/cm3"):
            raise UsageError(f"{self.target.name} is in {target.unit}; lpd learns from volumes in 1/cm or mgHA/cm3")
        calibration = scan.calibration or target.calibration
        if calibration is None:
            raise UsageError(
                f"{self.scan.name} has no calibration, so there is no scale for a network; give the energy to "
                "`bonectl simulate`"
            )
        object.__setattr__(self, "projector", Projector(geometry))
        object.__setattr__(self, "calibration", calibration)

    def rows(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Line integrals (row, view, col) and true attenuation (z, y, x) [1/cm] of rows [first, last)."""
        values = np.asarray(self.scan.values[first:last], dtype=np.float32)
        if self.scan.header.unit == "counts":
            known = self.scan.header.acquisition
            values, _ = physics.line_integrals(values - float(known.get("dark", 0)), float(known["white"]))
        truth = np.asarray(self.target.values[first:last], dtype=np.float32)
        if self.target.header.unit == "mgHA/cm3":
            truth = np.asarray(self.calibration.attenuation(truth), dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(values)), torch.from_numpy(np.ascontiguousarray(truth))


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came out.

    Parameters
    ----------
    checkpoint : Checkpoint
    psnr, psnr_start : float
        Of the held-out rows [dB], peak 1200 mgHA/cm3: reconstructed, and as it begins (FBP, Hann).
    """

    checkpoint: Checkpoint
    psnr: float
    psnr_start: float


def learn(pairs: Sequence[Pair], recipe: Recipe, *, device_name: str = "auto") -> Learned:
    """Train.

    Parameters
    ----------
    pairs : sequence of Pair
        All of one calibration.
    recipe : Recipe
        ``model`` (lpd and its knobs), ``loss``, ``steps``, ``run`` (rows at a time), ``rate``, ``decay``, ``clip``,
        ``held_out``, ``balance`` and ``seed`` are used; batch, patch, pairs and the moving average are not.
    device_name : str
        See ``bonectl.learning.device.choose``.

    Returns
    -------
    Learned

    Raises
    ------
    UsageError
        Nothing to train on, other calibrations, a model that is not lpd, or a loss that ceased to be finite.
    """
    if not pairs:
        raise UsageError("lpd learns from scans; give at least one, with its --target")
    normalisation = _normalisation(pairs)
    where = device.choose(device_name)
    spec = parse(recipe.model)
    network = _initial(spec, recipe.seed).to(where)
    objective = Objective(recipe.loss, recipe.steps, balanced=recipe.balance, seed=recipe.seed).to(where)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, (0.9, 0.99), weight_decay=recipe.decay)
    with progress.task("train", recipe.steps, "step") as advance:
        for step in range(recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate(step)
            pair, first, last = _drawn(pairs, recipe, step)
            sample = _sample(network, pair, first, last, normalisation)
            objective.learn(sample, step)
            score = objective(sample, step)
            if score.diverged:
                raise UsageError(f"step {step}: {', '.join(score.diverged)} is not finite; lower --rate")
            optimiser.zero_grad()
            sample.estimate.backward(score.gradient)  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            advance(1, loss=f"{score.loss:.4g}")
    psnr, psnr_start = _held_out(network, pairs, recipe, normalisation)
    checkpoint = _checkpoint(network, pairs, recipe, normalisation, objective, (psnr, psnr_start))
    return Learned(checkpoint=checkpoint, psnr=psnr, psnr_start=psnr_start)


def _geometry(header: Header, name: str) -> Geometry:
    if header.axes != SINOGRAMS or header.geometry is None:
        raise UsageError(
            f"{name} is no scan of axes {', '.join(SINOGRAMS)} with a geometry; `bonectl simulate` makes one"
        )
    if header.geometry.kind == "cone":
        raise UsageError(f"{name}: lpd works slice by slice, and a cone beam has no slices")
    if header.unit == "counts" and "white" not in header.acquisition:
        raise UsageError(f"{name}: counts without a white level; give line integrals")
    if header.unit not in ("line integral", "counts"):
        raise UsageError(f"{name} is in {header.unit}; lpd learns from line integrals or counts")
    return header.geometry


def _normalisation(pairs: Sequence[Pair]) -> Normalisation:
    """The map of attenuation that all pairs share: 0 and 1200 mgHA/cm3 become 0 and 1."""
    first = pairs[0]
    for pair in pairs[1:]:
        if (pair.calibration.slope, pair.calibration.intercept) != (
            first.calibration.slope,
            first.calibration.intercept,
        ):
            raise UsageError(f"{pair.scan.name} and {first.scan.name} have other calibrations; lpd needs one scale")
    return Normalisation.of(first.target.header.replace(unit="1/cm", calibration=first.calibration))


def _initial(spec: Spec, seed: int) -> PrimalDual:
    """Weights drawn from the seed; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return built(spec)


def _trained_rows(pair: Pair, recipe: Recipe) -> int:
    """Rows of a scan that are trained on, the first ones."""
    total = pair.scan.header.shape[0]
    rows = total - max(1, round(total * recipe.held_out))
    if rows < 1:
        raise UsageError(f"{pair.scan.name} has {total} row; one is held out, so give at least 2")
    return rows


def _drawn(pairs: Sequence[Pair], recipe: Recipe, step: int) -> tuple[Pair, int, int]:
    random = draws.generator(recipe.seed, "lpd", step)
    pair = pairs[int(random.integers(len(pairs)))]
    rows = _trained_rows(pair, recipe)
    run = min(recipe.run, rows)
    first = int(random.integers(rows - run + 1))
    return pair, first, first + run


def _sample(network: PrimalDual, pair: Pair, first: int, last: int, normalisation: Normalisation) -> Sample:
    """Reconstruct rows [first, last); estimate, truth and first reconstruction in normalised units, (1, z, y, x)."""
    where = next(network.parameters()).device
    y, truth = (values.to(where) for values in pair.rows(first, last))
    begin = start(pair.projector, y)
    estimate = network(pair.projector, y, begin, normalisation.scale)
    estimate, truth, begin = (normalisation.normalised(values).unsqueeze(0) for values in (estimate, truth, begin))
    return Sample(estimate=estimate, clean=truth, noisy=begin)


@torch.no_grad()
def _held_out(
    network: PrimalDual, pairs: Sequence[Pair], recipe: Recipe, normalisation: Normalisation
) -> tuple[float, float]:
    """PSNR of the held-out rows, reconstructed and as it began [dB]."""
    squares = np.zeros(2)
    count = 0
    for pair, first, last in _blocks(pairs, recipe):
        sample = _sample(network, pair, first, last, normalisation)
        assert sample.noisy is not None
        squares += [float((values - sample.target).square().sum()) for values in (sample.estimate, sample.noisy)]
        count += sample.estimate.numel()
    psnr, psnr_start = (-10 * log10(square / count) if square else float("inf") for square in squares)
    return psnr, psnr_start


def _blocks(pairs: Sequence[Pair], recipe: Recipe) -> Iterator[tuple[Pair, int, int]]:
    """The held-out rows, a run at a time."""
    for pair in pairs:
        total = pair.scan.header.shape[0]
        for first in range(_trained_rows(pair, recipe), total, recipe.run):
            yield pair, first, min(total, first + recipe.run)


def _checkpoint(
    network: PrimalDual,
    pairs: Sequence[Pair],
    recipe: Recipe,
    normalisation: Normalisation,
    objective: Objective,
    psnr: tuple[float, float],
) -> Checkpoint:
    geometry, header = pairs[0].projector.geometry, pairs[0].scan.header
    told = {key: header.acquisition[key] for key in ("photons",) if key in header.acquisition}
    return Checkpoint(
        model=str(Spec("lpd", {**KNOBS, **parse(recipe.model).knobs})),
        loss=str(objective),
        pairs="scans",
        normalisation=normalisation,
        axes=VOLUME,
        spacing=(geometry.row_pitch, geometry.voxel, geometry.voxel),
        acquisition={"views": geometry.views, **told},
        pseudo=any(pair.calibration.pseudo for pair in pairs),
        steps=recipe.steps,
        seed=recipe.seed,
        training={
            "rate": recipe.rate, "run": recipe.run, "held_out": recipe.held_out, "beam": geometry.kind,
            "held_out_psnr_db": round(psnr[0], 4), "held_out_psnr_start_db": round(psnr[1], 4),
        },
        versions={
            "bonectl": bonectl.__version__, "torch": torch.__version__, "numpy": np.__version__,
            "python": platform.python_version(),
        },
        weights={name: weight.detach().cpu().contiguous() for name, weight in network.state_dict().items()},
    )  # fmt: skip
