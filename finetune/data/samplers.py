"""The order in which images are asked for: decided by (seed, epoch) alone, shared out over processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data.distributed import DistributedSampler

from finetune.data.dataset import SampleKey


class TrainSampler(DistributedSampler[SampleKey]):
    """A new permutation every epoch, padded from its start so that every process gets equally many.

    It is a DistributedSampler, so that Lightning neither replaces it nor forgets to call ``set_epoch``. It hands the
    epoch on with every index, which reaches workers that outlive an epoch.

    Args:
        count: Images of the split.
        seed: Together with the epoch it decides the order.
        rank: This process.
        world: Number of processes.
        views: Every image is asked for in so many ways, one after the other from epoch to epoch, whatever the process; 0 is another way each time.
    """

    def __init__(self, count: int, seed: int = 0, rank: int = 0, world: int = 1, views: int = 0) -> None:
        super().__init__(range(count), num_replicas=world, rank=rank, shuffle=True, seed=seed)  # type: ignore[arg-type]
        self._count, self._views = count, views

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self._count)
        padded = np.resize(order, self.total_size)  # repeats from the start
        epoch, rank = (self.epoch % self._views, 0) if self._views else (self.epoch, self.rank)
        return iter([SampleKey(epoch, rank, int(index)) for index in padded[self.rank :: self.num_replicas]])


class EvalSampler(DistributedSampler[int]):
    """Every image at least once over all processes, in order.

    Every process gets equally many, the last image again where there is none left: processes that take part in a
    different number of steps wait for one another for ever. Who scores counts an image once.

    Args:
        count: Images of the split.
        rank: This process.
        world: Number of processes.
    """

    def __init__(self, count: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(range(count), num_replicas=world, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self._indices = [min(index, count - 1) for index in range(rank, -(-count // world) * world, world)]

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)
