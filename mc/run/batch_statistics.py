"""The two sigmas: transport and latent variance from the variance between batches.

**Rounds, groups and batches.** The original histories of the phase spaces are cut into groups, and a batch
transports one group once (once in each mirror image, where the machine file allows them), for every beam.
A round takes the groups in turn, each of them twice in succession with different random numbers: a pair of
batches. A round is therefore two passes over the files.

- The batches of a pair share their histories and differ in their random numbers only. Half the mean square
  of their difference estimates the transport variance t of a batch, with one degree of freedom per pair.
- Pairs differ in their histories as well. Their variance exceeds 2 t by 4 h, where h is the variance of a
  batch due to the sample of histories in its group.

The mean of one pass, over B batches of G groups of which group g had m_g, then has

    transport variance = t G^2 / B                     (falls with every batch)
    latent variance    = h (G / B)^2 sum_g m_g^2       (G h in whole rounds: what the finite file leaves)

Both are unbiased, whichever batch is the last. The number of histories that left a particle in the file is
itself random; `mc.run.simulate.count_variance` accounts for it separately. Phase-space particles are never
treated as independent histories.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

REPEATS = 2  # successive batches of a group
PART = 1 << 18  # voxels processed together: a part and its intermediate results fit into a cache
ALL = slice(None)


def batch_order(groups: int) -> Iterator[tuple[int, int]]:
    """Replica and group of every batch; an infinite sequence."""
    replica = 0
    while True:
        for group in range(groups):
            for repeat in range(REPEATS):
                yield replica + repeat, group
        replica += REPEATS


def parts(voxels: int) -> Iterator[slice]:
    """Divide (voxels,) into parts small enough that intermediate results need little memory."""
    return (slice(first, min(first + PART, voxels)) for first in range(0, voxels, PART))


class BatchStatistics:
    """Sums over batches that determine mean, transport and latent variance. Arrays are (voxels,).

    Methods that take a `part` (see `parts`) process the voxels part by part, so that no memory is needed
    beyond the four arrays of sums.
    """

    def __init__(self, voxels: int, groups: int) -> None:
        self.groups = groups
        self.batches = 0
        self.sum = np.zeros(voxels)
        self.square_of_differences = np.zeros(voxels)
        self.square_of_pairs = np.zeros(voxels)
        self._first = np.zeros(voxels)  # batch of an incomplete pair

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The sums by name; together with `batches` they are the complete state."""
        return {
            "sum": self.sum,
            "square_of_differences": self.square_of_differences,
            "square_of_pairs": self.square_of_pairs,
            "first_of_pair": self._first,
        }

    @property
    def at_end_of_round(self) -> bool:
        """Whether every history was used as often as every other, and at least twice."""
        return self.batches > 0 and self.batches % (REPEATS * self.groups) == 0

    @property
    def batches_of_groups(self) -> np.ndarray:
        """Batches added of each group, (groups,) int."""
        pairs, odd = divmod(self.batches, 2)
        rounds, over = divmod(pairs, self.groups)
        counts = np.full(self.groups, 2 * rounds)
        counts[:over] += 2
        counts[over] += odd
        return counts

    def add(self, batch: np.ndarray) -> None:
        """Add the next batch, in the order of `batch_order`."""
        self.add_part(ALL, batch)
        self.end_batch()

    def add_part(self, part: slice, batch: np.ndarray) -> None:
        """Add a part of the next batch; call `end_batch` after the last part."""
        self.sum[part] += batch
        first = self._first[part]
        if self.batches % 2 == 0:
            first[:] = batch
            return
        self.square_of_differences[part] += (batch - first) ** 2
        self.square_of_pairs[part] += (batch + first) ** 2
        first[:] = 0.0

    def end_batch(self) -> None:
        """Count the batch whose parts have been added."""
        self.batches += 1

    def mean(self, part: slice = ALL) -> np.ndarray:
        """Mean of one pass."""
        return self.sum[part] * (self.groups / self.batches)

    def variances(self, part: slice = ALL) -> tuple[np.ndarray, np.ndarray | None]:
        """Transport and latent variance of the mean; the latent one is None before the second pair.

        The latent variance is an unbiased difference and may be negative. At least two batches are required.
        """
        pairs = self.batches // 2
        of_batch = self.square_of_differences[part] / (2 * pairs)
        to_pass = (self.groups / self.batches) ** 2
        transport = of_batch * (self.batches * to_pass)
        if pairs < 2:
            return transport, None
        uses = self.batches_of_groups
        paired = uses // 2
        square = self.square_of_pairs[part] - (self.sum[part] - self._first[part]) ** 2 / pairs
        # Pairs of one group share their histories: only differences between groups depend on these.
        of_histories = (square - 2 * (pairs - 1) * of_batch) / (4 * (pairs - np.sum(paired**2) / pairs))
        return transport, of_histories * (to_pass * np.sum(uses**2))

    def relative_uncertainty(self, above: float = 0.5) -> float:
        """Rms relative transport sigma of the voxels above `above` times the maximum."""
        limit = above * (self.sum.max() * (self.groups / self.batches))
        squares = []
        for part in parts(self.sum.size):
            mean = self.mean(part)
            high = mean > limit
            if high.any():
                squares.append(self.variances(part)[0][high] / mean[high] ** 2)
        if not squares:
            return np.inf
        return float(np.sqrt(np.mean(np.concatenate(squares))))

    def consume(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """`mean` and `variances`, computed in the memory of the sums, which are gone afterwards."""
        mean, transport, latent = self.sum, self.square_of_differences, self.square_of_pairs
        known = self.batches >= 4
        for part in parts(mean.size):
            of_part, (of_transport, of_histories) = self.mean(part), self.variances(part)
            mean[part], transport[part] = of_part, of_transport
            if known:
                latent[part] = of_histories
        del self.sum, self.square_of_differences, self.square_of_pairs, self._first
        return mean, transport, latent if known else None
