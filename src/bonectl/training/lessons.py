"""What teachers make of the inputs, for a network that shall learn it: distillation (Hinton, Vinyals and Dean 2015)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import Header
from bonectl.learning.sample import Pairing, Patch, Volume


@dataclass(frozen=True, eq=False, kw_only=True)
class Lessons:
    """Who teaches, how much that counts, and what was said.

    Parameters
    ----------
    teachers : tuple of str
        Specs of their models.
    digests : tuple of str
        SHA-256 of their weights; empty for a filter.
    share : float
        Of the teachers in what is learned, 0 to 1; the true target has the rest.
    volumes : tuple of Volume
        The mean of the teachers' answers, one for each input; none before they were asked.
    """

    teachers: tuple[str, ...]
    digests: tuple[str, ...]
    share: float
    volumes: tuple[Volume, ...] = ()

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the weights that come out, as JSON values."""
        return {
            "teachers": list(self.teachers),
            "teachers_sha256": list(self.digests),
            "teacher_share": self.share,
        }


class Taught:
    """A pairing whose targets lie between its own and what the teachers said, voxel by voxel."""

    def __init__(self, pairing: Pairing, lessons: Lessons) -> None:
        self.pairing = pairing
        self.lessons = lessons

    @property
    def headers(self) -> tuple[Header, ...]:
        """Those of the pairing."""
        return self.pairing.headers

    @property
    def clean(self) -> bool:
        """As the pairing's."""
        return self.pairing.clean

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair of the pairing, and move its target."""
        noisy, clean = self.pairing.cut(patch, context, random)
        said = self.lessons.volumes[patch.volume].crop(patch.slices(0), patch)
        share = np.float32(self.lessons.share)
        return noisy, share * said + (1 - share) * clean
