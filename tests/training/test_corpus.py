"""Recordings become clips, once; whatever is wrong with a manifest is said in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.high_pass import HighPass
from kaimen_train import progress
from kaimen_train.data import corpus
from kaimen_train.data.corpus import (
    MANIFEST_PAGE,
    UNSEEN,
    Clips,
    Row,
    at_speed,
    cut,
    of_split,
    read_manifest,
    speech_of,
)
from tests.sounds import in_a_room, noise, pitch_of, silence, spoken, tone

HEADER = "path,corpus,split,speaker,text\n"

# Python 3.12 warns of every fork beside threads; numpy's own wait for work and hold no lock.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def row(file: Path, name: str = "words", speaker: str = "ann", text: str = "a") -> Row:
    return Row(file.name, file, name, "train", speaker, text)


def write(path: Path, samples: Samples) -> Path:
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    return path


def word(seconds: float = 0.6, pitch: float = 140.0) -> Samples:
    """A word with silence around it."""
    return in_a_room(silence(0.3), spoken(seconds, pitch), silence(0.4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where clips are kept."""
    return tmp_path / "kept" / "clips"


def test_a_manifest_is_read_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(
        HEADER + "b/word-07.flac,mandarin20,eval,F01,北京\nn.wav,noise,train,,\n", encoding="utf-8"
    )
    first, second = read_manifest(path)
    assert first == Row(
        "b/word-07.flac", tmp_path / "b/word-07.flac", "mandarin20", "eval", "F01", "北京"
    )
    assert (second.corpus, second.speaker, second.text) == ("noise", "", "")


def test_columns_may_come_in_any_order_and_among_others(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("text,seconds,speaker,split,corpus,path\nup,1.0,ann,train,commands,u.wav\n")
    (found,) = read_manifest(str(path))
    assert (found.path, found.text, found.speaker) == ("u.wav", "up", "ann")


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"path,corpus,split\na,b,train\n", "no column speaker, text"),
        (b"", "no column corpus, path, speaker, split, text"),
        (b"\xff\xfe\x00\x01", "cannot be read as a manifest"),
        (None, "cannot be read as a manifest"),
    ],
    ids=["columns", "empty", "not text", "missing"],
)
def test_a_manifest_that_is_none_is_refused_by_name(
    tmp_path: Path, content: bytes | None, hint: str
) -> None:
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=hint) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert MANIFEST_PAGE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read as a manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("name", "take"),
    [("word-07.flac", 7), ("F01-word-12.wav", 12), ("7.wav", 7), ("word.wav", 0), ("a-b.wav", 0)],
)
def test_the_take_is_the_number_at_the_end_of_the_name(name: str, take: int) -> None:
    assert row(Path("some-3", name)).take == take


def test_a_split_is_its_rows() -> None:
    rows = [Row("", Path(), "a", split, "", "") for split in ("train", "eval", "train")]
    assert of_split(rows, "train") == [rows[0], rows[2]]
    assert of_split(rows, "test") == []


@pytest.mark.parametrize("corpus", UNSEEN)
def test_a_corpus_that_is_unseen_is_never_of_the_train_split(tmp_path: Path, corpus: str) -> None:
    path = tmp_path / "manifest.csv"
    lines = ["path,corpus,split,speaker,text", f"a.wav,{corpus},train,s0,a", "b.wav,b,train,s1,a"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = read_manifest(path)
    assert [each.corpus for each in of_split(rows, "train")] == ["b"]
    assert [each.corpus for each in of_split(rows, "eval")] == [corpus]


def test_speech_is_trimmed_of_its_silence(tmp_path: Path) -> None:
    found = speech_of(write(tmp_path / "word.wav", word(0.6)))
    assert 0.5 <= len(found) / SAMPLE_RATE <= 0.75


def test_a_recording_in_which_nothing_is_heard_is_used_whole(tmp_path: Path) -> None:
    quiet = noise(1.0, level=-75)
    found = speech_of(write(tmp_path / "quiet.wav", quiet))
    np.testing.assert_array_equal(found, HighPass(SAMPLE_RATE)(quiet))


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_another_speed_changes_length_and_pitch(speed: float) -> None:
    found = at_speed(tone(440, 1.0), speed)
    assert found.dtype == np.float32
    assert len(found) == pytest.approx(SAMPLE_RATE / speed, abs=2)
    assert pitch_of(found) == pytest.approx(440 * speed, rel=0.01)


def test_clips_are_a_word_at_all_speeds(tmp_path: Path, folder: Path) -> None:
    file = write(tmp_path / "word.wav", word())
    clips = cut([row(file)], folder, workers=1)
    speeds = [float(label["speed"]) for label in clips.labels]
    assert speeds == [1.0, 0.9, 1.1, 0.8, 1.25]
    plain = len(speech_of(file))
    lengths = [len(clips[index]) for index in range(len(clips))]
    assert lengths == [pytest.approx(plain / speed, abs=2) for speed in speeds]


def test_a_clip_is_the_sound_and_says_what_it_is(tmp_path: Path, folder: Path) -> None:
    rows = [
        row(write(tmp_path / f"{name}.wav", word(pitch=pitch)), "commands", name, "up")
        for name, pitch in (("ann", 120), ("ben", 180))
    ]
    clips = cut(rows, folder, speeds=(1.0,), workers=1)
    assert len(clips) == 2
    for index, each in enumerate(rows):
        assert clips[index].dtype == np.float32
        np.testing.assert_allclose(clips[index], speech_of(each.file), atol=2 / 32768)
    assert clips.labels[1] == {
        "path": "ben.wav", "corpus": "commands", "speaker": "ben", "text": "up", "speed": 1.0,
    }  # fmt: skip


def test_running_speech_is_cut_into_its_longer_phrases(tmp_path: Path, folder: Path) -> None:
    parts = [silence(0.3), spoken(1.0), silence(0.6), spoken(0.4), silence(0.6), spoken(1.2)]
    file = write(tmp_path / "speech.wav", in_a_room(*parts, silence(0.5)))
    clips = cut([row(file)], folder, speeds=(1.0,), workers=1)
    lengths = [len(clips[index]) / SAMPLE_RATE for index in range(len(clips))]
    assert lengths == [pytest.approx(1.0, abs=0.15), pytest.approx(1.2, abs=0.15)]


def test_of_a_short_file_the_longest_phrase_is_kept(tmp_path: Path, folder: Path) -> None:
    sound = in_a_room(silence(0.2), spoken(0.25), silence(0.7), spoken(0.7), silence(0.5))
    clips = cut([row(write(tmp_path / "word.wav", sound))], folder, speeds=(1.0,), workers=1)
    assert len(clips) == 1
    assert len(clips[0]) / SAMPLE_RATE == pytest.approx(0.7, abs=0.15)


def test_noise_is_kept_whole_at_its_own_speed(tmp_path: Path, folder: Path) -> None:
    sound = noise(1.5, level=-20)
    clips = cut([row(write(tmp_path / "rain.wav", sound), "noise", "")], folder, workers=1)
    assert len(clips) == 1
    np.testing.assert_allclose(clips[0], HighPass(SAMPLE_RATE)(sound), atol=2 / 32768)


def test_damaged_and_silent_files_are_left_out(tmp_path: Path, folder: Path) -> None:
    good = write(tmp_path / "good.wav", word())
    text = tmp_path / "text.wav"
    text.write_text("芝麻开门", encoding="utf-8")
    (tmp_path / "empty.wav").touch()
    hushed = write(tmp_path / "hushed.wav", silence(1.0))
    files = [text, tmp_path / "empty.wav", tmp_path / "missing.wav", hushed, good]
    clips = cut([row(file) for file in files], folder, speeds=(1.0,), workers=1)
    assert [label["path"] for label in clips.labels] == ["good.wav"]
    np.testing.assert_allclose(clips[0], speech_of(good), atol=2 / 32768)


def test_clips_are_cut_once(tmp_path: Path, folder: Path) -> None:
    file = write(tmp_path / "word.wav", word())
    first = cut([row(file)], folder, workers=1)
    file.write_bytes(bytes(file.stat().st_size))  # could not be cut again
    again = cut([row(file)], folder, workers=1)
    assert again.labels == first.labels
    np.testing.assert_array_equal(again[2], first[2])


def test_a_recording_that_was_replaced_is_cut_anew(tmp_path: Path, folder: Path) -> None:
    file = write(tmp_path / "word.wav", word())
    first = cut([row(file)], folder, speeds=(1.0,), workers=1)
    write(file, word(1.2))
    assert len(cut([row(file)], folder, speeds=(1.0,), workers=1)[0]) != len(first[0])


def test_nothing_gives_no_clips(folder: Path) -> None:
    assert len(cut([], folder, workers=1)) == 0


def test_other_rows_and_other_speeds_are_cut_anew(tmp_path: Path, folder: Path) -> None:
    one = row(write(tmp_path / "one.wav", word()))
    two = row(write(tmp_path / "two.wav", word()))
    assert len(cut([one], folder, workers=1)) == 5
    assert len(cut([one, two], folder, workers=1)) == 10
    assert len(cut([one, two], folder, speeds=(1.0,), workers=1)) == 2


def test_a_cutting_that_was_killed_is_begun_anew(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    file = row(write(tmp_path / "word.wav", word()))
    with monkeypatch.context() as patched:
        patched.setattr(corpus, "track", killed)
        with pytest.raises(KeyboardInterrupt):
            cut([file], folder, workers=1)
    assert len(cut([file], folder, workers=1)) == 5


def test_some_of_the_clips_are_clips_over_the_same_samples() -> None:
    samples = np.arange(100, dtype=np.int16)
    ends = np.array([10, 40, 100])
    clips = Clips(samples, np.array([0, 10, 40]), ends, [{"text": str(n)} for n in range(3)])
    some = clips.only(np.array([2, 0]))
    assert len(some) == 2
    assert some.labels == [{"text": "2"}, {"text": "0"}]
    np.testing.assert_array_equal(some[0], clips[2])
    np.testing.assert_array_equal(some[1], np.arange(10, dtype=np.float32) / 32768)
    assert np.shares_memory(some.samples, samples)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal)
    monkeypatch.setattr(progress, "console", console)
    assert list(progress.track(iter("abc"), "cutting phrases", 3)) == ["a", "b", "c"]
    assert ("cutting phrases" in shown.getvalue()) is terminal
    assert bool(shown.getvalue()) is terminal
