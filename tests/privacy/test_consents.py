"""Who consented is written down, and a consent that ends takes the voice with it."""

from __future__ import annotations

import datetime
import json
from contextlib import closing

from kaimen.audit import export
from kaimen.registry.permissions import set_pin
from kaimen.registry.registry import Registry
from tests.privacy.school import GONE, OTHERS, School, points


def days(count: int) -> str:
    """A day so many from now: a run may go on past midnight."""
    return str(datetime.date.today() + datetime.timedelta(days=count))


def kinds(school: School) -> list[str]:
    with school.installation() as installation:
        return [each["kind"] for each in export(installation.log_folder, installation.log_key)]


def recordings(registry: Registry, name: str) -> int:
    return registry.student(name).recordings


def test_the_ledger_says_who_gave_a_consent_for_what_and_until_when(school: School) -> None:
    given = ["--set-consent", days(300), "--guardian", "李娜", "--given", "2026-09-01"]
    assert school("students", GONE, *given)[0] == 0
    assert school("students", GONE, "--set-consent", "none", "--by-student")[0] == 0
    (first, second) = school("students", GONE, "--consents")[1]
    assert (first["by"], first["guardian"], first["given"]) == ("guardian", "李娜", "2026-09-01")
    assert (first["until"], first["withdrawn"]) == (days(300), None)
    assert first["purposes"] == ["opening this school's doors"]
    assert (second["by"], second["guardian"], second["until"]) == ("student", None, None)
    assert "李娜".encode() not in school.everything()
    assert kinds(school) == ["consent given"] * 2
    assert "by the guardian" in school("log", "--student", GONE)[1][0]["said"]


def test_what_belongs_to_a_consent_is_refused_without_one(school: School) -> None:
    code, said = school("students", GONE, "--guardian", "Li Na")
    assert code == 2 and "--set-consent" in said[-1]["error"]
    both = ["--set-consent", "none", "--guardian", "Li Na", "--by-student"]
    assert school("students", GONE, *both)[0] == 2
    assert school("students", "--withdraw-consent")[0] == 2


def test_a_consent_that_is_withdrawn_is_no_more_and_takes_the_voice_with_it(
    school: School,
) -> None:
    assert school("students", GONE, "--set-consent", days(300), "--by-student")[0] == 0
    assert school("students", GONE, "--withdraw-consent")[0] == 0
    assert school("students", GONE)[1][0]["consent_state"] == "ended"
    assert school("students", GONE, "--consents")[1][0]["withdrawn"] == days(0)
    assert school("erase", "--ended", "--dry-run")[1] == [{"due": GONE}]
    assert school("erase", "--ended")[0] == 0
    assert GONE.encode() not in school.everything()
    assert kinds(school) == ["consent given", "consent withdrawn", "consent ended", "erased"]


def test_a_consent_of_before_the_ledger_can_be_withdrawn(school: School) -> None:
    assert school("students", GONE, "--withdraw-consent")[0] == 0
    assert school("erase", "--ended", "--dry-run")[1] == [{"due": GONE}]


def test_a_consent_that_ended_erases_after_as_many_days_as_are_set(school: School) -> None:
    with school.config.open("a", encoding="utf-8") as file:
        file.write("[privacy]\nerase_after = 10\n")
    for student, ended in zip(OTHERS[:3], (-10, -11, 0), strict=True):
        school("students", student, "--set-consent", days(ended))
    assert school("erase", "--ended", "--dry-run")[1] == [{"due": OTHERS[1]}]
    sealed = school.sealed(OTHERS[1])
    assert school("erase", "--ended")[0] == 0
    with closing(school.gallery()) as gallery:
        assert sorted(gallery.students) == sorted({GONE, *OTHERS} - {OTHERS[1]})
    after = school.everything()
    assert OTHERS[1].encode() not in after and not any(each in after for each in sealed)
    assert school("erase", "--ended")[1] == []


def test_who_has_a_pin_stays_without_a_voice(school: School) -> None:
    with closing(school.registry()) as registry:
        set_pin(registry, GONE, "520914")
    sealed = school.sealed(GONE)
    school("students", GONE, "--withdraw-consent")
    code, said = school("erase", "--ended")
    assert code == 0 and said[0] == {"voice_erased": GONE}
    after = school.everything()
    assert not any(each in after for each in sealed)
    with closing(school.registry()) as registry:
        student = registry.student(GONE)
        assert (student.recordings, registry.pins.fits(student.number, "520914")) == (0, True)
    assert school.heard(GONE) == 0
    assert school("erase", "--ended")[1] == []
    assert school("erase", GONE)[0] == 0
    assert GONE.encode() not in school.everything()


def test_an_export_holds_the_consents_and_what_was_refused(school: School) -> None:
    school("students", GONE, "--set-consent", "none", "--guardian", "Li Na")
    file = school.outside / "export.json"
    assert school("students", GONE, "--export", file)[0] == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert [each["guardian"] for each in found["consents"]] == ["Li Na"]
    refused = {"source_sha256": "source", "kind": "kind", "reason": "reason"}
    assert found["refused"] == [refused]


def test_a_consent_that_comes_with_recordings_is_one_entry_however_often(school: School) -> None:
    until = datetime.date.today() + datetime.timedelta(days=200)
    with closing(school.gallery()) as gallery:
        for guardian in ("Li Na", "Li Na", "", "Wu"):
            gallery.enroll("new", points(30), consent=until, guardian=guardian)
        gallery.enroll("new", points(30), consent=until + datetime.timedelta(days=1))
    listed = school("students", "new", "--consents")[1]
    assert [each["guardian"] for each in listed] == ["Li Na", "Wu", None]
    assert [each["by"] for each in listed] == ["guardian", "guardian", None]
