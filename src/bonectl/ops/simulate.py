"""From a volume to the scan that a detector would give: attenuation, projection, blur, noise."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.scan import Frames, Scan, Source
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack, chain
from bonectl.scanning.detector import Detector, framed, noisy, readings
from bonectl.scanning.simulation import USUAL_ENERGY, SimulatePlan, SimulateRequest, planned
from bonectl.stacks.screening import single
from bonectl.stacks.view_order import ordered


def simulate(volume: Stack, request: SimulateRequest | None = None, **settings: Any) -> Stack:
    """Scan a volume.

    Parameters
    ----------
    volume : Stack
        mgHA/cm³, or attenuation in 1/cm; cubic voxels of known size. Outside of it is air.
    request : SimulateRequest, optional
        What the scanner is set to; all defaults when not given.
    **settings
        Fields of the request: ``simulate(volume, geometry="parallel(views=360)", energy=25, seed=1)``.

    Returns
    -------
    Stack
        (row, view, col), float32. No reading is ever NaN. Line integrals take readings below half a photon as half a
        photon; counts and transmissions keep them; a note says how many there were.

    Raises
    ------
    UsageError, UnavailableError
        See `SimulateRequest` and `bonectl.scanning.simulation.planned`.
    DataError
        From the slabs, when values are too large or too negative for anything to be counted.

    Notes
    -----
    Voxels are refined in plane (`bonectl.scanning.exposure.refined`), for a cone beam along the axis too, and projected
    onto sub-pixels: by the strip model in a parallel beam, along rays in others. Sub-pixels are averaged after the
    exponential, as intensities add up in a pixel, and blurred as intensities. A cone beam holds the whole volume and
    scan.
    """
    return run(planned(volume.header, replace(request or SimulateRequest(), **settings)), volume)


def run(plan: SimulatePlan, volume: Stack) -> Stack:
    """Do what a plan says with the volume it was made for; errors as `simulate`."""
    beams = plan.exposure.beams(single(volume, "the volume"))
    slabs = readings(beams, plan.header, plan.request.detector, plan.request.seed)
    if plan.assumed:
        slabs = _noted(slabs, f"no --energy given: mineral attenuates as at {USUAL_ENERGY:g} keV")
    return chain(plan.header, slabs)


def _noted(slabs: Iterator[Array], message: str) -> Iterator[Array]:
    """Say something once work begins."""
    progress.note(message)
    yield from slabs


def flats(scan: Header, detector: Detector, *, frames: int = 20, seed: int = 0) -> Stack:
    """What the same detector reads without the object: frames (view, row, col) in counts.

    Parameters
    ----------
    scan : Header
        Of the scan that `simulate` made.
    detector : Detector
        With which it was made.
    frames : int
        How many.
    seed : int
        That of the scan, so that pixels have the same sensitivities; the noise is independent of the scan's.
    """
    noises = detector.noises()

    def frame(index: int, sensitivity: Array) -> Array:
        return noisy(detector.photons * sensitivity, noises, seed, "flat", index) + detector.dark

    return framed(scan, detector, frames, seed, frame)


def darks(scan: Header, detector: Detector, *, frames: int = 20, seed: int = 0) -> Stack:
    """What the same detector reads without beam: frames (view, row, col) in counts; parameters as for `flats`."""
    noises = detector.noises()

    def frame(index: int, sensitivity: Array) -> Array:
        return noisy(0.0 * sensitivity, noises, seed, "dark", index) + detector.dark

    return framed(scan, detector, frames, seed, frame)


def scanned(plan: SimulatePlan, volume: Stack, *, frames: int = 20) -> Scan:
    """The scan of a plan with its frames, as a scanner leaves it: projections, half of the flats after them, darks.

    Parameters
    ----------
    plan : SimulatePlan
        In counts.
    volume : Stack
    frames : int
        How many flats, and darks.
    """
    stack = ordered(run(plan, volume), "projection")
    detector, seed = plan.request.detector, plan.request.seed
    late = frames // 2
    at = (0.0,) * (frames - late) + (float(stack.header.shape[0]),) * late

    def of(make: Callable[..., Stack]) -> Source:
        header = make(plan.header, detector, frames=frames, seed=seed).header
        return Source(header, lambda: nullcontext(make(plan.header, detector, frames=frames, seed=seed)))

    return Scan(
        kind="simulated",
        name="simulated",
        files=(),
        stack=Source(stack.header, lambda: nullcontext(stack)),
        flats=Frames(of(flats), at),
        darks=Frames(of(darks)),
    )
