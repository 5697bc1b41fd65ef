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
file is itself random is no part of it (`mc.run.count_variance`). A phase-space particle is never taken for
an independent history.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

REPEATS = 2  # batches of a group in a row


def batch_order(groups: int) -> Iterator[tuple[int, int]]:
    """Replica and group of every batch, without end."""
    replica = 0
    while True:
        for group in range(groups):
            for repeat in range(REPEATS):
                yield replica + repeat, group
        replica += REPEATS


class Spread:
    """Sums over batches from which mean, transport and latent variance follow. Arrays are (voxels,)."""

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
        self.sum += batch
        self.batches += 1
        if self.batches % 2 == 1:
            self._first[:] = batch
            return
        self.square_of_differences += (batch - self._first) ** 2
        self.square_of_pairs += (batch + self._first) ** 2
        self._first[:] = 0.0

    def mean(self) -> np.ndarray:
        """Mean of one pass."""
        return self.sum * (self.groups / self.batches)

    def variances(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Transport and latent variance of the mean; the latent one is None before the second pair.

        The latent variance is an unbiased difference and may be below 0. Two batches are needed.
        """
        pairs, odd = divmod(self.batches, 2)
        of_batch = self.square_of_differences / (2 * pairs)
        to_pass = (self.groups / self.batches) ** 2
        transport = of_batch * (self.batches * to_pass)
        if pairs < 2:
            return transport, None
        rounds, over = divmod(pairs, self.groups)
        paired = np.full(self.groups, rounds)
        paired[:over] += 1
        uses = 2 * paired
        uses[over] += odd
        square = self.square_of_pairs - (self.sum - self._first) ** 2 / pairs
        # Pairs of one group share their histories: only differences between groups tell of these.
        of_histories = (square - 2 * (pairs - 1) * of_batch) / (4 * (pairs - np.sum(paired**2) / pairs))
        return transport, of_histories * (to_pass * np.sum(uses**2))
