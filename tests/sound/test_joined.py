"""Files that were joined are found where each begins, however they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import soundfile

from kaimen.sound import SAMPLE_RATE, joined
from kaimen.sound.recording import read
from tests.sounds import tone


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_16"), ("ogg", "VORBIS")])
@pytest.mark.parametrize("piece", [1, 7, 8, 999, 1 << 20])
def test_joined_files_are_found_where_pieces_of_any_size_end(
    suffix: str, subtype: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, both = tmp_path / f"one.{suffix}", tmp_path / f"both.{suffix}"
    soundfile.write(one, tone(300, 0.2), SAMPLE_RATE, subtype=subtype)
    content = one.read_bytes()
    both.write_bytes(3 * content)
    monkeypatch.setattr(joined, "PIECE", piece)
    with both.open("rb") as file:
        found = joined.parts(file.fileno(), os.pread(file.fileno(), 100, 0))
    ends = [len(content), 2 * len(content), 3 * len(content)]
    assert found == list(zip([0, *ends], ends, strict=False))
    with one.open("rb") as file:
        assert joined.parts(file.fileno(), content) == []
    assert len(read(both)) == 3 * len(read(one))
