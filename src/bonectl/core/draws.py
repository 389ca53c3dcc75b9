"""Random draws keyed by what they are for, never by the order in which they are made."""

import hashlib

import numpy as np


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """A counter-based generator for one purpose.

    Parameters
    ----------
    seed : int
        The user's seed.
    *key : int or str
        What the draws are for, e.g. ``("poisson", row)``. Other keys give independent streams, so
        slices may be worked on in any order, in any slab, on any machine.

    Returns
    -------
    numpy.random.Generator
        Over Philox 4x64-10 (Salmon et al., SC 2011), keyed by a hash of seed and key.
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in key)])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
