"""The two sigmas: transport and latent variance from the spread of batches.

**Rounds, groups and batches.** The original histories of the phase spaces are cut into groups, and a batch
transports one group once (once in each mirror image, where the machine file allows them), for every beam.
A round takes the groups in turn, each of them twice in a row with different random numbers: a pair of
batches. So a round is two passes over the files.

- The batches of a pair share their histories and differ in their random numbers only. Half the mean square
  of their difference is the transport variance t of a batch, known as well as there are pairs.
- Pairs differ in their histories as well. What they spread beyond 2 t is 4 h, with h the variance that the
  histories of a group make in a batch.

The mean of one pass, over B batches of G groups of which group g had m_g, then has

    transport variance = t G^2 / B                     (falls with every batch)
    latent variance    = h (G / B)^2 sum_g m_g^2       (G h in whole rounds: what the finite file leaves)

Both are unbiased in whatever batch the run stops. That the number of histories that left a particle in the
file is itself random is no part of it (`mc.run.simulate.count_variance`). A phase-space particle is never
taken for an independent history.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

REPEATS = 2  # batches of a group in a row
PART = 1 << 18  # voxels worked at together: a part and its intermediate results fit into a cache
ALL = slice(None)


def batch_order(groups: int) -> Iterator[tuple[int, int]]:
    """Replica and group of every batch, without end."""
    replica = 0
    while True:
        for group in range(groups):
            for repeat in range(REPEATS):
                yield replica + repeat, group
        replica += REPEATS


def parts(voxels: int) -> Iterator[slice]:
    """Cut (voxels,) into parts, so that intermediate results take no memory to speak of."""
    return (slice(first, min(first + PART, voxels)) for first in range(0, voxels, PART))


class BatchStatistics:
    """Sums over batches from which mean, transport and latent variance follow. Arrays are (voxels,).

    With `part` they are worked at part by part (see `parts`): four arrays are all the memory that is needed.
    """

    def __init__(self, voxels: int, groups: int) -> None:
        self.groups = groups
        self.batches = 0
        self.sum = np.zeros(voxels)
        self.square_of_differences = np.zeros(voxels)
        self.square_of_pairs = np.zeros(voxels)
        self._first = np.zeros(voxels)  # of the pair under way

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The sums by name; with `batches` they are all that a spread is."""
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

    def add(self, batch: np.ndarray) -> None:
        """Fold in the next batch, in the order of `batch_order`."""
        self.add_part(ALL, batch)
        self.end_batch()

    def add_part(self, part: slice, batch: np.ndarray) -> None:
        """Fold in a part of the next batch; `end_batch` follows the last."""
        self.sum[part] += batch
        first = self._first[part]
        if self.batches % 2 == 0:
            first[:] = batch
            return
        self.square_of_differences[part] += (batch - first) ** 2
        self.square_of_pairs[part] += (batch + first) ** 2
        first[:] = 0.0

    def end_batch(self) -> None:
        """Count the batch whose parts were folded in."""
        self.batches += 1

    def mean(self, part: slice = ALL) -> np.ndarray:
        """Mean of one pass."""
        return self.sum[part] * (self.groups / self.batches)

    def variances(self, part: slice = ALL) -> tuple[np.ndarray, np.ndarray | None]:
        """Transport and latent variance of the mean; the latent one is None before the second pair.

        The latent variance is an unbiased difference and may be below 0. Two batches are needed.
        """
        pairs, odd = divmod(self.batches, 2)
        of_batch = self.square_of_differences[part] / (2 * pairs)
        to_pass = (self.groups / self.batches) ** 2
        transport = of_batch * (self.batches * to_pass)
        if pairs < 2:
            return transport, None
        rounds, over = divmod(pairs, self.groups)
        paired = np.full(self.groups, rounds)
        paired[:over] += 1
        uses = 2 * paired
        uses[over] += odd
        square = self.square_of_pairs[part] - (self.sum[part] - self._first[part]) ** 2 / pairs
        # Pairs of one group share their histories: only differences between groups show these.
        of_histories = (square - 2 * (pairs - 1) * of_batch) / (4 * (pairs - np.sum(paired**2) / pairs))
        return transport, of_histories * (to_pass * np.sum(uses**2))

    def consume(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """`mean` and `variances` in the memory of the sums; the spread holds nothing afterwards."""
        mean, transport, latent = self.sum, self.square_of_differences, self.square_of_pairs
        known = self.batches >= 4
        for part in parts(mean.size):
            of_part, (of_transport, of_histories) = self.mean(part), self.variances(part)
            mean[part], transport[part] = of_part, of_transport
            if known:
                latent[part] = of_histories
        del self.sum, self.square_of_differences, self.square_of_pairs, self._first
        return mean, transport, latent if known else None
