"""The demo's people are chosen by a hash, and what they say is joined and cut."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import soundfile

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import main_phrase
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import demo_people
from kaimen_train.evaluation.demo_people import Class, everybody
from tests.sounds import in_a_room, noise, silence, spoken

SMALL = Class(
    corpus="words",
    phrase=("one", "two"),
    others=(("two", "three"), ("one", "three")),
    takes=3,
    students=2,
    strangers=1,
)
AGES = "speaker,age\nold,30\nyoung,9\n"


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Three who say each word three times, one who says it once, two who read sentences."""
    monkeypatch.setattr(demo_people, "CLASSES", (SMALL,))
    monkeypatch.setattr(demo_people, "CHILDREN", 1)
    monkeypatch.setattr(demo_people, "ADULTS", 1)
    found = []

    def say(corpus: str, speaker: str, text: str, take: int, seconds: float) -> None:
        file = tmp_path / f"{speaker}-{text}-{take}.wav"
        sound = in_a_room(silence(0.5), spoken(seconds), silence(0.5))
        soundfile.write(file, sound, SAMPLE_RATE, subtype="FLOAT")
        found.append(Row(file.name, file, corpus, "eval", speaker, text))

    for speaker, takes in {"a": 3, "b": 3, "c": 3, "d": 1}.items():
        for take in range(1, takes + 1):
            for text in ("one", "two", "three"):
                say("words", speaker, text, take, 0.3 + 0.1 * take)
    for speaker in ("old", "young"):
        for text in ("x", "y", "z"):
            say(demo_people.PASSERS_BY, speaker, text, 1, 0.8)
    return found


def test_everybody_has_a_number_and_files_that_say_what_they_hold(rows: list[Row]) -> None:
    found = {folder: sorted(said) for folder, said in everybody(rows, AGES)}
    student = ["other-one-three", "other-two-three", "phrase-1", "phrase-2", "phrase-3"]
    assert found == {
        "one-two/s01": student,
        "one-two/s02": student,
        "one-two/s03": ["phrase-1"],
        "one-two/s04": ["other-sentence-1", "other-sentence-2"],
        "one-two/s05": ["other-sentence-1", "other-sentence-2"],
    }


def test_a_phrase_is_both_words_with_a_little_room_around_them(rows: list[Row]) -> None:
    said = next(everybody(rows, AGES))[1]["phrase-1"]
    phrase = main_phrase(said)
    # Two words of 0.4 s and the pause between them; the margins of the recording's own room.
    assert phrase.seconds == pytest.approx(0.85, abs=0.15)
    assert 0.1 <= phrase.start / SAMPLE_RATE <= 0.2
    assert 0.1 <= (len(said) - phrase.end) / SAMPLE_RATE <= 0.2


def test_the_choice_does_not_depend_on_the_order_of_the_manifest(rows: list[Row]) -> None:
    shuffled = random.Random(0).sample(rows, len(rows))
    for (folder, said), (same, again) in zip(
        everybody(rows, AGES), everybody(shuffled, AGES), strict=True
    ):
        assert folder == same and said.keys() == again.keys()
        assert all((said[name] == again[name]).all() for name in said)


def test_a_take_in_which_nobody_is_heard_is_left_out(rows: list[Row]) -> None:
    for row in rows:
        if row.speaker in "ab" and row.text == "one" and row.take == 2:
            soundfile.write(row.file, noise(1.0, -60.0), SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(SettingsError, match="too few speakers of words"):
        list(everybody(rows, AGES))
