"""A damaged file is sound or a sentence: nothing else comes of it, in the commands neither."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaimen.enrollment.judging import decode
from kaimen.errors import RecordingError
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import LONGEST
from tests.sound import mutated

seeds = cache(mutated.seeds)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_a_damaged_file_is_sound_or_is_refused(data: st.DataObject, seed: int) -> None:
    names = st.sampled_from(sorted(seeds()))
    content, other = seeds()[data.draw(names)], seeds()[data.draw(names)]
    try:
        heard = decode(mutated.mutate(content, other, np.random.default_rng(seed)))
    except RecordingError as error:
        assert error.reason and "\n" not in error.reason
    else:
        assert heard.dtype == np.float32 and heard.ndim == 1
        assert 0 < len(heard) <= (LONGEST + 1) * SAMPLE_RATE
        assert np.abs(heard).max() <= 1


@pytest.mark.slow
def test_damaged_files_go_through_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["mutated", "100"])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})  # restored at the end
    mutated.main()
    assert capsys.readouterr().out.count("| 100 |") == 4
