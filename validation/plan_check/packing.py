"""Dataclasses as JSON and one array of numbers, and back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")


class Numbers:
    """Arrays one after the other."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._size = 0

    def add(self, values: np.ndarray) -> int:
        """Append all values of an array; where they begin."""
        start = self._size
        self._parts.append(values.astype(np.float64).ravel())
        self._size += values.size
        return start

    def array(self) -> np.ndarray:
        """All of them, (n,) float64."""
        return np.concatenate(self._parts) if self._parts else np.empty(0)


def pack(value: Any, numbers: Numbers) -> Any:
    """`value` as what JSON holds; arrays go to the end of `numbers`, where their places are stated."""
    if is_dataclass(value):
        return {field.name: pack(getattr(value, field.name), numbers) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return {"start": numbers.add(value), "shape": list(value.shape)}
    if isinstance(value, Mapping):
        return {key: pack(item, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [pack(item, numbers) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def unpack(kind: type[T], packed: Any, numbers: np.ndarray) -> T:
    """What `pack` made of a value of the type `kind`, from its type hints.

    Fields that the type no longer has are left out.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is something else.
    """
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(
            **{name: unpack(hints[name], item, numbers) for name, item in packed.items() if name in hints}
        )
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is np.ndarray:
        size = int(np.prod(packed["shape"]))
        return numbers[packed["start"] : packed["start"] + size].reshape(packed["shape"])
    if origin in (Union, types.UnionType):
        one = next(argument for argument in arguments if argument is not types.NoneType)
        return None if packed is None else unpack(one, packed, numbers)
    if origin is tuple:
        each = [arguments[0]] * len(packed) if arguments[1:] == (...,) else arguments
        return tuple(unpack(a, item, numbers) for a, item in zip(each, packed, strict=True))
    if origin is frozenset:
        return frozenset(packed)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: unpack(arguments[1], item, numbers) for key, item in packed.items()}
    return Path(packed) if kind is Path else packed
