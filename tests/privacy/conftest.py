"""The school that most tests here begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.privacy.school import School


@pytest.fixture
def school(tmp_path: Path, capsys: pytest.CaptureFixture) -> School:
    return School(tmp_path, capsys)
