"""What is measured of recordings that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.impairments import gap_share
from kaimen.voice import SMALL
from kaimen_train.cli import main
from kaimen_train.evaluation.recorded import IMPAIRMENTS, gain, gaps, in_16_bits, schools, steps
from tests.sounds import in_a_room, silence, spoken, tone

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def test_gain_is_in_decibels_and_what_is_too_loud_is_cut_off() -> None:
    sound = tone(500, 0.5, height=0.25)
    turned_down = in_16_bits(gain(-20)(sound))[4_000:]
    assert np.abs(turned_down).max() == pytest.approx(0.025, rel=0.05)
    assert np.abs(in_16_bits(gain(24)(sound))).max() <= 1


def test_steps_go_down_and_up_again_and_gaps_are_silent() -> None:
    sound = np.ones(SAMPLE_RATE, np.float32)
    stepped = steps(20, 0.25)(sound)
    assert [float(stepped[at]) for at in (0, 4_000, 8_000)] == pytest.approx([1, 0.1, 1])
    assert np.mean(gaps(0.06, 0.24)(sound) == 0) == pytest.approx(0.25, abs=0.02)
    assert gap_share(in_16_bits(gaps(0.06, 0.24)(spoken(1.0)))) > 0.1


def test_without_eval_rows_one_is_told_so() -> None:
    with pytest.raises(SettingsError, match="no eval rows"):
        schools([])


@pytest.mark.slow
def test_a_small_school_is_measured_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = ["path,corpus,split,speaker,text"]
    for speaker, pitch in (("a", 110.0), ("b", 210.0)):
        for word in ("one", "two", "six", "ten"):
            for take in (1, 2):
                name = f"{speaker}-{word}-{take}.wav"
                sound = in_a_room(silence(0.3), spoken(0.5, pitch + len(lines)), silence(0.3))
                soundfile.write(tmp_path / name, sound, SAMPLE_RATE)
                lines.append(f"{name},commands,eval,{speaker},{word}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    given = [str(tmp_path / "manifest.csv"), "--encoder", str(SMALL), "--impairments", "--json"]
    assert main.main(["recorded", *given]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    *losses, jumps = found
    assert [each["impairment"] for each in losses] == ["as it is", *IMPAIRMENTS]
    assert {each["probes"] for each in losses} == {2}
    assert (losses[0]["loss"], losses[0]["named"]) == (0, 0)
    named = {each["impairment"] for each in losses if each["named"] == 1}
    assert {"+24 dB, cut off", "gaps, 60 of 240 ms"} <= named
    assert (jumps["corpus"], jumps["recordings"], jumps["as it is"]) == ("commands", 16, 0)
