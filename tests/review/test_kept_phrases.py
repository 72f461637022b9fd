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
from kaimen.registry.kept_phrases import KeptPhrases, Mark, kept_phrases_path
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
    phrases = KeptPhrases(kept_phrases_path(path), vault)
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


def test_the_latest_comes_first_and_one_is_found_by_its_number(
    phrases: KeptPhrases, clock: Clock
) -> None:
    numbers = []
    for day, name in enumerate(("Rene\u0301", "b", "a")):
        numbers.append(phrases.keep(SOUND[day:], {"day": day}, {name, "a"}))
        clock.on(1)
    assert [each.number for each in phrases.phrases()] == numbers[::-1]
    assert [each.students for each in phrases.phrases()] == [("a",), ("a", "b"), ("Ren\u00e9", "a")]
    first = phrases.phrase(numbers[0])
    assert (first.told, first.at) == ({"day": 0}, NOW)
    assert phrases.sound(numbers[1]) == SOUND[1:]
    assert phrases.erase_all() == 3
    assert phrases.numbers() == [] == list(phrases.phrases()) and phrases.erase_all() == 0


def test_what_is_no_phrase_is_left_alone(phrases: KeptPhrases, tmp_path: Path) -> None:
    assert phrases.numbers() == phrases.marks() == [] and phrases.expire(7) == 0
    number = phrases.keep(SOUND, {}, {"a"})
    folder = tmp_path / "gallery.review"
    others = [folder / f"{number}.flac", folder / "notes.phrase", folder / "notes.mark"]
    for path in others:
        path.write_bytes(b"something else")
    assert phrases.numbers() == [number] and phrases.marks() == []
    assert (phrases.erase_all(), phrases.expire(0)) == (1, 0)
    assert all(path.exists() for path in others)


def test_what_is_sealed_of_a_student_is_what_would_be_erased(
    phrases: KeptPhrases, tmp_path: Path, clock: Clock
) -> None:
    own = phrases.keep(SOUND, {}, {"Rene\u0301", "a"})
    clock.on(1)
    others = phrases.keep(SOUND, {}, {"a"})
    folder = tmp_path / "gallery.review"
    assert phrases.sealed_of("Ren\u00e9") == [(folder / f"{own}.phrase").read_bytes()]
    assert len(phrases.sealed_of("a")) == 2
    stranger = KeptPhrases(folder, Vault(), now=clock).keep(SOUND, {}, ())
    assert len(phrases.sealed_of("nobody")) == 1  # nobody can tell whose it is
    phrases.forget("Rene\u0301")
    assert phrases.numbers() == [others] and stranger != others


def test_under_another_key_go_phrases_and_marks_that_open(
    phrases: KeptPhrases, tmp_path: Path, clock: Clock
) -> None:
    number = phrases.keep(SOUND, {"verdict": "open"}, {"a"})
    mark = Mark(number, "doubtful", True)
    phrases.mark(mark)
    clock.on(1)
    stranger = KeptPhrases(tmp_path / "gallery.review", Vault(), now=clock)
    stranger.mark(Mark(stranger.keep(SOUND, {}, ()), "refused", False))
    to = KeptPhrases(tmp_path / "new", Vault(), now=clock)
    phrases.seal_anew(to)
    (kept,) = to.phrases()
    assert (kept.number, kept.told, kept.students) == (number, {"verdict": "open"}, ("a",))
    assert (to.sound(number), to.marks(), to.numbers()) == (SOUND, [mark], [number])
    assert (mark.at, phrases.marks(), len(phrases.numbers())) == (NOW, [mark], 2)
    written = [path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()]
    assert written == [0o600] * 2


def test_a_phrase_and_a_mark_open_only_in_their_places(
    phrases: KeptPhrases, tmp_path: Path, clock: Clock
) -> None:
    first = phrases.keep(SOUND, {}, ())
    clock.on(1)
    second = phrases.keep(SOUND, {}, ())
    phrases.mark(Mark(first, "doubtful", True))
    folder = tmp_path / "gallery.review"
    (folder / f"{first}.phrase").rename(folder / f"{second}.phrase")
    (folder / f"{first}.mark").rename(folder / f"{second}.mark")
    with pytest.raises(GalleryError, match=f"kept phrase {second}: changed"):
        phrases.sound(second)
    assert list(phrases.phrases()) == phrases.marks() == []


@pytest.mark.parametrize("days", [1, 7, 30])
def test_phrases_are_kept_for_as_many_days_as_are_set(
    phrases: KeptPhrases, clock: Clock, days: int
) -> None:
    number = phrases.keep(SOUND, {}, ())
    second = 1 / 86400
    clock.on(days - second)
    assert phrases.expire(days) == 0 and phrases.numbers() == [number]
    clock.on(second)
    assert phrases.expire(days) == 1
    ahead = phrases.keep(SOUND, {}, ())
    clock.on(-1 + second)  # the clock ran ahead
    assert phrases.expire(days) == 0 and phrases.numbers() == [ahead]
    clock.on(-second)
    assert phrases.expire(days) == 1


def test_a_clock_that_was_never_set_erases_only_what_nobody_wants_kept(
    phrases: KeptPhrases, clock: Clock
) -> None:
    for days, erased in ((0, 2), (1, 0)):
        clock.now = NOW
        for _ in range(2):
            phrases.keep(SOUND, {}, ())
        clock.now = kept_phrases.NEVER_SET - datetime.timedelta(seconds=1)
        assert phrases.expire(days) == erased
    clock.now = kept_phrases.NEVER_SET
    assert phrases.expire(1) == 2


def test_marks_are_kept_for_a_year(phrases: KeptPhrases, clock: Clock) -> None:
    number = phrases.keep(SOUND, {}, ())
    later = f"20261101T060000{number[15:]}"
    for each in (later, number):
        phrases.mark(Mark(each, "doubtful", True))
    phrases.mark(Mark("20269999T999999-abcdef", "doubtful", True))  # no day at all
    assert [each.number for each in phrases.marks()][:2] == [number, later]
    clock.on(365)
    assert phrases.expire(7) == 1 and [each.number for each in phrases.marks()] == [number, later]
    clock.on(1 / 86400)
    assert phrases.expire(7) == 0 and [each.number for each in phrases.marks()] == [later]


@pytest.mark.parametrize("what", ["phrase", "mark"])
def test_what_cannot_be_read_is_said_and_not_passed_over(
    phrases: KeptPhrases, tmp_path: Path, what: str
) -> None:
    number = "20260901T060000-abcdef"
    (tmp_path / "gallery.review" / f"{number}.{what}").mkdir(parents=True)
    to = KeptPhrases(tmp_path / "new", Vault())
    with pytest.raises(StorageError, match=rf"{number}\.{what}: cannot be read"):
        phrases.seal_anew(to)
    assert phrases.marks() == []
    if what == "phrase":
        for ask in (phrases.sound, phrases.phrase, phrases.sealed_of):
            with pytest.raises(StorageError, match=rf"{number}\.phrase: cannot be read"):
                ask(number)
        with pytest.raises(StorageError, match=rf"{number}\.phrase: cannot be written"):
            phrases.erase(number)


def test_a_mark_of_no_day_is_older_than_any() -> None:
    assert Mark("nonsense", "doubtful", True).at == datetime.datetime.min.replace(
        tzinfo=datetime.UTC
    )
