"""Several processes that train one network together, started by ``torchrun``.

Each process, a *rank*, works on its own part of every batch; gradients and everything that decides how training goes on
are averaged over the ranks, so that all take the same steps. Parts are cut by the number of the sample in the
whole batch: two ranks with a batch of B see the samples that one process with a batch of 2 B sees.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed, nn

from bonectl.core import memory, threads
from bonectl.errors import BonectlError, UnavailableError
from bonectl.learning import device


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """One process among those that train together.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    world : int
        How many there are. One alone exchanges nothing.
    where : torch.device
        Where this process computes, and holds what it exchanges.
    """

    rank: int = 0
    world: int = 1
    where: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes, and decides."""
        return self.rank == 0

    def mean(self, values: Sequence[float]) -> list[float]:
        """Return the mean over the ranks of each of some numbers, of which all ranks have equally many."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.where)
        with self.together():
            distributed.all_reduce(total)
        mean: list[float] = (total / self.world).tolist()
        return mean

    def any(self, mine: bool) -> bool:
        """Return whether it is so for at least one rank."""
        return self.mean([float(mine)])[0] > 0

    def told(self, values: Sequence[float]) -> list[float]:
        """Return the numbers of the leading rank; the others give as many of any kind."""
        if self.world == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.where)
        with self.together():
            distributed.broadcast(shared, 0)
        told: list[float] = shared.tolist()
        return told

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their means over the ranks; all ranks have the same parameters."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with self.together():
            distributed.all_reduce(flat)
        parts = torch.split(flat / self.world, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def shared(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over the ranks while they flow back; its weights become those
        of the leading rank."""
        if self.world == 1:
            return network
        with self.together():
            return nn.parallel.DistributedDataParallel(
                network, device_ids=[self.where] if self.where.type == "cuda" else None
            )

    def part(self, whole: Tensor) -> Tensor:
        """Return this rank's part of a whole batch, along its first axis."""
        return whole.chunk(self.world)[self.rank]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Say so when the other ranks are gone.

        Raises
        ------
        UnavailableError
            Another process ended, or does not answer.
        """
        try:
            yield
        except BonectlError:
            raise
        except RuntimeError as error:
            if self.world == 1 or memory.is_shortage(error):
                raise
            raise UnavailableError(
                f"process {self.rank} of {self.world} lost the others ({str(error).splitlines()[0]}); its own message "
                "says why one of them ended; go on from the last checkpoint with --resume"
            ) from error


ALONE = Ranks()


@contextmanager
def joined(name: str) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started with this one; alone without it.

    The ranks of a machine share its threads (``bonectl.core.threads``) evenly, and take one GPU each. They exchange by
    gloo on CPU and by nccl on GPUs.

    Parameters
    ----------
    name : str
        Of the device, see ``bonectl.learning.device.choose``.

    Raises
    ------
    UsageError, UnavailableError
        There is no such device, or too few GPUs, or the processes do not find each other.
    """
    launched = distributed.is_available() and distributed.is_torchelastic_launched()
    world = int(os.environ.get("WORLD_SIZE", "1")) if launched else 1
    if world == 1:
        yield Ranks(where=device.choose(name))
        return
    neighbours, number = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    threads.choose(max(1, threads.count() // neighbours))
    where = device.choose(name)
    if where.type == "cuda":
        where = device.choose(f"cuda:{number}")
        torch.cuda.set_device(where)
    try:
        distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"the {world} processes of torchrun do not find each other ({str(error).splitlines()[0]}); check its "
            "--master-addr and --master-port"
        ) from error
    yield Ranks(rank=distributed.get_rank(), world=world, where=where)
    distributed.destroy_process_group()  # not after an error: the others may be gone, and then it would wait for them
