"""Every example runs as it stands, and prints what its page says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGE = (ROOT / "docs" / "use" / "examples.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
LONGEST = 30  # lines


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_its_page_says(example: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    command = f"$ .venv/bin/python examples/{example.name}\n"
    printed = ran.stdout.replace(str(tmp_path), "/tmp")
    assert f"```text\n{command}{printed}```\n" in SECTIONS[example.name]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_its_page_says_what_it_is_for(example: Path) -> None:
    written = example.read_text(encoding="utf-8")
    assert 10 <= len(written.splitlines()) <= LONGEST
    assert f"{ast.get_docstring(ast.parse(written))} " in SECTIONS[example.name]


def test_the_page_shows_all_examples_and_no_other() -> None:
    assert set(SECTIONS) == {example.name for example in EXAMPLES}
    assert len(EXAMPLES) >= 8
