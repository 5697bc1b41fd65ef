"""Kernels stay readable: few parameters, few returned values, formatted by the formatter."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mc

ROOT = Path(mc.__file__).parent
FILES = [
    path for folder in ("transport", "physics", "geometry") for path in sorted((ROOT / folder).glob("*.py"))
]
MAX_PARAMETERS, MAX_VALUES, MAX_UNFORMATTED = 10, 8, 4


def too_wide(source: str) -> list[str]:
    """Names of functions with too many parameters, or that return too many values."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            a = node.args
            parameters = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
            if len(parameters) > MAX_PARAMETERS:
                found.append(f"{getattr(node, 'name', 'lambda')}: {len(parameters)} parameters")
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            if len(node.value.elts) > MAX_VALUES:
                found.append(f"line {node.lineno}: {len(node.value.elts)} values")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_functions_take_and_return_few_values(path):
    assert too_wide(path.read_text()) == []


def test_unformatted_code_is_rare():
    assert sum(path.read_text().count("# fmt: skip") for path in FILES) <= MAX_UNFORMATTED


def test_the_check_finds_what_is_too_wide():
    parameters, values = (", ".join(f"{name}{i}" for i in range(12)) for name in "av")
    assert len(too_wide(f"def f({parameters}):\n    return {values}")) == 2
    assert too_wide("def f(a, b):\n    return a, b") == []
