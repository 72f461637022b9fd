"""`make release`: what is no release is refused before anything is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository whose program is 0.2.0 and whose changelog says so."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "release.sh", tmp_path / "deploy")
    (tmp_path / "edge" / "kaimen").mkdir(parents=True)
    (tmp_path / "edge" / "kaimen" / "__init__.py").write_text('__version__ = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.2.0\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(tree: Path, *arguments: str) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", "-C", str(tree), *who, *arguments], check=True, capture_output=True)


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "a version")


def refused(tree: Path, tag: str) -> str:
    done = subprocess.run(
        [str(tree / "deploy" / "release.sh"), tag],
        env={name: value for name, value in os.environ.items() if name not in ("KEY", "URL")},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert not (tree / "build").exists()
    return done.stderr


def test_a_tag_that_is_not_there_is_refused(tree: Path) -> None:
    assert "there is no tag v0.2.0" in refused(tree, "v0.2.0")


def test_a_tag_of_another_version_is_refused(tree: Path) -> None:
    git(tree, "tag", "v0.3.0")
    assert "the program of v0.3.0 is 0.2.0" in refused(tree, "v0.3.0")


def test_a_version_that_the_changelog_does_not_know_is_refused(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    commit(tree)
    git(tree, "tag", "v0.2.0")
    assert "no section '## 0.2.0'" in refused(tree, "v0.2.0")


def test_without_a_key_it_is_refused(tree: Path) -> None:
    git(tree, "tag", "v0.2.0")
    assert "set KEY" in refused(tree, "v0.2.0")
