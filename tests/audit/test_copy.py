"""A log is copied while a gate writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen.audit import Audit, reading, verify

KEY = b"k" * 32


def test_a_log_whose_oldest_files_go_while_it_is_copied_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    files_of = reading.files_of
    with Audit(tmp_path / "log", KEY, largest=2_000, kept=3) as log:

        def listed_late(folder: Path) -> list[Path]:
            for number in range(100 if not written else 0):
                log.write({"kind": "door", "event": "open"})
                written.append(number)
            return files_of(folder)

        for _ in range(40):  # more than the head holds
            log.write({"kind": "door", "event": "open"})
        monkeypatch.setattr(reading, "files_of", listed_late)
        reading.copy(tmp_path / "log", KEY, tmp_path / "copy")
    report = verify(tmp_path / "copy", KEY)
    assert report.problems == [] and len(written) == 100 and report.lines > 1
