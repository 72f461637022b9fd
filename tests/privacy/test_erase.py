"""A student is erased: nothing of them is left, a certificate says so, and others can check it."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import soundfile

from kaimen.audit import export, write_waiting
from kaimen.privacy import erasing
from kaimen.registry.vault import Vault
from kaimen.sound import SAMPLE_RATE
from tests.privacy.school import GONE, OTHERS, PRINT, School, points
from tests.sounds import silence


def backed_up(school: School, name: str = "school.backup") -> tuple[Path, Path]:
    secret = school.outside / "passphrase"
    secret.write_text("a passphrase that is long", encoding="utf-8")
    file = school.outside / name
    assert school("backup", file, "--passphrase-file", secret)[0] == 0
    return file, secret


def public_key(school: School) -> str:
    return str(school("erase", "--public-key")[1][-1]["public_key"])


def verify(school: School, file: Path, key: str, *more: str) -> int:
    return school("erase", "--verify", file, "--public", key, *more)[0]


def test_nothing_of_an_erased_student_is_in_any_file_of_the_data_folder(school: School) -> None:
    sealed = school.sealed(GONE)
    raw = [point.tobytes() for point in points(0)]
    assert len(sealed) == 15
    before = school.everything()
    assert GONE.encode() in before and all(each in before for each in sealed)
    code, said = school("erase", GONE, "--certificate", school.outside / "gone.json")
    assert code == 0
    assert {kind: count for kind, count in said[0]["erased"].items() if count} == {
        "recordings": 5, "phrase_embeddings": 5, "fingerprints": 5, "replay_memory": 1,
    }  # fmt: skip
    after = school.everything()
    assert GONE.encode() not in after
    assert not any(each in after for each in [*sealed, *raw, PRINT.tobytes()])
    assert not any(each[-40:] in after or each[:40] in after for each in sealed)
    with closing(school.gallery()) as gallery:
        assert gallery.students == OTHERS
    assert (school.heard(GONE), school.heard(OTHERS[0])) == (0, 1)


def test_a_certificate_is_checked_without_anything_of_the_schools(
    school: School, tmp_path: Path
) -> None:
    file = school.outside / "gone.json"
    assert school("erase", GONE, "--certificate", file)[0] == 0
    key = public_key(school)
    shutil.rmtree(school.data)
    school.key.unlink()
    assert verify(school, file, key) == 0
    assert verify(school, file, key, "--student", GONE) == 0
    assert verify(school, file, key, "--student", OTHERS[0]) == 4
    (tmp_path / "key.txt").write_text(f"{key}\n", encoding="ascii")
    assert verify(school, file, str(tmp_path / "key.txt"), "--student", GONE) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["certificate"].update(finished="2020-01-01T00:00:00+00:00"),
        lambda fields: fields["certificate"]["erased"].update(recordings=50),
        lambda fields: fields["certificate"]["digests"].pop(),
        lambda fields: fields["certificate"].update(backups=[]),
        lambda fields: fields.update(signature="00" * 64),
        lambda fields: fields.update(signature="no hexadecimal"),
        lambda fields: fields["certificate"].update(format="kaimen-erasure-2"),
        lambda fields: fields["certificate"].update(more=1),
        lambda fields: fields.pop("signature"),
    ],
)
def test_a_forged_certificate_is_not_believed(school: School, change: object) -> None:
    backed_up(school)
    file = school.outside / "gone.json"
    school("erase", GONE, "--certificate", file)
    fields = json.loads(file.read_text(encoding="utf-8"))
    change(fields)  # type: ignore[operator]
    file.write_text(json.dumps(fields), encoding="utf-8")
    assert verify(school, file, public_key(school)) == 4


def test_a_certificate_of_another_school_is_not_believed(school: School) -> None:
    file = school.outside / "gone.json"
    school("erase", GONE, "--certificate", file)
    key = erasing.Certificate.sign(erasing.Certificate.read(file).statement, Vault()).key
    assert verify(school, file, key) == 4
    assert verify(school, file, "12") == 4
    code, said = school("erase", "--verify", file)
    assert code == 2 and "--public" in said[-1]["error"]


def test_the_copy_that_the_school_keeps_does_not_say_who_was_erased(school: School) -> None:
    school("erase", GONE, "--certificate", school.outside / "gone.json")
    (kept,) = (school.data / "certificates").iterdir()
    assert verify(school, kept, public_key(school)) == 0
    assert verify(school, kept, public_key(school), "--student", GONE) == 4
    assert "opening" not in json.loads(kept.read_text(encoding="utf-8"))
    # The student lost theirs: the school writes it again.
    assert school("erase", GONE, "--certificate", school.outside / "again.json")[0] == 0
    assert verify(school, school.outside / "again.json", public_key(school), "--student", GONE) == 0


def test_a_certificate_is_not_written_where_it_would_tell_who_was_erased(school: School) -> None:
    code, said = school("erase", GONE, "--certificate", school.data / "gone.json")
    assert code == 2 and "outside" in said[-1]["error"]
    code, _ = school("erase", GONE, "--certificate", school.outside / "no folder" / "gone.json")
    assert code == 6
    with closing(school.gallery()) as gallery:
        assert GONE in gallery


STEPS = ("_erase_from", "_compact_heard", "_signed", "_erase_from_kept")


@pytest.mark.parametrize("step", STEPS[:3])
def test_an_interrupted_erasure_goes_on_after_a_restart(
    school: School, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sealed = school.sealed(GONE)

    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erasing, step, ends)
        with school.installation() as installation, pytest.raises(KeyboardInterrupt):
            erasing.erase(installation, [GONE])
    with school.installation() as installation:  # the gate, as it starts
        (certificate,) = erasing.go_on(installation)
        assert certificate.is_of(GONE) and certificate.statement.erased["recordings"] == 5
        assert erasing.go_on(installation) == []
    after = school.everything()
    assert GONE.encode() not in after and not any(each in after for each in sealed)
    certificate.verify(public_key(school))


def test_an_erasure_is_in_the_log_under_a_keyed_hash(school: School) -> None:
    code, said = school("erase", GONE)
    assert code == 0
    with school.installation() as installation:
        (line,) = export(installation.log_folder, installation.log_key)
        (kept,) = erasing.certificates_in(installation.certificates_folder)
    assert line["kind"] == "erased" and line["certificate"] == kept.digest
    assert school("log", "--student", GONE)[1][0]["said"].endswith("erased for good")
    assert said[0]["certificate"] == kept.statement.identity


def test_who_is_not_enrolled_is_not_erased(school: School) -> None:
    code, said = school("erase", "nobody")
    assert code == 4 and "nobody is not enrolled" in said[-1]["error"]
    assert school("erase")[0] == 2
    assert school("erase", GONE, "--ended")[0] == 2
    assert school("erase", GONE, "--public", "12")[0] == 2


def test_a_damaged_file_that_may_know_somebody_is_to_be_deleted_first(school: School) -> None:
    (school.data / "gallery.heard.sqlite.damaged-20260101T000000Z").write_bytes(b"?")
    code, said = school("erase", GONE)
    assert code == 4 and "delete it" in said[-1]["error"]
    with closing(school.gallery()) as gallery:
        assert GONE in gallery


def test_a_school_that_a_restore_kept_beside_forgets_the_student_too(school: School) -> None:
    file, secret = backed_up(school)
    assert school("restore", file, "--passphrase-file", secret, "--over")[0] == 0
    assert any(path.name.startswith("gallery.before-") for path in school.data.iterdir())
    assert school("erase", GONE)[0] == 0
    assert GONE.encode() not in school.everything()


def test_a_certificate_names_the_backups_that_still_hold_the_student(school: School) -> None:
    file, secret = backed_up(school)
    other, _ = backed_up(school, "school2.backup")
    code, said = school("erase", GONE)
    assert [each["place"] for each in said[0]["backups"]] == [str(file), str(other)]
    listed = school("erase", "--backups")[1]
    assert [each["place"] for each in listed] == [str(file), str(other)]
    code, said = school("erase", "--reseal", file, "--passphrase-file", secret)
    assert code == 0 and (said[0]["students"], said[0]["removed"]) == (len(OTHERS), 1)
    assert school("restore", file, "--passphrase-file", secret, "--check")[1][0]["removed"] == 0
    assert school("erase", "--destroyed", listed[1]["backup"])[0] == 0
    assert school("erase", "--destroyed", listed[1]["backup"])[0] == 4
    assert [each["place"] for each in school("erase", "--backups")[1]] == [str(file)]


def test_a_backup_that_is_sealed_anew_brings_back_everybody_else(
    school: School, tmp_path: Path
) -> None:
    file, secret = backed_up(school)
    school("erase", GONE)
    sealed = school.sealed(OTHERS[0])
    assert school("erase", "--reseal", file, "--passphrase-file", secret)[0] == 0
    assert school("restore", file, "--passphrase-file", secret, "--over")[0] == 0
    assert school.sealed(OTHERS[0]) == sealed
    with closing(school.gallery()) as gallery:
        assert gallery.students == OTHERS
    assert GONE.encode() not in school.everything()


def test_a_wrong_passphrase_leaves_the_backup_as_it_was(school: School, tmp_path: Path) -> None:
    file, _ = backed_up(school)
    before = file.read_bytes()
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase", encoding="utf-8")
    assert school("erase", "--reseal", file, "--passphrase-file", wrong)[0] == 4
    assert file.read_bytes() == before


def test_a_gate_at_work_writes_what_commands_left_for_its_log(school: School) -> None:
    with school.installation() as gate:
        gate.audit.write({"kind": "gate", "event": "begun"})  # it holds the log now
        assert school("erase", GONE)[0] == 0
        assert write_waiting(gate.audit, gate.registry.events, 10) == 1
        assert write_waiting(gate.audit, gate.registry.events, 10) == 0
        kinds = [each["kind"] for each in export(gate.log_folder, gate.log_key)]
    assert kinds == ["gate", "erased"]


def test_a_gate_serves_while_an_erasure_cannot_be_finished(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    with school.config.open("a", encoding="utf-8") as file:
        file.write("[door]\nmock = true\n[reader]\npin = true\n")
    kept = school.data / "gallery.before-20260101T000000Z"
    kept.mkdir()
    (kept / "gallery.sqlite").write_bytes(b"no database" * 1000)
    code, said = school("erase", GONE)
    assert code == 4 and "delete the folder" in said[-1]["error"]
    quiet = school.outside / "quiet.wav"
    soundfile.write(quiet, silence(1.0), SAMPLE_RATE)
    code, said = school("run", "--play", quiet)
    assert code == 0
    assert any("an erasure is not finished" in each.get("note", "") for each in said)
    with closing(school.gallery()) as gallery:
        assert GONE not in gallery
    shutil.rmtree(kept)
    code, said = school("erase", "--go-on")
    assert code == 0 and said[0]["erased"]["recordings"] == 5
    assert GONE.encode() not in school.everything()
