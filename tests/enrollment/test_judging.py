"""What a student's recordings are judged to be, each refusal for its one reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import (
    LARGEST,
    Judge,
    Judged,
    Recorded,
    Refusal,
    Task,
    contents_of,
    decode,
    rules,
    source_of,
)
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import quality
from kaimen.sound.recording import read
from kaimen.voice.encoder import Encoder
from tests.enrollment.pretended import JUDGE, recording
from tests.sounds import noise

VOICE = RECORDINGS / "anning" / "phrase-1.mp3"


def judged(files: list[Path], judge: Judge = JUDGE, **named: frozenset[str]) -> Judged:
    return judge(Task(0, Entry("s", tuple(files)), **named))


def of_voices(folder: Path, *voices: int | None) -> list[Path]:
    return [recording(folder / f"{take}.mp3", voice, take) for take, voice in enumerate(voices)]


def kinds(found: Judged) -> dict[str, str]:
    return {Path(each.path).name: each.kind for each in found.refused}


def used(found: Judged) -> list[str]:
    return [Path(each.path).name for each in found.usable]


def test_what_can_be_used_is_used_and_the_rest_is_refused_by_name(tmp_path: Path) -> None:
    files = [*of_voices(tmp_path, 1, None, 1), tmp_path / "nowhere.mp3"]
    found = judged(files)
    assert used(found) == ["0.mp3", "2.mp3"]
    assert kinds(found) == {"1.mp3": "NoSpeech", "nowhere.mp3": "UnreadableRecording"}
    assert [each.source for each in found.usable] == [
        source_of(files[at].read_bytes()) for at in (0, 2)
    ]


def test_a_student_without_a_file_is_refused() -> None:
    (refusal,) = judged([]).refused
    assert refusal.path == "s" and "add recordings" in refusal.reason


def test_the_same_file_once_more_is_no_second_recording(tmp_path: Path) -> None:
    files = of_voices(tmp_path, 1, 1)
    (tmp_path / "copy.mp3").write_bytes(files[0].read_bytes())
    found = judged([*files, tmp_path / "copy.mp3"])
    assert used(found) == ["0.mp3", "1.mp3"] and kinds(found) == {"copy.mp3": "Repeated"}


@pytest.mark.parametrize("voices", [(1, 1, 2), (2, 1, 1, 1, 1), (1, 1, 2, 3, 1)])
def test_a_recording_unlike_the_others_is_refused(voices: tuple[int, ...], tmp_path: Path) -> None:
    found = judged(of_voices(tmp_path, *voices))
    others = {f"{at}.mp3" for at, voice in enumerate(voices) if voice != 1}
    assert kinds(found) == dict.fromkeys(others, "NotLikeTheOthers")
    assert not others.intersection(used(found))


def test_a_recording_whose_point_is_no_number_is_refused_alone(tmp_path: Path) -> None:
    files = of_voices(tmp_path, 1, 1, 1, 1, 1)
    broken = source_of(files[2].read_bytes())

    def hear(contents: bytes) -> Recorded:
        heard = JUDGE.hear(contents)
        number = np.float32(np.nan if source_of(contents) == broken else 1)
        return Recorded(heard.voiceprint * number, heard.evidence)

    found = judged(files, Judge(hear, JUDGE.strangers))
    assert kinds(found) == {"2.mp3": "NotLikeTheOthers"}
    assert len(used(found)) == 4


def test_of_two_recordings_none_can_be_told_to_be_unlike(tmp_path: Path) -> None:
    assert used(judged(of_voices(tmp_path, 1, 2))) == ["0.mp3", "1.mp3"]


def test_recordings_of_everybody_enroll_nobody(tmp_path: Path) -> None:
    found = judged(of_voices(tmp_path, 1, 2, 3, 4, 5))
    assert used(found) == [] and set(kinds(found).values()) == {"NotLikeTheOthers"}


def test_files_that_were_all_judged_are_not_judged_again(tmp_path: Path) -> None:
    files = of_voices(tmp_path, 1, 1, None)
    a, b, c = (source_of(file.read_bytes()) for file in files)

    def never(contents: bytes) -> np.ndarray:
        raise AssertionError("judged")

    again = Judge(never, JUDGE.strangers)
    known = {"enrolled": frozenset((a, b)), "refused": frozenset((c,))}
    found = judged(files, again, **known)
    assert found.unchanged == dict(zip((a, b, c), map(str, files), strict=True))
    # Who is enrolled from other files, and given nothing but refused ones, stays as they were.
    assert judged(files[2:], again, **known).unchanged == {c: str(files[2])}
    # A file that is new, or not there any more, is a reason to judge them.
    for changed in (files[:1], [files[0], files[2]], [*files, recording(tmp_path / "9.mp3", 1, 9)]):
        assert judged(changed, JUDGE, **known).unchanged is None


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    files = of_voices(tmp_path, 1, 1)
    sources = frozenset(source_of(file.read_bytes()) for file in files)
    missing = [*files, tmp_path / "nowhere.mp3"]
    assert judged(missing, enrolled=sources).unchanged is None


def test_contents_that_travelled_are_judged_and_no_file_is_looked_for(tmp_path: Path) -> None:
    contents = recording(tmp_path / "0.mp3", 1).read_bytes()
    here = recording(tmp_path / "1.mp3", 1)
    forbidden = Refusal(str(here), None, "UnreadableRecording", "no permission to read it")
    entry = Entry("s", (tmp_path / "elsewhere.mp3", here))
    found = JUDGE(Task(0, entry, contents=(contents, forbidden)))
    assert used(found) == ["elsewhere.mp3"]
    assert found.refused == (forbidden,)


def test_what_is_decoded_from_contents_is_what_is_read_from_the_file() -> None:
    assert np.array_equal(decode(VOICE.read_bytes()), read(VOICE))


def test_a_file_too_large_for_a_phrase_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    refusal = contents_of(path)
    assert isinstance(refusal, Refusal) and refusal.kind == "RecordingTooLong"


def test_other_thresholds_are_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rules("encoder")
    assert rules("another") != before == rules("encoder")
    monkeypatch.setattr(quality, "LEAST_VOICED", quality.LEAST_VOICED + 0.01)
    assert rules("encoder") != before


@pytest.fixture(scope="module")
def shipped() -> Judge:
    return Judge.by(Encoder())


def test_a_phrase_becomes_the_voiceprint_that_the_gate_would_make(shipped: Judge) -> None:
    (usable,) = judged([VOICE], shipped).usable
    assert np.linalg.norm(usable.recorded.voiceprint) == pytest.approx(1, abs=1e-5)
    assert usable.recorded.voiceprint.shape == (Encoder().card.dimension,)


def clipped(samples: np.ndarray) -> np.ndarray:
    return np.clip(20 * samples / np.abs(samples).max(), -1, 1)


def noisy(samples: np.ndarray) -> np.ndarray:
    around = np.pad(samples, 16_000)
    level = 20 * np.log10(np.std(samples)) - 13
    return 0.5 * (around + noise(len(around) / 16_000, float(level)))


def short(samples: np.ndarray) -> np.ndarray:
    piece = np.pad(samples[5_440:7_840], 8_000)  # of the first syllable
    return piece + noise(len(piece) / 16_000, -70.0)


def halves(samples: np.ndarray) -> np.ndarray:
    """Twice the phrase, too far apart to be one."""
    around = np.pad(samples, 8_000)
    return np.concatenate((around, around)) + noise(2 * len(around) / 16_000, -75.0)


BAD = {
    "SeveralPhrases": halves,
    "NoSpeech": lambda samples: 0 * samples,
    "BrokenSamples": lambda samples: samples * np.where(np.arange(len(samples)) == 9, np.nan, 1),
    "RecordingTooLong": lambda samples: np.tile(samples, 40),
    "Clipped": clipped,
    "TooNoisy": noisy,
    "TooShort": short,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_recording_is_refused_for_what_is_wrong_with_it(
    kind: str, shipped: Judge, tmp_path: Path
) -> None:
    path = tmp_path / "bad.wav"
    soundfile.write(path, BAD[kind](read(VOICE)), 16_000, subtype="FLOAT")
    (refusal,) = judged([path], shipped).refused
    assert refusal.kind == kind, refusal.reason
    assert refusal.source == source_of(path.read_bytes())
    assert "\n" not in refusal.reason and str(path) not in refusal.reason
