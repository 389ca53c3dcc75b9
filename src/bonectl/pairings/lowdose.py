"""Low-dose scans of clean volumes, simulated anew for every patch."""

from collections.abc import Sequence
from math import ceil, log, pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from bonectl.core import physics
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import VOLUME, Header
from bonectl.core.lengths import MM_PER_CM
from bonectl.errors import UsageError
from bonectl.learning.sample import Patch, Volume
from bonectl.projection.projector import Projector
from bonectl.projection.ramp import ramp

# What the register knows of it (core/kit.py).
BLIND = False


class Scanner:
    """A noisy filtered back-projection of some slices: parallel beam, Poisson counts, Ram-Lak filter.

    Parameters
    ----------
    header : Header
        Of the volume; cubic voxels, mgHA/cm³ or 1/cm.
    views : int
        Views over 180 degrees.
    energy : float
        Photon energy that gives mineral its attenuation [keV]; not used for 1/cm.
    """

    def __init__(self, header: Header, views: int, energy: float) -> None:
        _, self.rows, self.columns = header.shape
        slope, intercept = physics.mineral_law(energy) if header.unit == "mgHA/cm3" else (1.0, 0.0)
        self.slope, self.intercept = slope, intercept
        size = max(self.rows, self.columns)
        detector = ceil(sqrt(2.0) * size) + 2
        geometry = Geometry(
            kind="parallel",
            angles=Angles(0.0, 180.0 / views, views),
            rows=1,
            columns=detector,
            pitch=header.voxel,
            row_pitch=header.voxel,
            centre=(detector - 1) / 2,
            size=size,
            voxel=header.voxel,
        )
        self.size = size
        self.project = Projector(geometry, model="strip")
        shares = torch.full((views,), pi / views * (MM_PER_CM / header.voxel) ** 2)
        self.filtered = Projector(
            geometry,
            model="bandlimited",
            response=torch.from_numpy(ramp(2 * detector).astype(np.float32)),
            shares=shares,
        )

    @torch.no_grad()
    def __call__(self, slices: NDArray[np.float32], photons: float, random: np.random.Generator) -> NDArray[np.float32]:
        """Scan and reconstruct (z, y, x), in the volume's unit.

        Parameters
        ----------
        slices : array
            What is scanned; beyond it is air.
        photons : float
            Mean counts per pixel and view without the object.
        random : numpy.random.Generator
            For the counts.
        """
        above, left = (self.size - self.rows) // 2, (self.size - self.columns) // 2
        air = np.zeros((len(slices), self.size, self.size), np.float32)
        inner = (slice(None), slice(above, above + self.rows), slice(left, left + self.columns))
        air[inner] = (slices - self.intercept) / self.slope
        beam = physics.transmission(self.project(torch.from_numpy(air)).numpy())
        counts = random.poisson(photons * beam.astype(np.float64)).astype(np.float32)
        lines, _ = physics.line_integrals(counts, photons)
        volume: NDArray[np.float32] = self.filtered.T(torch.from_numpy(lines)).numpy()[inner]
        return volume * np.float32(self.slope) + np.float32(self.intercept)


class Lowdose:
    """Cuts clean patches, and the same places of fresh low-dose reconstructions of their slices."""

    def __init__(self, volumes: Sequence[Volume], views: int, energy: float, photons: tuple[float, float]) -> None:
        self.volumes = volumes
        self.photons = photons
        self.views = views
        self.scanners = [Scanner(volume.header, views, energy) for volume in volumes]

    @property
    def headers(self) -> tuple[Header, ...]:
        """Headers of the volumes, as scanned: with the photons of these scans, or their range, not their own."""
        least, most = self.photons
        dose = {"photons": least} if least == most else {"photons_least": least, "photons_most": most}
        return tuple(
            v.header.replace(
                acquisition={key: fact for key, fact in v.header.acquisition.items() if key != "photons"}
                | dose
                | {"views": self.views}
            )
            for v in self.volumes
        )

    @property
    def clean(self) -> bool:
        """Targets are what was scanned."""
        return True

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair; the photons are drawn (log-uniform), and then every count."""
        volume = self.volumes[patch.volume]
        least, most = self.photons
        photons = float(np.exp(random.uniform(log(least), log(most))))
        wanted = patch.slices(context)
        there, place = np.unique(wanted, return_inverse=True)  # a slice that stands in twice is scanned once
        clean = volume.slices(there)
        noisy = self.scanners[patch.volume](clean, photons, random)[place]
        rows = slice(patch.row, patch.row + patch.side)
        columns = slice(patch.column, patch.column + patch.side)
        return np.ascontiguousarray(noisy[:, rows, columns]), volume.crop(patch.slices(0), patch)


def lowdose(
    inputs: Sequence[Volume],
    targets: Sequence[Volume],
    *,
    views: int = 180,
    least: float = 3e3,
    most: float = 3e4,
    energy: float = 25.0,
) -> Lowdose:
    """Learn from clean volumes alone: each patch is scanned anew, with fresh noise and a dose of its own.

    A network so sees every slice at many doses and never the same noise twice. Each patch costs a projection and a
    filtered back-projection of its whole slices: small slices train fast. The beam is parallel, the noise Poisson, the
    detector sharp; voxels are those of the volume, so that blur is not learned. Where these matter,
    use ``bonectl simulate`` and ``supervised``.

    Parameters
    ----------
    inputs : sequence of Volume
        Clean stacks of cubic voxels, mgHA/cm³ or 1/cm.
    targets : sequence of Volume
        Empty.
    views : int
        Views over 180 degrees.
    least, most : float
        Mean counts per pixel and view without the object; between them, all orders of magnitude are alike likely.
    energy : float
        Photon energy that gives mineral its attenuation [keV], 8 to 150; not used for 1/cm.

    Returns
    -------
    Lowdose

    Raises
    ------
    UsageError
        When targets are given, a knob makes no sense, or a stack has no attenuation or no cubic voxels.
    """
    if targets:
        raise UsageError("lowdose makes its own noise; give clean stacks as inputs, and no --target")
    if not (views >= 1 and 0 < least <= most):
        raise UsageError(f"lowdose(views={views}, least={least}, most={most}): all must be positive, least up to most")
    if not inputs:
        raise UsageError("lowdose needs a clean stack")
    for volume in inputs:
        if volume.header.axes != VOLUME or volume.header.unit not in ("mgHA/cm3", "1/cm"):
            raise UsageError(
                f"{volume.name} is in {volume.header.unit}; lowdose scans volumes in mgHA/cm3 or 1/cm "
                "(`bonectl convert --calibrate peaks` makes a pseudo-calibrated one)"
            )
    return Lowdose(inputs, views, energy, (least, most))
