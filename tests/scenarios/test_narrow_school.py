"""A school of narrow recordings is told so, and lets its students in all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import soxr

from kaimen.cli.main import main
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE

pytestmark = pytest.mark.slow


def narrow_school(folder: Path, *, upsampled: bool) -> list[str]:
    """Write five recordings of every student of the demo, cut to 4 kHz; return their names."""
    for student in sorted(each for each in RECORDINGS.iterdir() if each.is_dir()):
        (folder / student.name).mkdir(parents=True)
        for path in sorted(student.glob("phrase-[1-5].mp3")):
            sound, rate = soundfile.read(path, dtype="float32")
            sound, rate = soxr.resample(sound, rate, 8_000), 8_000
            if upsampled:
                sound, rate = soxr.resample(sound, rate, SAMPLE_RATE), SAMPLE_RATE
            soundfile.write(folder / student.name / f"{path.stem}.wav", sound, rate)
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("upsampled", [False, True])
def test_a_school_enrolled_at_8_khz_is_warned_and_most_are_let_in_at_16(
    upsampled: bool, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\n",
        encoding="utf-8",
    )
    students = narrow_school(tmp_path / "school", upsampled=upsampled)

    def run(*arguments: str) -> list[dict]:
        main([*arguments, "--config", str(config), "--json"])
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    told = run("enroll", "--from", str(tmp_path / "school"))
    warned = {each["student"] for each in told if "4 kHz" in each.get("warning", "")}
    assert warned == set(students)
    assert any("4 kHz" in each.get("note", "") for each in run("calibrate"))
    probes = [str(RECORDINGS / student / "phrase-6.mp3") for student in students]
    answers = run("listen", *probes)
    let_in = [
        Path(each["path"]).parent.name == each["student"]
        for each in answers
        if each.get("verdict") == "open"
    ]
    assert all(let_in)
    assert len(let_in) >= 12, answers
