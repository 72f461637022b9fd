"""Files of every encoder and of every accident are read whole, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaimen.sound.recording import read
from tests.sound import made_files

pytestmark = made_files.needs_programs
NEAR = 0.010  # seconds
# Its header says that it has one frame. ffmpeg then keeps what the encoder put after the sound.
FFMPEG_ADDS = "count-1.mp3"
DAMAGED = {"cut", "joined of two"}  # kinds of which some may be refused


@pytest.mark.slow
def test_every_file_is_read_as_long_as_ffmpeg_decodes_it_or_refused(tmp_path: Path) -> None:
    results = [made_files.result_of(file) for file in made_files.made(tmp_path)]
    assert len(results) >= 120
    off = {each.made.path.name for each in results if each.off > NEAR}
    assert off == set()
    refused = [each for each in results if each.refusal]
    assert {each.made.kind for each in refused} <= DAMAGED
    assert len(refused) < 0.1 * len(results)


def test_an_mp3_that_says_it_has_one_frame_is_as_long_as_its_sound(tmp_path: Path) -> None:
    content = made_files.Maker(tmp_path).lame("right.mp3", "-V", 4).read_bytes()
    path = tmp_path / FFMPEG_ADDS
    path.write_bytes(made_files.with_count(content, 1))
    (as_it_was,) = (read(tmp_path / "right.mp3"),)
    np.testing.assert_array_equal(read(path), as_it_was)
    assert len(as_it_was) == len(made_files.SOUND)
    # Of the frame that ffmpeg has more, all is silence that the encoder added.
    result = made_files.result_of(made_files.Made("", path, (path,), made_files.SOUND_SECONDS))
    assert abs(result.late) > NEAR > result.off == 0


def test_a_few_files_are_read_as_long_as_ffmpeg_decodes_them(tmp_path: Path) -> None:
    maker = made_files.Maker(tmp_path)
    whole = [
        maker.ffmpeg("none.mp3", "-ar", 44100, "-q:a", 4, "-write_xing", 0),
        maker.lame("checksums.mp3", "-p", "-V", 4),
        maker.ffmpeg("pipe.flac", "-f", "flac", pipe=True),
        maker.ffmpeg("pipe.wav", "-c:a", "pcm_mulaw", "-f", "wav", pipe=True),
        maker.ffmpeg("phrase.opus", "-c:a", "libopus"),
        maker.ffmpeg("flac.oga", "-c:a", "flac"),
        maker.ffmpeg("phrase.m4a", "-c:a", "aac"),
        maker.ffmpeg("phrase.webm", "-c:a", "libopus", "-f", "webm", pipe=True),
        maker.written("phrase.amr", made_files.amr(2.0)),
    ]
    files = [made_files.Made("whole", path, (path,)) for path in whole]
    for path in (whole[2], whole[4]):  # FLAC, Ogg
        joined = maker.written(f"joined{path.suffix}", 2 * path.read_bytes())
        files.append(made_files.Made("joined", joined, (path, path)))
    results = [made_files.result_of(file) for file in files]
    assert [each.refusal for each in results if each.refusal] == []
    assert {each.made.path.name: each.late for each in results if each.off > NEAR} == {}
