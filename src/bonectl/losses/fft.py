"""Spatial frequencies: the spectrum of the error, in a band."""

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample


def fft(sample: Sample, *, low: float = 0.0, high: float = 2.0) -> Tensor:
    """Mean magnitude of the error's Fourier coefficients, slice by slice.

    Magnitudes and not their squares, which would be ``l2`` (Parseval). A band towards the Nyquist frequency asks for
    resolution: ``fft(low=0.5)``.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    low, high : float
        Band of radial frequencies, low ≤ f ≤ high [Nyquist frequencies: 1 is half a cycle per voxel]; the corners of
        the spectrum reach √2.

    Returns
    -------
    Tensor, ()
        Orthonormal transform [normalised units].

    Raises
    ------
    UsageError
        When the band holds no coefficient.
    """
    error = sample.estimate - sample.target
    rows, columns = error.shape[-2:]
    y = 2 * torch.fft.fftfreq(rows, dtype=error.dtype, device=error.device)
    x = 2 * torch.fft.fftfreq(columns, dtype=error.dtype, device=error.device)
    radius = torch.hypot(y[:, None], x[None, :])
    band = (radius >= low) & (radius <= high)
    if not band.any():
        raise UsageError(f"fft(low={low}, high={high}) holds no frequency of a patch of {rows} × {columns} pixels")
    spectrum: Tensor = torch.fft.fft2(error, norm="ortho")
    return spectrum.abs()[..., band].mean()
