"""What is kept of doubtful phrases: sealed, for a while, and gone with its student."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.registry import kept_phrases
from kaimen.registry.kept_phrases import KeptPhrases, Mark, kept_phrases_of
from kaimen.registry.vault import Vault
from tests.gallery.points import school

NOW = datetime.datetime(2026, 9, 1, 6, tzinfo=datetime.UTC)
SOUND = b"fLaC and what was said"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime.datetime:
        return self.now

    def on(self, days: float) -> None:
        self.now += datetime.timedelta(days=days)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def phrases(tmp_path: Path, vault: Vault, clock: Clock) -> KeptPhrases:
    return KeptPhrases(tmp_path / "gallery.review", vault, now=clock)


def test_a_phrase_is_kept_with_its_sound_and_in_no_plain_byte(
    phrases: KeptPhrases, tmp_path: Path
) -> None:
    number = phrases.keep(SOUND, {"verdict": "unknown"}, {"s0001"})
    (kept,) = phrases.phrases()
    assert (kept.number, kept.told, kept.students) == (number, {"verdict": "unknown"}, ("s0001",))
    assert kept.at == NOW
    assert phrases.sound(number) == SOUND
    for path in tmp_path.rglob("*.phrase"):
        written = path.read_bytes()
        assert not [word for word in (b"s0001", b"unknown", b"said") if word in written]
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_another_key_opens_none_and_erases_all_the_same(
    phrases: KeptPhrases, tmp_path: Path, clock: Clock
) -> None:
    number = phrases.keep(SOUND, {}, ())
    other = KeptPhrases(tmp_path / "gallery.review", Vault(), now=clock)
    assert list(other.phrases()) == []
    with pytest.raises(GalleryError):
        other.sound(number)
    clock.on(8)
    assert other.expire(7) == 1


def test_a_phrase_is_erased_when_its_time_is_over(phrases: KeptPhrases, clock: Clock) -> None:
    first = phrases.keep(SOUND, {}, ())
    clock.on(3)
    second = phrases.keep(SOUND, {}, ())
    assert phrases.expire(7) == 0
    clock.on(4.5)
    assert phrases.expire(7) == 1
    assert phrases.numbers() == [second]
    with pytest.raises(GalleryError, match="no such phrase is kept"):
        phrases.sound(first)


def test_where_nothing_is_to_be_kept_everything_is_erased(phrases: KeptPhrases) -> None:
    phrases.keep(SOUND, {}, ())
    assert phrases.expire(0) == 1
    assert phrases.numbers() == []


def test_a_clock_that_was_never_set_erases_nothing(phrases: KeptPhrases, clock: Clock) -> None:
    phrases.keep(SOUND, {}, ())
    clock.now = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert phrases.expire(7) == 0
    clock.now = NOW - datetime.timedelta(days=30)  # it ran ahead when the phrase was kept
    assert phrases.expire(7) == 1


def test_the_oldest_goes_where_there_are_too_many(
    phrases: KeptPhrases, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_phrases, "MOST", 3)
    numbers = []
    for _ in range(5):
        numbers.append(phrases.keep(SOUND, {}, ()))
        clock.on(0.01)
    assert phrases.numbers() == numbers[2:]


def test_a_mark_says_nothing_of_anybody_and_outlives_its_phrase(
    phrases: KeptPhrases, clock: Clock
) -> None:
    number = phrases.keep(SOUND, {}, {"s0001"})
    phrases.mark(Mark(number, "doubtful", True))
    phrases.mark(Mark(number, "doubtful", False))  # on second thoughts
    phrases.erase(number)
    assert phrases.marks() == [Mark(number, "doubtful", False)]
    clock.on(364)
    phrases.expire(7)
    assert phrases.marks()
    clock.on(2)
    phrases.expire(7)
    assert phrases.marks() == []


def test_with_a_student_goes_every_phrase_that_may_be_theirs(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "gallery.sqlite"
    gallery = Gallery.open(path, vault, "encoder", 16)
    for number, own in enumerate(school(3, 2, 16)):
        gallery.enroll(f"s{number}", list(own))
    phrases = KeptPhrases(kept_phrases_of(path), vault)
    phrases.keep(SOUND, {}, {"s0", "s1"})
    other = phrases.keep(SOUND, {}, {"s1", "s2"})
    gallery.remove("s0")
    gallery.close()
    assert phrases.numbers() == [other]


@pytest.mark.parametrize("number", ["../key", "", "20260901T060000-abcdef", "x" * 300, "\0"])
def test_a_number_that_is_none_leads_to_no_file(phrases: KeptPhrases, number: str) -> None:
    with pytest.raises(GalleryError, match="no such phrase"):
        phrases.sound(number)
    with pytest.raises(GalleryError, match="no such phrase"):
        phrases.erase(number)


def test_a_disk_that_cannot_be_written_is_one_sentence(tmp_path: Path, vault: Vault) -> None:
    (tmp_path / "gallery.review").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        KeptPhrases(tmp_path / "gallery.review", vault).keep(SOUND, {}, ())


@given(st.binary(max_size=200), st.sets(st.text(max_size=8), max_size=3))
def test_any_sound_and_any_names_come_back(sound: bytes, students: set[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        phrases = KeptPhrases(Path(folder) / "r", Vault())
        assert phrases.sound(phrases.keep(sound, {}, students)) == sound
