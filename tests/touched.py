"""Print which tests a change touches: those of the rooms it is in, and those of the whole house.

``make check`` runs these. What a change does to rooms above its own is seen by ``make test``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"cli": "commands"}  # a room whose tests are called otherwise


def tests_of(changed: Iterable[str]) -> list[str]:
    """Return folders and files of tests for changed paths, relative to the repository."""
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_*.py")}
    for path in map(PurePosixPath, changed):
        match path.parts:
            case ["edge", "kaimen", room, _, *_]:
                found.add(f"tests/{ELSEWHERE.get(room, room)}")
            case ["training", "kaimen_train", _, *_]:
                found.add("tests/training")
            case ["tests", room, _, *_]:
                found.add(f"tests/{room}")
            case ["deploy" | "systemd", *_]:
                found.add("tests/deploy")
    return sorted(each for each in found if (ROOT / each).exists())


def _changed() -> set[str]:
    """Return what differs from the branch ``main``, committed or not; without one, from HEAD."""
    base = _git("merge-base", "main", "HEAD") or ["HEAD"]
    new = _git("ls-files", "--others", "--exclude-standard")
    return {*_git("diff", "--name-only", "--no-renames", base[0]), *new}


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    print(" ".join(tests_of(_changed())))
