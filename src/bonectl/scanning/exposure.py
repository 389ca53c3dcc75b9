"""From a volume to the share of the beam that reaches each pixel: attenuation on a finer grid, projection, blur."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from bonectl.core import physics, progress
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array, windows
from bonectl.core.stack import Stack
from bonectl.projection.system import Map
from bonectl.scanning.field_of_view import FieldOfView
from bonectl.scanning.on_device import OnDevice, projector

# A Gaussian ends here [SD].
TAIL = 4.0
# Values of a block of fine sinograms: bounds the memory.
BLOCK_VALUES = 32 << 20


@dataclass(frozen=True)
class Exposure:
    """How a volume is seen.

    Parameters
    ----------
    geometry : Geometry
        Of the scan.
    factor : int
        Sub-pixels per voxel side and detector column.
    blur : float
        SD of the Gaussian point spread [pixel]; 0 is none.
    attenuate : callable, optional
        From the volume's values to attenuation [1/cm].
    worker : OnDevice
        Where the volume is projected.
    """

    geometry: Geometry
    factor: int
    blur: float
    attenuate: Callable[[Array], Array] | None
    worker: OnDevice

    def beams(self, volume: Stack) -> Iterator[Array]:
        """Blocks (row, view, col) of the fraction of the beam that reaches each pixel."""
        transmit = _cone_transmissions if self.geometry.kind == "cone" else _transmissions
        beams = transmit(self, volume)
        if not self.geometry.covers_grid:
            beams = _looked_at(beams, self.geometry)
        return _blurred_rows(beams, self.geometry.rows, self.blur)

    def attenuation(self, block: Array) -> Array:
        """Values as attenuation [1/cm], refined in plane, in a square of air."""
        values = block.astype(np.float32, copy=False)
        mu = np.asarray(self.attenuate(values) if self.attenuate else values, dtype=np.float32)
        return _squared(refined(mu, self.factor), self.geometry.size, self.factor)

    def blurred(self, beam: Array) -> Array:
        """Fine columns blurred in place."""
        if self.blur:
            from scipy.ndimage import gaussian_filter1d

            sd = self.blur * self.factor
            gaussian_filter1d(beam, sd, axis=-1, mode="nearest", truncate=TAIL, output=beam)
        return beam


def _transmissions(exposure: Exposure, volume: Stack) -> Iterator[Array]:
    """Blocks (row, view, col) of the fraction of the beam that reaches each pixel, blurred across columns."""
    factor, geometry = exposure.factor, exposure.geometry
    project = projector(finer(geometry, factor), exposure.worker.where)
    with progress.task("simulate", geometry.rows) as advance:
        for block in volume.blocks(block_of(project)):
            beam = exposure.blurred(_passing(exposure.worker(project, exposure.attenuation(block))))
            pixels = sum(beam[..., k::factor] for k in range(factor)) / np.float32(factor)
            yield np.ascontiguousarray(pixels)
            advance(len(block))


def _cone_transmissions(exposure: Exposure, volume: Stack) -> Iterator[Array]:
    """One block (row, view, col) of the fraction of the beam that reaches each pixel, blurred across columns."""
    factor, geometry = exposure.factor, exposure.geometry
    fine = finer(geometry, factor)
    grid = _thinner(exposure.attenuation(volume.collect()), factor)
    beams = np.empty(geometry.shape, dtype=np.float32)
    step = max(1, BLOCK_VALUES // (fine.rows * fine.columns))
    with progress.task("simulate", geometry.views, "view") as advance:
        for low in range(0, geometry.views, step):
            part = fine[low : low + step]
            beam = exposure.blurred(_passing(exposure.worker(projector(part, exposure.worker.where), grid)))
            pixels = beam.reshape(geometry.rows, factor, part.views, geometry.columns, factor).mean(axis=(1, 4))
            beams[:, low : low + step] = pixels
            advance(part.views)
    yield beams


def _looked_at(beams: Iterator[Array], layout: Geometry) -> Iterator[Array]:
    """The same transmissions; at the end it is said whether the object reaches beyond the detector."""
    view = FieldOfView(layout.rows)
    for beam in beams:
        view.look(layout, -np.log(np.maximum(beam, np.finfo(np.float32).tiny)).astype(np.float32))
        yield beam
    view.tell(layout)


def refined(slices: Array, factor: int) -> Array:
    """Slices (z, y, x) on a grid `factor` times finer in plane; the mean over each voxel stays what it was.

    A voxel holds the mean over its square, so the finer object must keep it: it is linear inside each voxel, with
    the smaller of the two slopes towards its neighbours along each axis (minmod; none where they disagree in sign).
    So nothing overshoots, mineral is neither lost nor made, and steps stay sharp; interpolation by cubic or linear
    kernels would blur or ring.
    """
    if factor == 1:
        return slices
    place = (np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5
    fine = np.repeat(np.repeat(slices, factor, axis=1), factor, axis=2)
    down = np.repeat(np.repeat(_slope(slices, 1), factor, axis=1), factor, axis=2)
    across = np.repeat(np.repeat(_slope(slices, 2), factor, axis=1), factor, axis=2)
    fine += down * np.tile(place, slices.shape[1])[:, None]
    fine += across * np.tile(place, slices.shape[2])
    return fine


def _slope(slices: Array, axis: int) -> Array:
    """The minmod slope along an axis [per voxel]; 0 at the ends."""
    step = np.diff(slices, axis=axis)
    none = np.zeros_like(np.take(slices, [0], axis=axis))
    back, ahead = np.concatenate([none, step], axis=axis), np.concatenate([step, none], axis=axis)
    return np.where(back * ahead > 0, np.where(np.abs(back) < np.abs(ahead), back, ahead), np.float32(0))


def _thinner(slices: Array, factor: int) -> Array:
    """Slices cut into `factor` along z as `refined` cuts them in plane."""
    if factor == 1:
        return slices
    place = (np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5
    fine = np.repeat(slices, factor, axis=0)
    fine += np.repeat(_slope(slices, 0), factor, axis=0) * np.tile(place, len(slices))[:, None, None]
    return fine


def _squared(slices: Array, side: int, factor: int) -> Array:
    """Slices, refined by `factor`, in the middle of a square of air.

    The air is whole voxels of the `side` of the grid, so that refinement moves nothing: where one side has one
    more than the other, it is the far one.
    """
    high, wide = (side - length // factor for length in slices.shape[1:])
    if not (high or wide):
        return slices
    ends = [(factor * (air // 2), factor * (air - air // 2)) for air in (high, wide)]
    return np.pad(slices, ((0, 0), *ends))


def _blurred_rows(beams: Iterator[Array], rows: int, blur: float) -> Iterator[Array]:
    """Blocks blurred across rows with a Gaussian; beyond the ends, the outermost row goes on."""
    if not blur:
        yield from beams
        return
    from scipy.ndimage import correlate1d

    halo = ceil(TAIL * blur)
    place = np.arange(-halo, halo + 1)
    kernel = np.exp(-0.5 * (place / blur) ** 2)
    kernel /= kernel.sum()
    size = max(8, halo)
    for window, lo, hi in windows(beams, rows, size, halo):
        whole = np.pad(window, ((halo - lo, halo - (len(window) - hi)), (0, 0), (0, 0)), mode="edge")
        smooth = correlate1d(whole, kernel, axis=0, mode="nearest")
        yield np.ascontiguousarray(smooth[halo : halo + hi - lo])


def _passing(line_integrals: Array) -> Array:
    """Fraction of the beam that passes; infinite where a sum is far too negative, which `detector.readings` refuses."""
    with np.errstate(over="ignore"):
        return physics.transmission(line_integrals)


def finer(layout: Geometry, factor: int) -> Geometry:
    """The same scan with voxels and detector columns cut into `factor`; in a cone beam, slices and rows too."""
    if layout.kind == "cone":
        layout = layout.replace(
            rows=layout.rows * factor,
            row_pitch=layout.row_pitch / factor,
            slices=layout.volume_shape[0] * factor,
            row_centre=(layout.principal_row + 0.5) * factor - 0.5,
        )
    return layout.replace(
        columns=layout.columns * factor,
        pitch=layout.pitch / factor,
        centre=(layout.centre + 0.5) * factor - 0.5,
        size=layout.size * factor,
        voxel=layout.voxel / factor,
    )


def block_of(project: Map) -> int:
    """Slices projected at a time: the projector's own block, or fewer eights where fine sinograms are large."""
    row = project.geometry.views * project.geometry.columns
    return min(project.block, max(8, BLOCK_VALUES // row // 8 * 8))
