"""Learned primal-dual: a reconstruction method with networks inside, trained on scans."""

from bonectl.learning.primal_dual import PrimalDual

# What the register knows of it (core/kit.py).
LEARNS = "scans"


def lpd(*, iterations: int = 6, width: int = 16, memory: int = 4) -> PrimalDual:
    """Reconstruct scans by learned steps between projector and transpose: trained on scans, used by `reconstruct`.

    Adler and Öktem, IEEE Trans. Med. Imaging 37, 1322 (2018), algorithm 3. ``bonectl train SCAN --target VOLUME --model
    lpd`` takes scans of parallel or fan beams where other models take volumes, and whole rows of them: ``--run`` rows
    at a time, ``--patch`` says nothing. Training begins at filtered back-projection with a Hann window. ``bonectl
    reconstruct --method "lpd(weights=FILE)"`` uses the checkpoint.

    Parameters
    ----------
    iterations : int
        Steps. The paper has 10.
    width : int
        Channels inside a step's networks. The paper has 32.
    memory : int
        Channels of the volume and of the scan between the steps. The paper has 5.

    Returns
    -------
    PrimalDual
        A scan (row, view, col) and a first reconstruction (z, y, x) → (z, y, x) [1/cm]; at first the latter.

    Raises
    ------
    UsageError
        When a knob is below 1.
    """
    return PrimalDual(iterations, width, memory)
