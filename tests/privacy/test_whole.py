"""A school that has everything is renewed, erased from, backed up and restored: all of it fits."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("argon2")

from kaimen.access.pin_lockout import PinLockout
from kaimen.audit import latest, pseudonym
from kaimen.console.accounts import Accounts
from kaimen.console.acts import Acts
from kaimen.fleet.ledger import FleetEntry
from kaimen.fleet.membership import Broker, Membership
from kaimen.fleet.replica import Replica
from kaimen.fleet.store import KeptEntry, Store
from kaimen.gallery.latent_map import LatentMap, map_path
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.registry.vault import CARRIED, FIRST_CARRIED, Vault
from tests.privacy.school import ENCODER, GONE, OTHERS, School, points
from tests.privacy.test_erase import backed_up
from tests.privacy.whole import PASSWORD, SOUND, complete, grown_of


@pytest.fixture
def whole(school: School) -> School:
    return complete(school)


def scores(school: School, *, grown: bool = True) -> np.ndarray:
    """Every student's score of probes near and far, with and without grown voiceprints."""
    with closing(school.gallery()) as gallery:
        latest = gallery.growth.latest if grown else 0
        probes = [grown_of(seed) for seed in range(7)] + [points(50)[0], points(2)[3]]
        found = [
            gallery.claimed(name, probe, grown=latest)
            for name in (GONE, *OTHERS)
            for probe in probes
        ]
        return np.array([each[0].score for each in found])


def acts(school: School) -> list[str]:
    """What people did at the console, the latest first."""
    with school.installation() as installation:
        found = latest(installation.acts_folder, installation.acts_key)
        return [str(each["did"]) for each in found]


def signs_in(school: School) -> bool:
    with school.installation() as installation:
        accounts = Accounts(installation.accounts_path, installation.vault)
        return accounts.signed_in("Wang Fang", PASSWORD) is not None


def test_a_renewed_school_scores_as_before_with_grown_voiceprints(whole: School) -> None:
    before = scores(whole)
    assert (before > scores(whole, grown=False) + 0.05).sum() >= len(OTHERS)  # they count
    assert whole("renew")[0] == 0
    np.testing.assert_allclose(scores(whole), before, atol=1e-5)
    with closing(whole.registry()) as registry:
        registry.grown.examine()
        assert len(registry.grown.listed()) == len(OTHERS) + 1


def test_who_could_sign_in_can_after_a_renewal(whole: School) -> None:
    assert whole("renew")[0] == 0 and signs_in(whole)
    assert whole("renew")[0] == 0 and signs_in(whole)


def test_the_log_of_acts_goes_on_after_a_renewal(whole: School) -> None:
    assert whole("renew")[0] == 0 and whole("renew")[0] == 0
    with whole.installation() as installation:
        Acts(installation.acts_folder, installation.acts_key).write("Wang Fang", "looked again")
    assert whole("audit", "verify", "--acts")[0] == 0
    assert acts(whole) == ["looked again", "looked"]


def test_kept_phrases_are_heard_and_marked_after_a_renewal_and_only_under_the_new_key(
    whole: School,
) -> None:
    old = [path.read_bytes() for path in (whole.data / "gallery.review").iterdir()]
    assert whole("renew")[0] == 0
    with whole.installation() as installation:
        phrases = installation.kept_phrases
        assert {phrases.sound(each) for each in phrases.numbers()} == {SOUND, SOUND[::-1]}
        assert {each.students for each in phrases.phrases()} == {(GONE,), (OTHERS[0],)}
        assert [each.right for each in phrases.marks()] == [False]
    after = whole.everything()
    assert len(old) == 3 and not any(each in after for each in old)


def test_what_is_made_anew_is_not_left_under_the_old_key(whole: School) -> None:
    derived = [whole.data / ".gallery.map", whole.data / ".gallery.scores"]
    old = [path.read_bytes() for path in derived]
    assert whole("renew")[0] == 0
    assert not any(each in whole.everything() for each in old)


def test_wrong_pins_are_counted_on_after_a_renewal(whole: School) -> None:
    with whole.installation() as installation:
        before = PinLockout(installation.pin_lockout_path, installation.vault).wait(GONE)
    assert whole("renew")[0] == 0
    with whole.installation() as installation:
        after = PinLockout(installation.pin_lockout_path, installation.vault).wait(GONE)
    assert before > 0 and after == pytest.approx(before, abs=60)


def test_accounts_of_another_key_are_said_before_anything_is_renewed(whole: School) -> None:
    accounts, key = whole.data / "gallery.accounts", whole.key.read_bytes()
    accounts.write_bytes(accounts.read_bytes()[::-1])
    code, said = whole("renew")
    assert code == 4 and "--add-account" in said[-1]["error"]
    assert whole.key.read_bytes() == key and not (whole.data / "gallery.restored").exists()


def test_a_key_that_an_earlier_release_renewed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    early = Vault(carried={each: bytes([1] * 32) for each in CARRIED[:FIRST_CARRIED]})
    early.save(path)
    again = Vault.load(path)
    assert again.identity == early.identity and again.derive("pins") == bytes([1] * 32)
    assert again.renewed().derive("acts") == again.derive("acts")
    words = path.read_text(encoding="ascii").split()
    for few in (words[:3], words[:4]):
        keys = b"".join(map(bytes.fromhex, few[1:]))
        check = hashlib.sha256(keys).hexdigest()[:16]
        path.write_text(" ".join([*few, check]) + "\n", encoding="ascii")
        with pytest.raises(Exception, match="damaged"):
            Vault.load(path)


def test_a_backup_carries_who_may_sign_in_and_what_they_did_and_no_kept_phrase(
    whole: School, tmp_path: Path
) -> None:
    file, secret = backed_up(whole)
    phrases = {path.name for path in (whole.data / "gallery.review").iterdir()}
    shutil.rmtree(whole.data)
    whole.key.unlink()
    whole.data.mkdir()
    assert whole("restore", file, "--passphrase-file", secret)[0] == 0
    assert signs_in(whole)
    assert whole("audit", "verify", "--acts")[0] == 0
    assert acts(whole) == ["looked"]
    there = {path.name for path in whole.data.rglob("*")}
    assert not there & {*phrases, "gallery.review", ".gallery.map", ".gallery.scores"}


def test_a_restore_over_a_school_leaves_its_kept_phrases_to_be_erased_in_time(
    whole: School,
) -> None:
    file, secret = backed_up(whole)
    assert whole("restore", file, "--passphrase-file", secret, "--over")[0] == 0
    (kept,) = whole.data.glob("gallery.before-*")
    assert not list(kept.glob("*.review")) and (kept / "gallery.accounts").exists()
    with whole.installation() as installation:
        assert len(installation.kept_phrases.numbers()) == 2
    assert signs_in(whole)


def test_a_backup_without_accounts_signs_nobody_out_who_has_the_same_key(whole: School) -> None:
    accounts = (whole.data / "gallery.accounts").read_bytes()
    (whole.data / "gallery.accounts").unlink()
    shutil.move(whole.data / "acts", whole.outside / "acts")
    file, secret = backed_up(whole)
    (whole.data / "gallery.accounts").write_bytes(accounts)
    shutil.move(whole.outside / "acts", whole.data / "acts")
    assert whole("restore", file, "--passphrase-file", secret, "--over")[0] == 0
    assert signs_in(whole) and whole("audit", "verify", "--acts")[0] == 0


def test_accounts_that_nobody_can_open_are_not_backed_up(whole: School) -> None:
    path = whole.data / "gallery.accounts"
    path.write_bytes(path.read_bytes()[::-1])
    secret = whole.outside / "passphrase"
    secret.write_text("a passphrase that is long", encoding="utf-8")
    code, said = whole("backup", whole.outside / "b", "--passphrase-file", secret)
    assert code == 4 and "move the file" in said[-1]["error"]
    assert not (whole.outside / "b").exists()


def test_nothing_of_an_erased_student_is_left_in_a_school_that_has_everything(
    whole: School,
) -> None:
    with closing(whole.registry()) as registry:
        rows = registry.database.read(
            "SELECT hex(voiceprint) FROM grown JOIN students ON student = students.number "
            "WHERE name = ?", GONE,
        )  # fmt: skip
        number = registry.student(GONE).number
    grown = [bytes.fromhex(str(each)) for (each,) in rows]
    derived = [(whole.data / f".gallery.{each}").read_bytes() for each in ("map", "scores")]
    review = whole.data / "gallery.review"
    with whole.installation() as installation:
        (mine,) = [
            each.number for each in installation.kept_phrases.phrases() if GONE in each.students
        ]
        known = pseudonym(installation.log_key, GONE)
        acts_log = Acts(installation.acts_folder, installation.acts_key)
        acts_log.write("Wang Fang", "exported a student", student=known)
    phrase = (review / f"{mine}.phrase").read_bytes()
    in_a_fleet(whole)
    sealed = [*whole.sealed(GONE), *grown, *derived, phrase]
    before = whole.everything()
    assert grown and all(each in before for each in sealed)
    code, said = whole("erase", GONE)
    assert code == 0
    assert said[0]["erased"]["grown_voiceprints"] == 1 and said[0]["erased"]["kept_phrases"] == 1
    after = whole.everything()
    raw = [grown_of(0).tobytes(), *(point.tobytes() for point in points(0))]
    assert GONE.encode() not in after
    assert not any(each in after for each in [*sealed, *raw])
    assert {hashlib.sha256(each).hexdigest() for each in [*grown, phrase]} <= {
        *json.loads(next((whole.data / "certificates").glob("*.json")).read_text())["certificate"][
            "digests"
        ]
    }
    with whole.installation() as installation:
        phrases = installation.kept_phrases
        assert [each.students for each in phrases.phrases()] == [(OTHERS[0],)]

        path = map_path(installation.settings.gallery.file)
        kept = LatentMap.load(path, installation.vault, ENCODER.identity)
        assert number not in kept.numbers and len(kept.numbers) == len(OTHERS)
        assert PinLockout(installation.pin_lockout_path, installation.vault).wait(GONE) == 0


def in_a_fleet(school: School) -> tuple[Membership, str]:
    """Let a fleet have told the machine of all students; one of them was changed since."""
    registry = school.data / "gallery.sqlite"
    membership = Membership.create("gate", Broker("localhost"))
    with (
        closing(Store(fleet_store_path(registry))) as store,
        school.installation() as installation,
    ):
        replica = Replica(membership, installation.registry, store, lambda text: None)
        marks = replica.local_changes()
        assert len(marks) == len(OTHERS) + 1
        entry = FleetEntry(1, membership.desk, False)
        changed = membership.pseudonym(OTHERS[0])
        store.put(
            (each, KeptEntry(entry, "content", "other" if each == changed else mark))
            for each, mark in marks.items()
        )
    return membership, changed


def test_a_machine_of_a_fleet_knows_its_students_again_after_a_renewal(whole: School) -> None:
    membership, changed = in_a_fleet(whole)
    assert whole("renew")[0] == 0
    with (
        closing(Store(fleet_store_path(whole.data / "gallery.sqlite"))) as store,
        whole.installation() as installation,
    ):
        replica = Replica(membership, installation.registry, store, lambda text: None)
        assert [*replica.local_changes()] == [changed]


def test_a_machine_that_joined_a_fleet_first_is_an_empty_one_for_a_restore(whole: School) -> None:
    file, secret = backed_up(whole)
    in_a_fleet(whole)
    for path in whole.data.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("gallery.fleet."):
            path.unlink()
    whole.key.unlink()
    code, said = whole("restore", file, "--passphrase-file", secret)
    assert code == 0 and said[0]["students"] == len(OTHERS) + 1
    assert fleet_store_path(whole.data / "gallery.sqlite").exists()
    assert not list(whole.data.glob("gallery.before-*"))
