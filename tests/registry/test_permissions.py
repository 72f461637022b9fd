"""Consents and PINs are written in one transaction, and the log is told of each."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from kaimen.errors import GalleryError
from kaimen.registry import pins
from kaimen.registry.consents import OPENING, Consent, purposes_of
from kaimen.registry.database import MEMORY
from kaimen.registry.permissions import give_consent, remove_pin, set_pin, withdraw_consent
from kaimen.registry.pseudonyms import pseudonym
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.registry.whole_student import CONSENT, LI, OTHER_PIN, PIN, POINTS, UNTIL

DAY = datetime.date(2026, 11, 28)
RENE, AS_KEPT = "Rene\u0301", "Ren\u00e9"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "LOG_N", 4)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with closing(Registry(MEMORY, Vault())) as opened:
        opened.enroll("Wang", POINTS[1], "encoder", group="8b", consent=UNTIL)
        opened.enroll(LI, POINTS[0], "encoder", group="7a")
        yield opened


def told(registry: Registry) -> list[dict[str, object]]:
    """Return what the log is to be told of Li, in order."""
    events = [event for _, event in registry.events.waiting(99)]
    name = pseudonym(registry.vault.log_key, LI)
    assert all(event.pop("student") == name for event in events)
    return events


def ledger(registry: Registry, name: str = LI) -> list[Consent]:
    found = registry.consents.of(registry.student(name).number)
    return [replace(each, number=0) for each in found]


def test_a_consent_is_in_the_ledger_on_the_row_and_in_the_log(registry: Registry) -> None:
    give_consent(registry, LI, CONSENT)
    give_consent(registry, LI, replace(CONSENT, until=None))
    assert ledger(registry) == [CONSENT, replace(CONSENT, until=None)]
    assert registry.student(LI).consent is None
    event = {"kind": "consent given", "by": "guardian", "purposes": ["doors", "lunch"]}
    event["given"] = "2026-09-01"
    assert told(registry) == [{**event, "until": "2029-07-31"}, {**event, "until": None}]
    give_consent(registry, LI, CONSENT)
    assert str(registry.student(LI).consent) == CONSENT.until
    assert registry.student("Wang").consent == UNTIL


def test_a_withdrawal_ends_all_that_stand_the_day_before(registry: Registry) -> None:
    number = registry.student(LI).number
    registry.consents.add(number, replace(CONSENT, withdrawn="2020-01-01"))
    for _ in range(2):
        registry.consents.add(number, CONSENT)
    assert not registry.consents.is_withdrawn(number)
    withdraw_consent(registry, LI, DAY)
    assert [each.withdrawn for each in ledger(registry)] == ["2020-01-01", *["2026-11-28"] * 2]
    assert registry.student(LI).consent == datetime.date(2026, 11, 27)
    assert not registry.student(LI).consents(DAY)
    assert registry.consents.is_withdrawn(number)
    assert told(registry) == [{"kind": "consent withdrawn"}]
    registry.consents.add(number, CONSENT)
    assert not registry.consents.is_withdrawn(number)
    assert registry.consents.withdraw(number, DAY) == 1


def test_a_consent_of_before_the_ledger_is_written_down_withdrawn(registry: Registry) -> None:
    assert not registry.consents.is_withdrawn(registry.student(LI).number)
    withdraw_consent(registry, LI, DAY)
    given = registry.student(LI).enrolled[:10]
    assert ledger(registry) == [Consent("", "", (OPENING,), given, None, "2026-11-28")]
    assert registry.student(LI).consent == datetime.date(2026, 11, 27)
    assert ledger(registry, "Wang")[0].withdrawn is None


def test_a_consent_without_a_purpose_is_for_the_doors() -> None:
    assert purposes_of([]) == (OPENING,)
    assert purposes_of(["lunch", "doors"]) == ("lunch", "doors")


def test_who_is_new_enters_by_pin_without_a_voice(registry: Registry) -> None:
    registry.list_erased(registry.erased())
    with pytest.raises(GalleryError, match=f"{AS_KEPT} is not enrolled; with --new"):
        set_pin(registry, RENE, PIN)
    assert len(registry) == 2
    set_pin(registry, RENE, PIN, group=RENE, new=True)
    student = registry.student(AS_KEPT)
    assert (student.name, student.group, student.encoder, student.recordings) == (
        AS_KEPT, AS_KEPT, "", 0,
    )  # fmt: skip
    assert student.consent is None
    assert registry.pins.fits(student.number, PIN)
    assert (len(registry), registry.with_voice) == (3, 2)
    roll = registry.roll()
    assert (roll.changed, roll.complete) == ([], True)
    ((_, event),) = registry.events.waiting(9)
    assert event == {"kind": "pin set", "student": pseudonym(registry.vault.log_key, AS_KEPT)}
    set_pin(registry, "a", OTHER_PIN, new=True)
    assert registry.student("a").group == ""
    when = datetime.datetime.fromisoformat(registry.student("a").enrolled)
    assert when.utcoffset() == datetime.timedelta(0) and not when.microsecond


def test_who_is_new_is_erased_no_more(registry: Registry) -> None:
    registry.remove(LI)
    assert registry.erased()
    set_pin(registry, LI, PIN, new=True)
    assert registry.erased() == set()


def test_a_pin_of_somebody_enrolled_leaves_the_rest_as_it_was(registry: Registry) -> None:
    before = registry.student(LI)
    for pin in (PIN, OTHER_PIN):
        set_pin(registry, LI, pin, group="9", new=True)
    assert registry.student(LI) == before
    assert registry.pins.fits(before.number, OTHER_PIN)
    assert not registry.pins.fits(before.number, PIN)
    assert registry.pins.everybody() == {before.number}
    remove_pin(registry, LI)
    assert not registry.pins.has(before.number) and registry.pins.everybody() == set()
    assert [each["kind"] for each in told(registry)] == ["pin set", "pin set", "pin removed"]


def test_a_pin_is_not_taken_from_whom_it_is_all_they_have(registry: Registry) -> None:
    with pytest.raises(GalleryError, match=f"{LI} has no PIN"):
        remove_pin(registry, LI)
    set_pin(registry, "new", PIN, new=True)
    with pytest.raises(GalleryError, match="'kaimen erase new' ends it all"):
        remove_pin(registry, "new")
    assert registry.pins.has(registry.student("new").number)


@pytest.mark.parametrize(
    "act",
    [
        lambda registry: give_consent(registry, LI, CONSENT),
        lambda registry: withdraw_consent(registry, LI, DAY),
        lambda registry: set_pin(registry, LI, OTHER_PIN),
        lambda registry: set_pin(registry, "new", PIN, new=True),
        lambda registry: remove_pin(registry, LI),
        lambda registry: registry.remove_voice(LI),
        lambda registry: registry.describe(LI, group="9", consent=UNTIL),
    ],
)
def test_what_the_log_cannot_be_told_is_not_done(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, act: Callable[[Registry], None]
) -> None:
    registry.pins.set(registry.student(LI).number, PIN)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = [*registry.database.read("SELECT * FROM vault"), registry.copies.of(LI)]
    monkeypatch.setattr(registry.events, "note", full)
    with pytest.raises(OSError, match="No space"):
        act(registry)
    assert [*registry.database.read("SELECT * FROM vault"), registry.copies.of(LI)] == before
    assert registry.names() == {LI, "Wang"}


# What is left without a voice


def test_who_loses_the_voice_keeps_group_consent_and_pin(registry: Registry) -> None:
    set_pin(registry, LI, PIN)
    give_consent(registry, LI, CONSENT)
    assert registry.grown.take_in(LI, POINTS[2, 0], "encoder", datetime.datetime.now(datetime.UTC))
    registry.remove_voice(LI)
    student = registry.student(LI)
    assert (student.group, str(student.consent), student.encoder, student.recordings) == (
        "7a", CONSENT.until, "", 0,
    )  # fmt: skip
    assert registry.pins.fits(student.number, PIN) and ledger(registry) == [CONSENT]
    assert registry.grown.listed() == [] and registry.recordings.listed(LI) == []
    assert registry.student("Wang").recordings == 3
    assert (len(registry), registry.with_voice) == (2, 1)
    assert registry.roll().complete and told(registry)[-1] == {"kind": "voice erased"}
    registry.enroll(LI, POINTS[3], "another")
    assert registry.student(LI).encoder == "another" and registry.student(LI).group == "7a"


def test_without_a_name_that_is_known_nothing_is_done(registry: Registry) -> None:
    for act in (
        lambda: give_consent(registry, "Zhao", CONSENT),
        lambda: withdraw_consent(registry, "Zhao", DAY),
        lambda: remove_pin(registry, "Zhao"),
        lambda: registry.remove_voice("Zhao"),
        lambda: registry.remove_recordings("Zhao", []),
        lambda: registry.describe("Zhao", group="9"),
    ):
        with pytest.raises(GalleryError, match="Zhao is not enrolled"):
            act()
    assert registry.knows(LI) and not registry.knows("Zhao") and not registry.events.waiting(9)


def test_recordings_are_removed_all_or_none_and_never_the_last(registry: Registry) -> None:
    registry.enroll(LI, POINTS[2, :1], "encoder", word="北京")
    first, second, third, word = (each.number for each in registry.recordings.listed(LI))
    (wangs, *_) = (each.number for each in registry.recordings.listed("Wang"))
    with pytest.raises(GalleryError, match=rf"has no recording {wangs};"):
        registry.remove_recordings(LI, [first, 99, wangs])
    with pytest.raises(GalleryError, match="left with no recording"):
        registry.remove_recordings(LI, [first, second, third])
    assert len(registry.recordings.listed(LI)) == 4
    registry.remove_recordings(LI, [second, word, second])
    assert [each.number for each in registry.recordings.listed(LI)] == [first, third]
    assert registry.student("Wang").recordings == 3 and registry.roll().complete


# The ledger


@pytest.mark.parametrize(
    ("last", "guardian", "until", "is_by"),
    [
        ({}, "", UNTIL, True),
        ({}, "Wu", UNTIL, True),
        ({}, "Li Na", UNTIL, False),
        ({}, "Wu", None, False),
        ({"until": None}, "Wu", None, True),
        ({"until": None}, "", UNTIL, False),
        ({"withdrawn": "2026-11-28"}, "Wu", UNTIL, False),
    ],
)
def test_the_latest_entry_says_who_consented_until_when(
    registry: Registry, last: dict, guardian: str, until: datetime.date | None, is_by: bool
) -> None:
    number = registry.student(LI).number
    assert not registry.consents.is_by(number, "", None)
    wus = Consent("guardian", "Wu", (OPENING,), "2026-09-01", UNTIL.isoformat())
    registry.consents.add(number, CONSENT)
    assert not registry.consents.is_by(number, guardian, until)
    registry.consents.add(number, replace(wus, **last))
    assert registry.consents.is_by(number, guardian, until) == is_by


def test_a_consent_comes_into_the_ledger_with_whose_word_it_is(registry: Registry) -> None:
    today = datetime.date.today().isoformat()
    given = Consent("guardian", "Wu", (OPENING,), today, UNTIL.isoformat())
    registry.enroll(LI, POINTS[0], "encoder", consent=UNTIL, guardian="Wu")
    assert ledger(registry) == [given] and told(registry) == []  # no news for the log
    registry.describe(LI, consent=DAY, guardian="Li Na")
    registry.describe(LI, until_withdrawn=True)
    registry.describe(LI, group="9c")
    assert ledger(registry)[1:] == [
        replace(given, guardian="Li Na", until=DAY.isoformat()),
        replace(given, by="", guardian="", until=None),
    ]
    assert registry.student(LI).consent is None and registry.student(LI).group == "9c"
    assert [(each["by"], each["until"]) for each in told(registry)] == [
        ("guardian", DAY.isoformat()), ("", None),
    ]  # fmt: skip


def test_an_entry_of_a_newer_kaimen_is_said_and_one_that_was_moved(registry: Registry) -> None:
    number = registry.student(LI).number
    registry.consents.add(number, CONSENT)
    ((entry,),) = registry.database.read("SELECT number FROM consents WHERE student = ?", number)
    for content in (b"[]", b"no json", b'{"purposes": [], "new": 1}', b"{}"):
        sealed = registry.vault.seal(content, f"consent {entry} of student {number}")
        registry.database.read("UPDATE consents SET sealed = ? WHERE number = ?", sealed, entry)
        with pytest.raises(GalleryError, match=f"consent {entry}: written by a newer Kaimen"):
            registry.consents.of(number)
    for change in ("sealed = 'text'", f"student = {registry.student('Wang').number}"):
        registry.database.read(f"UPDATE consents SET {change} WHERE number = ?", entry)
        ((owner,),) = registry.database.read("SELECT student FROM consents WHERE number = ?", entry)
        with pytest.raises(GalleryError, match=f"consent {entry} of student {owner}: changed"):
            registry.consents.of(int(str(owner)))


def test_a_ledger_of_another_registry_takes_the_place_of_ones_own(registry: Registry) -> None:
    number = registry.student(LI).number
    registry.consents.add(number, CONSENT)
    others = (replace(CONSENT, guardian="Wu"), replace(CONSENT, withdrawn="2026-11-28"))
    registry.consents.write_all(number, others)
    assert ledger(registry) == list(others) and len(ledger(registry, "Wang")) == 1
