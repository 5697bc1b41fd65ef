"""Which runs show how curves respond to several parameters at once."""

from __future__ import annotations

import numpy as np

ORDERS = (2, 4, 6)  # of conference matrices, one more than a prime of the kind 4 n + 1, or 3, or 1


def design(parameters: int) -> np.ndarray:
    """Points (runs, parameters) of a screening design [steps]: the middle, then pairs of opposite corners.

    A definitive screening design (Jones and Nachtsheim, J Qual Technol 43 (2011) 1): the rows of a conference
    matrix C (C C' = (m - 1) 1, 0 on its diagonal) and their opposites. Effects of the parameters do not mix
    with each other, nor with those of their squares.
    """
    if parameters == 1:
        return np.array([[0.0], [-1.0], [1.0]])
    order = next((order for order in ORDERS if order >= parameters), None)
    if order is None:
        raise ValueError(f"{parameters} parameters are more than there is a design for")
    rows = _conference(order)[:, :parameters]
    return np.concatenate([np.zeros((1, parameters)), -rows, rows])


def _conference(order: int) -> np.ndarray:
    """A conference matrix by Paley's construction, (order, order)."""
    prime = order - 1
    squares = {i * i % prime for i in range(1, prime)} if prime > 1 else set()
    matrix = np.ones((order, order))
    difference = np.subtract.outer(np.arange(prime), np.arange(prime)) % prime
    matrix[1:, 1:] = np.where(np.isin(difference, list(squares)), 1.0, -1.0)
    if prime % 4 == 3:
        matrix[1:, 0] = -1.0
    np.fill_diagonal(matrix, 0.0)
    return matrix
