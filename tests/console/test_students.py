"""The Students page: a list that is searched, a student who is changed, exported and removed."""

from __future__ import annotations

import html
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from kaimen.clock import today
from kaimen.console.roles import Role
from kaimen.console.student_list import ROWS, StudentList
from kaimen.doctor.chinese import sentence
from kaimen.enrollment.judging import Judge
from kaimen.installation import Installation
from kaimen.privacy.certificate import Certificate, public_key
from kaimen.registry.erasures import Backup
from kaimen.rehearsal import RECORDINGS
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.settings.roster import Rule
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.bandwidth import limited
from kaimen.sound.recording import read
from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
from tests.console.conftest import Desk, Made, post
from tests.console.school import make_school


def enrolled(settings: Settings, *names: str, recordings: int = 5) -> None:
    """Enroll students of points that are drawn, each one's alike."""
    random = np.random.default_rng(0)
    with Installation.open(settings, Screen(as_json=True)) as installation:
        gallery = installation.gallery_or_new
        with gallery.registry.database.writing():
            for at, name in enumerate(names):
                centre = random.standard_normal(gallery.dimension)
                points = centre + 0.3 * random.standard_normal((recordings, gallery.dimension))
                points /= np.linalg.norm(points, axis=1, keepdims=True)
                gallery.enroll(name, list(points.astype(np.float32)), group=f"{at % 9 + 1}a")


@pytest.fixture
def school(settings: Settings) -> Settings:
    """A school of three."""
    enrolled(settings, "anning", "bowen <b>", "陈晨")
    return settings


@pytest.fixture
def client(school: Settings, desk_of: Made) -> TestClient:
    return desk_of(school).signed_in(Role.REGISTRAR)


def number_of(client: TestClient, name: str) -> int:
    text = client.get("/students/rows", params={"q": name}).text
    return int(text.split('href="/students/')[1].split('"')[0])


def test_everybody_is_listed_and_a_search_finds_by_a_part_of_the_name(client: TestClient) -> None:
    text = client.get("/students").text
    assert "anning" in text and "陈晨" in text and "bowen &lt;b&gt;" in text
    found = client.get("/students/rows", params={"q": "ANN"}).text
    assert "anning" in found and "陈晨" not in found
    assert "陈晨" in client.get("/students/rows", params={"group": "3a"}).text
    assert "0 students" in client.get("/students/rows", params={"q": "nobody"}).text


def test_a_school_with_nobody_has_an_empty_list(registrar: TestClient) -> None:
    assert registrar.get("/students").status_code == 200


def test_a_guard_sees_no_students(guard: TestClient) -> None:
    assert guard.get("/students").status_code == 403
    assert "/students" not in guard.get("/live").text


def test_each_recording_is_judged_in_words(client: TestClient) -> None:
    text = client.get(f"/students/{number_of(client, 'anning')}").text
    assert text.count("Like the others: the gate would know it") == 5


def test_a_group_is_changed_and_no_consent_with_it(client: TestClient) -> None:
    number = number_of(client, "anning")
    assert post(client, f"/students/{number}/describe", {"group": "8b"}).status_code == 303
    text = client.get(f"/students/{number}").text
    assert "8b" in text and "anning is changed." in text
    assert "No consent is written down." in text


@pytest.mark.parametrize("quick", [True, False])
def test_a_group_that_comes_onto_the_roster_is_calibrated_for_or_said(
    settings: Settings, desk_of: Made, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    settings = replace(settings, roster=(Rule(("7a",)),))
    make_school(settings)
    monkeypatch.setattr("kaimen.installation.arming.QUICK", 60 if quick else 59)
    client = desk_of(settings).signed_in(Role.REGISTRAR)
    for name in ("s0001", "s0002", "s0003", "s0005", "s0006"):  # a third more than were on it
        number = number_of(client, name)
        post(client, f"/students/{number}/describe", {"group": "7a"})
    said = html.unescape(client.get(f"/students/{number}").text)
    assert ("this door's roster is not as it was calibrated for" in said) is not quick
    with Installation.open(settings, Screen(as_json=True)) as installation:
        assert installation.arming.calibration.at_once == (20 if quick else 0)


def test_the_ledger_shows_who_consented_until_when_and_what_was_withdrawn(
    client: TestClient,
) -> None:
    number = number_of(client, "anning")
    fields = {
        "by": "guardian", "guardian": "Li <i>Na</i>", "given": "2026-09-01",
        "consent": "2030-07-31",
    }  # fmt: skip
    assert post(client, f"/students/{number}/consent", fields).status_code == 303
    text = client.get(f"/students/{number}").text
    for shown in ("a guardian: Li &lt;i&gt;Na", "2026-09-01", "2030-07-31", "opening this school"):
        assert shown in text
    assert "is written down." in text
    post(client, f"/students/{number}/consent", {"by": "student", "consent": ""})
    text = client.get(f"/students/{number}").text
    assert "the student</td>" in text and "until withdrawn" in text and "2030-07-31" in text
    assert post(client, f"/students/{number}/consent/withdraw").status_code == 303
    text = client.get(f"/students/{number}").text
    assert "The consent has ended" in text and today().isoformat() + "</td>" in text
    post(client, f"/students/{number}/describe", {"group": "9c"})  # a group is no consent
    assert "The consent has ended" in client.get(f"/students/{number}").text


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "student", "consent": "soon"},
        {"by": "student", "given": "yesterday"},
        {"by": "guardian"},
        {"by": "guardian", "guardian": "  "},
        {"by": "guardian", "guardian": "a\nb"},
        {"by": "guardian", "guardian": "x" * 201},
        {"by": "student", "guardian": "Li Na"},
        {"by": "somebody"},
    ],
)
def test_an_unfit_consent_changes_nothing(client: TestClient, fields: dict[str, str]) -> None:
    number = number_of(client, "anning")
    assert post(client, f"/students/{number}/consent", fields).status_code == 422
    assert "No consent is written down." in client.get(f"/students/{number}").text


def test_the_ledger_and_the_proof_speak_chinese(client: TestClient) -> None:
    number = number_of(client, "anning")
    post(client, f"/students/{number}/consent", {"by": "guardian", "guardian": "李娜"})
    client.cookies.set("kaimen-language", "zh")
    text = client.get(f"/students/{number}").text
    assert "监护人: 李娜" in text and "为本校开门" in text and "直到撤回" in text
    asked = html.unescape(client.get(f"/students/{number}/remove").text)
    assert "口令录音" in asked and "管理员可以清除该学生并出具证明" in asked


def test_whoever_is_to_be_removed_all_that_goes_is_named_with_the_backups_that_hold_it(
    school: Settings, desk_of: Made
) -> None:
    desk = desk_of(school)
    client = desk.signed_in(Role.ADMIN)
    number = number_of(client, "anning")
    post(client, f"/students/{number}/consent", {"by": "guardian", "guardian": "Li Na"})
    with Installation.open(school, Screen(as_json=True)) as installation:
        kept = Backup("5f0c2a91", "2026-11-27T02:00:00+00:00", "/media/usb/<school>.backup")
        installation.registry.erasures.add_backup(kept)
    asked = client.get(f"/students/{number}/remove").text
    listed = re.findall(r"<dt>(.*?)</dt><dd>(\d+)</dd>", asked)
    assert ("Recordings of the passphrase", "5") in listed and ("Consents", "1") in listed
    assert "PIN" not in dict(listed)
    assert "/media/usb/&lt;school&gt;.backup" in asked and "kaimen erase --reseal" in asked
    place = post(client, f"/students/{number}/erase").headers["Location"]
    erased = client.get(place).text
    assert re.findall(r"<dt>(.*?)</dt><dd>(\d+)</dd>", erased) == listed
    assert "/media/usb/&lt;school&gt;.backup" in erased


def test_only_an_administrator_erases_with_a_certificate(client: TestClient) -> None:
    number = number_of(client, "anning")
    assert f"/students/{number}/erase" not in client.get(f"/students/{number}/remove").text
    assert post(client, f"/students/{number}/erase").status_code == 403
    assert "anning" in client.get("/students").text


def test_who_is_removed_with_proof_is_in_no_file_and_the_certificate_is_checked(
    school: Settings, desk_of: Made, tmp_path: Path
) -> None:
    desk = desk_of(school)
    client = desk.signed_in(Role.ADMIN)
    number = number_of(client, "anning")
    post(client, f"/students/{number}/consent", {"by": "guardian", "guardian": "Li Na"})
    assert "Erase with a certificate" in client.get(f"/students/{number}/remove").text
    answer = post(client, f"/students/{number}/erase")
    assert answer.status_code == 303
    place = answer.headers["Location"]
    text = client.get(place).text
    assert "Download the certificate" in text and "anning is erased." in text
    given = post(client, f"{place}/certificate")
    assert "attachment" in given.headers["Content-Disposition"]
    file = tmp_path / "anning.json"
    file.write_bytes(given.content)
    certificate = Certificate.read(file)
    with Installation.open(school, Screen(as_json=True)) as installation:
        certificate.verify(public_key(installation.vault))
        assert "anning" not in installation.registry.names()
    assert certificate.is_of("anning") and not certificate.is_of("陈晨")
    assert certificate.statement.erased["recordings"] == 5
    assert certificate.statement.erased["consents"] == 1
    file.unlink()
    folder = school.gallery.file.parent
    everything = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert b"anning" not in everything and "陈晨".encode() in everything
    assert client.get(f"/students/{number}").status_code == 404
    assert "陈晨" in client.get("/students").text


def test_a_certificate_that_is_not_there_is_not_found(school: Settings, desk_of: Made) -> None:
    client = desk_of(school).signed_in(Role.ADMIN)
    assert client.get("/students/erased/0123456789abcdef").status_code == 404
    assert client.get("/students/erased/..%2F..%2Fkey").status_code == 404


def test_nobody_is_erased_while_a_damaged_file_may_know_them(
    school: Settings, desk_of: Made
) -> None:
    client = desk_of(school).signed_in(Role.ADMIN)
    number = number_of(client, "anning")
    path = school.gallery.file.parent / "gallery.heard.sqlite.damaged-20260101T000000Z"
    path.write_bytes(b"?")
    answer = post(client, f"/students/{number}/erase")
    assert answer.status_code == 409 and "delete it" in answer.text
    client.cookies.set("kaimen-language", "zh")
    answer = post(client, f"/students/{number}/erase")
    assert answer.status_code == 409 and "请删除它，然后再试" in answer.text
    assert client.get(f"/students/{number}").status_code == 200


def test_one_recording_is_removed_but_never_the_last(client: TestClient) -> None:
    number = number_of(client, "anning")
    for left in range(5, 0, -1):
        text = client.get(f"/students/{number}").text
        recording = int(text.split("/recordings/")[1].split("/")[0])
        asked = client.get(f"/students/{number}/recordings/{recording}/remove").text
        assert ("Remove for good" in asked) is (left > 1)
        assert (f"{left - 1} recordings of the passphrase stay" in asked) is (left > 1)
        answer = post(client, f"/students/{number}/recordings/{recording}/remove")
        assert answer.status_code == (303 if left > 1 else 409)


def test_all_that_is_kept_of_a_student_is_given_as_a_file(client: TestClient) -> None:
    answer = post(client, f"/students/{number_of(client, '陈晨')}/export")
    assert json.loads(answer.text)["student"] == "陈晨"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_who_is_removed_is_gone_after_a_question(client: TestClient) -> None:
    number = number_of(client, "anning")
    assert "Remove for good" in client.get(f"/students/{number}/remove").text
    assert "anning" in client.get("/students").text
    assert post(client, f"/students/{number}/remove").status_code == 303
    assert "anning" not in client.get("/students/rows").text
    assert client.get(f"/students/{number}").status_code == 404


def test_what_a_registrar_does_is_written_down_without_a_name(
    school: Settings, desk_of: Made
) -> None:
    desk = desk_of(school)
    client = desk.signed_in(Role.REGISTRAR)
    post(client, f"/students/{number_of(client, 'anning')}/remove")
    folder = desk.console.installation.acts_folder
    lines = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert "removed a student" in lines
    assert "anning" not in lines


def test_students_are_found_page_by_page_each_once(settings: Settings) -> None:
    names = [f"s{number:05}" for number in range(200)]
    enrolled(settings, *names, recordings=1)
    with Installation.open(settings, Screen(as_json=True)) as installation:
        students = StudentList()
        students.keep_up(installation.registry)
        seen: list[str] = []
        after = ""
        while True:
            rows = students.search("", after=after)
            seen += [each.name for each in rows.students]
            after = rows.after
            if not after:
                break
        assert seen == names
        assert len(students.search("s0").students) == ROWS
        assert students.search("s00007").found == 1
        assert [each.name for each in students.search("", "2a").students] == names[1::9]


# Enrolling


@pytest.fixture
def uploads(desk: Desk) -> TestClient:
    return desk.signed_in(Role.REGISTRAR)


def files(voice: str, *numbers: int) -> list[tuple[str, tuple[str, bytes]]]:
    paths = [RECORDINGS / voice / f"phrase-{number}.mp3" for number in numbers]
    return [("files", (path.name, path.read_bytes())) for path in paths]


def ended(desk: Desk, language: str = "en") -> str:
    """Wait for the enrollment that was begun; return how it is shown."""
    session = desk.console.enrolling.session
    assert session is not None
    session.join()
    client = desk.signed_in(Role.REGISTRAR)
    client.cookies.set("kaimen-language", language)
    with client.stream("GET", "/enrolling/feed") as stream:
        return "\n".join(stream.iter_lines())


def test_recordings_that_are_uploaded_enroll(desk: Desk, uploads: TestClient) -> None:
    fields = {"name": "anning", "group": "7b", "consent": "2099-07-31"}
    answer = post(uploads, "/enrolling/upload", fields, files=files("anning", 1, 2, 3))
    assert answer.status_code == 303
    assert "anning is enrolled with 3 recordings." in ended(desk)
    assert "7b" in uploads.get("/students/rows").text
    assert post(uploads, "/enrolling/upload", fields, files=files("anning", 4)).status_code == 409
    more = {"name": "anning", "how": "add"}
    assert post(uploads, "/enrolling/upload", more, files=files("anning", 4)).status_code == 303
    session = desk.console.enrolling.session
    assert session is not None
    session.join()
    assert f"/students/{number_of(uploads, 'anning')}" in uploads.get("/students").text
    text = uploads.get(f"/students/{number_of(uploads, 'anning')}").text
    assert text.count("/recordings/") == 4


def test_an_upload_that_is_no_recording_enrolls_nobody_and_says_why(
    desk: Desk, uploads: TestClient
) -> None:
    sent = [("files", ("<b>.mp3", b"not a sound"))]
    assert post(uploads, "/enrolling/upload", {"name": "anning"}, files=sent).status_code == 303
    said = ended(desk)
    assert "no recording could be used" in said
    assert "&lt;b&gt;.mp3" in said
    assert post(uploads, "/enrolling/upload", {"name": "anning"}).status_code == 422


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_remarks_on_an_uploaded_recording_are_those_of_enroll(
    desk: Desk, uploads: TestClient, tmp_path: Path, language: str
) -> None:
    sound = read(RECORDINGS / "anning" / "phrase-1.mp3")
    path = tmp_path / "narrow.wav"
    soundfile.write(path, limited(sound, 4_000), SAMPLE_RATE)
    heard = Judge.by(Encoder(SMALL)).hear(path.read_bytes())
    assert any("4 kHz" in each for each in heard.remarks)
    sent = [*files("anning", 2, 3), ("files", (path.name, path.read_bytes()))]
    assert post(uploads, "/enrolling/upload", {"name": "anning"}, files=sent).status_code == 303
    shown = html.unescape(ended(desk, language))
    said = heard.remarks if language == "en" else [*map(sentence, heard.remarks)]
    assert all(f"{path.name}: {each}" in shown for each in said), shown
    assert ("没有高于 4 kHz 的语音" in shown) is (language == "zh")


def test_without_a_microphone_the_enrollment_says_so(
    desk: Desk, uploads: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert post(uploads, "/enrolling/begin", {"name": "anning"}).status_code == 303
    assert "PortAudio is not installed" in ended(desk)
    assert "anning" not in uploads.get("/students/rows").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"name": " "}, 422),
        ({"name": "a\x1b[2J"}, 422),
        ({"name": "anning", "how": "add"}, 409),
        ({"name": "anning", "how": "one", "recording": "x"}, 422),
        ({"name": "anning", "how": "steal"}, 422),
        ({"name": "anning", "consent": "soon"}, 422),
    ],
)
def test_what_cannot_be_enrolled_is_refused_at_once(
    fields: dict[str, str], status: int, uploads: TestClient
) -> None:
    assert post(uploads, "/enrolling/begin", fields).status_code == status
