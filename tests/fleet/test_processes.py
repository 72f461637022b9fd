"""A whole fleet of real processes, and a voice at a gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.fleet.machines import MOSQUITTO, WITHOUT
from tests.fleet.processes import Process, Site, until
from tests.sounds import in_a_room, silence

pytestmark = [pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT), pytest.mark.slow]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.stop()


def school(folder: Path, *voices: str) -> Path:
    """Return a folder of students' folders."""
    for voice in voices:
        (folder / voice).mkdir(parents=True)
        for take in (RECORDINGS / voice).glob("phrase-[1-5].mp3"):
            (folder / voice / take.name).symlink_to(take)
    return folder


def enroll(config: Path, folder: Path) -> None:
    assert main(["enroll", "--from", str(folder), "--config", str(config)]) == 0


def at_the_gate(path: Path, voice: str, times: int) -> Path:
    """Write somebody who says the phrase again and again."""
    spoken = read(RECORDINGS / voice / "phrase-6.mp3")
    sound = in_a_room(np.tile(np.concatenate([silence(0.7), spoken]), times))
    soundfile.write(path, sound, SAMPLE_RATE)
    return path


def verdicts(gate: Process) -> list[str]:
    return [each["verdict"] for each in gate.said if "verdict" in each]


def test_who_is_enrolled_at_a_desk_opens_another_gate_and_the_desk_is_told(
    site: Site, tmp_path: Path
) -> None:
    voices = sorted(each.name for each in RECORDINGS.iterdir() if each.is_dir())
    enroll(site.office, school(tmp_path / "school", *(each for each in voices if each != "bowen")))
    member = site.invite("gate")
    site.start_broker()
    site.desk.start()
    member.start()
    until(lambda: (tmp_path / "gate" / "gallery.calibration.json").exists(), 120)
    sound = at_the_gate(tmp_path / "day.wav", "bowen", 150)
    gate = site.process("gate", "run", "--play", str(sound))
    site.processes.append(gate)
    gate.start()
    until(lambda: verdicts(gate)[:2] == ["unknown", "unknown"], 120)
    enroll(site.office, school(tmp_path / "late", "bowen"))
    until(lambda: "open" in verdicts(gate), 120)
    opened = [each["student"] for each in gate.said if each.get("verdict") == "open"]
    assert set(opened) == {"bowen"}

    def told() -> bool:
        with closing(Store(fleet_store_path(tmp_path / "office" / "gallery.sqlite"))) as store:
            events = [each for each in store.events("gate") if each.get("verdict") == "open"]
        known = site.membership("office").pseudonym("bowen")
        return bool(events) and {each["student"] for each in events} == {known}

    until(told, 120)
    assert main(["students", "--remove", "bowen", "--config", str(site.office)]) == 0
    count = len(verdicts(gate))
    until(lambda: "unknown" in verdicts(gate)[count:], 120)
