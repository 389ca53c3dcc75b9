"""About how long a reconstruction takes: what its projector computes, at the rates that `bench/` measured."""

from bonectl.core import kit
from bonectl.core.geometry import Geometry
from bonectl.core.spec import parse
from bonectl.projection.fsp import OVERSAMPLING

# Seconds of one processor for a sample of the Fourier grids of a parallel beam (two-dimensional and along lines).
PARALLEL = 12e-9
# Updates (voxel and view) a second and processor: A, the transpose, and the back-projection of FDK.
FAN = {"project": 7e9, "back": 4e9, "collect": 6e9}
CONE = {"project": 1.1e9, "back": 0.7e9, "collect": 1.2e9}
# What a step of an iterative method computes beside A and its transpose.
BESIDE = 1.2


def seconds(geometry: Geometry, method: str, threads: int) -> float:
    """About how long a reconstruction computes [s], all iterations run, on processors as in `bench/RESULTS.md`.

    Parameters
    ----------
    geometry : Geometry
    method : str
        Spec of the method.
    threads : int
        Taken to share the work evenly.
    """
    spec = parse(method)
    steps = spec.knobs.get("iterations", kit.describe("methods", spec.name).knobs.get("iterations"))
    if not isinstance(steps, int | float):
        return once(geometry, "back" if geometry.kind == "parallel" else "collect") / threads
    pair = once(geometry, "project") + once(geometry, "back")
    return BESIDE * steps * pair / threads


def once(geometry: Geometry, work: str) -> float:
    """Processor seconds of one projection of the volume: "project", or back by "back" or "collect"."""
    slices, size, _ = geometry.volume_shape
    if geometry.kind == "parallel":
        lines = geometry.views * 2 * max(geometry.columns, geometry.size * geometry.voxel / geometry.pitch)
        return PARALLEL * slices * float(lines + (OVERSAMPLING * size) ** 2)
    rate = (FAN if geometry.kind == "fan" else CONE)[work]
    return slices * size**2 * geometry.views / rate
