"""Values into what strict JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

DIGITS = 7  # significant digits kept of a float: beyond any meaning, and half the size


def plain(value: Any) -> Any:
    """`value` as dicts, lists, texts, numbers and None.

    Dataclasses become dicts, arrays and tuples lists, numbers that are not finite None. What has no such
    form is refused rather than turned into text that nobody expects.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, PurePath):
        return value.name  # its folder may reveal who the patient is
    raise TypeError(f"{type(value).__name__} has no place in a result")
