"""How good a network is on the part of the data that is never trained on: decibels, and bone numbers.

Bone numbers disagree with decibels about which network is best, and with each other. The *composite* weighs them
by what an error in each of them means: a composite of 1 is, on average over the numbers, one tolerance off the target.

=========================================  =========================================================================
number                                     error, and its tolerance
=========================================  =========================================================================
bone volume fraction BV/TV                 difference relative to the target's (to 0.01 where it has less): 1 %
Euler number χ of the mask                 difference relative to the target's (to 20 where it has less): 5 %
mean density (BMD)                         difference: 1 % of the scale, 12 mgHA/cm³
1-Wasserstein distance W1 of the voxels    itself: 2 % of the scale, 24 mgHA/cm³
=========================================  =========================================================================

Bone is what lies above 0.4 of the scale (480 mgHA/cm³), as in the losses on bone numbers; it is 26-connected (Toriwaki
and Yonekura 2002). The scale is the normalisation's: 1200 mgHA/cm³, or what it amounts to in 1/cm, or --scale. Errors
are taken volume by volume, without sign, and then averaged, so that errors of two volumes do not cancel.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import inf, log10

from torch import Tensor

from bonectl.learning.sample import Sample
from bonectl.losses.euler import euler_density
from bonectl.losses.w1 import w1

# Between marrow and bone [normalised units].
THRESHOLD = 0.4

# Bone volume fraction and Euler number that errors are relative to at least.
LEAST_BVTV, LEAST_EULER = 0.01, 20.0


@dataclass(frozen=True, kw_only=True)
class BoneErrors:
    """Errors of bone numbers, without sign.

    Parameters
    ----------
    bvtv, euler : float
        Relative to the target's.
    bmd, w1 : float
        In scales of the normalisation.
    """

    bvtv: float
    euler: float
    bmd: float
    w1: float

    @property
    def composite(self) -> float:
        """Mean over the numbers of error by tolerance."""
        return (self.bvtv / 0.01 + self.euler / 0.05 + self.bmd / 0.01 + self.w1 / 0.02) / 4

    @classmethod
    def between(cls, estimate: Tensor, target: Tensor) -> "BoneErrors":
        """Compare two volumes, (z, y, x) in normalised units."""
        ours, theirs = estimate > THRESHOLD, target > THRESHOLD
        share, chi = float(theirs.double().mean()), euler_number(theirs)
        return cls(
            bvtv=abs(float(ours.double().mean()) - share) / max(share, LEAST_BVTV),
            euler=abs(euler_number(ours) - chi) / max(abs(chi), LEAST_EULER),
            bmd=abs(float(estimate.double().mean() - target.double().mean())),
            w1=float(w1(Sample(estimate=estimate.double(), clean=target.double()))),
        )

    @classmethod
    def mean(cls, errors: Sequence["BoneErrors"]) -> "BoneErrors":
        """Return the mean over volumes."""
        bvtv, euler, bmd, distance = (sum(each) / len(errors) for each in zip(*map(astuple, errors), strict=True))
        return cls(bvtv=bvtv, euler=euler, bmd=bmd, w1=distance)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How an estimate of the held-out part compares with its targets.

    Parameters
    ----------
    psnr : float
        Peak signal-to-noise ratio [dB]; the peak is the normalisation's scale.
    bone : BoneErrors, optional
        None where the targets tell no bone numbers: they are noisy themselves, or no volumes.
    """

    psnr: float
    bone: BoneErrors | None

    @property
    def composite(self) -> float:
        """See the module; infinite where there are no bone numbers."""
        return inf if self.bone is None else self.bone.composite

    @classmethod
    def of(cls, estimates: Sequence[Tensor], targets: Sequence[Tensor], *, bone: bool) -> "Trial":
        """Compare volumes, (z, y, x) each in normalised units.

        Parameters
        ----------
        estimates, targets : sequence of Tensor
        bone : bool
            Whether the targets tell bone numbers.
        """
        pairs = list(zip(estimates, targets, strict=True))
        errors = sum(float((estimate - target).double().square().sum()) for estimate, target in pairs)
        return cls(
            psnr=decibel(errors / sum(target.numel() for target in targets)),
            bone=BoneErrors.mean([BoneErrors.between(*pair) for pair in pairs]) if bone else None,
        )

    @property
    def numbers(self) -> list[float]:
        """All of it as numbers, for :meth:`from_numbers`."""
        return [self.psnr, *(() if self.bone is None else astuple(self.bone))]

    @staticmethod
    def count(*, bone: bool) -> int:
        """Return how many ``numbers`` a trial has."""
        return 1 + (len(BONE_NUMBERS) if bone else 0)

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> "Trial":
        """Return the trial with these ``numbers``."""
        psnr, *errors = numbers
        return cls(psnr=psnr, bone=BoneErrors(**dict(zip(BONE_NUMBERS, errors, strict=True))) if errors else None)


BONE_NUMBERS = ("bvtv", "euler", "bmd", "w1")


def euler_number(mask: Tensor) -> float:
    """Return components - tunnels + cavities of a mask, (z, y, x), 26-connected; outside it is empty."""
    return float(euler_density(mask.float().unsqueeze(0), 26).double().sum())


def decibel(square: float) -> float:
    """Return a mean squared error as PSNR at peak 1 [dB]."""
    return inf if square == 0 else -10 * log10(square)
