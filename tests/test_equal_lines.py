"""No two places have more than twelve equal lines: what is needed twice is written once."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST = 12  # lines in a row


def lines_of(source: str) -> list[tuple[int, str]]:
    """Return lines and their numbers, without imports, comments and what is empty."""
    imports = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [(number, line.strip()) for number, line in enumerate(source.splitlines(), 1)]
    return [
        (number, line)
        for number, line in lines
        if line and not line.startswith("#") and number not in imports
    ]


def equal_places(sources: dict[str, str]) -> list[list[str]]:
    """Return places, as ``file:line``, from which on more than ``MOST`` lines are equal."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, source in sources.items():
        lines = lines_of(source)
        for at in range(len(lines) - MOST):
            run = tuple(line for _, line in lines[at : at + MOST + 1])
            found[run].append(f"{name}:{lines[at][0]}")
    return [places for places in found.values() if len(places) > 1]


def read(*folders: str) -> dict[str, str]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("folders", [("edge", "training", "examples"), ("tests",)])
def test_no_two_places_have_more_than_twelve_equal_lines(folders: tuple[str, ...]) -> None:
    assert equal_places(read(*folders)) == []


def test_equal_lines_are_found_wherever_they_stand_and_however_deep() -> None:
    lines = [f"x{number} = {number}" for number in range(MOST + 1)]
    deep = ["import os", "if os:", *(f"    {line}" for line in lines)]
    assert equal_places({"a": "\n".join(lines), "b": "\n".join(deep)}) == [["a:1", "b:3"]]


def test_twelve_equal_lines_are_left_alone() -> None:
    lines = "\n".join(f"x{number} = {number}" for number in range(MOST))
    assert equal_places({"a": f"{lines}\ny = 1", "b": f"{lines}\ny = 2"}) == []
