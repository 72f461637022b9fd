"""A stolen gallery is revoked: a new key, other voiceprints, and nobody is recorded again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from kaimen.gallery.gallery import Gallery
from kaimen.privacy import renewing
from kaimen.registry.consents import Consent
from kaimen.registry.lock import Lock
from kaimen.registry.permissions import give_consent, set_pin
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.school import placing
from kaimen.voice.evidence import Evidence
from tests.damage import flip
from tests.privacy.school import ENCODER, GONE, OTHERS, PRINT, SAID, SIZE, School, points


def kept(school: School) -> np.ndarray:
    with closing(school.registry()) as registry:
        numbers, _ = registry.recordings.numbers(ENCODER.identity)
        return registry.recordings.kept(numbers, ENCODER.identity)


def made(school: School) -> np.ndarray:
    with closing(school.gallery()) as gallery:
        return np.concatenate([gallery.voiceprints(name) for name in (GONE, *OTHERS)])


def test_voiceprints_lie_elsewhere_and_are_the_same_for_the_encoder(school: School) -> None:
    before, stored, old = made(school), kept(school), school.vault
    code, said = school("renew")
    assert code == 0 and said[-1]["renewed"] == len(OTHERS) + 1
    np.testing.assert_allclose(made(school), before, atol=1e-5)
    after = kept(school)
    assert school.vault.identity != old.identity
    own = (stored * after).sum(axis=1)
    assert abs(own.mean()) < 0.1 and own.max() < 0.6
    np.testing.assert_allclose(after @ after.T, stored @ stored.T, atol=1e-5)
    with closing(school.gallery()) as gallery:
        for number, name in enumerate([GONE, *OTHERS]):
            assert gallery.nearest(points(number)[2])[0].student == name
            assert gallery.claimed(name, points(number)[2])[0].score > 0.5


def test_everything_sealed_opens_under_the_new_key_and_nothing_under_the_old(
    school: School,
) -> None:
    with closing(school.registry()) as registry:
        give_consent(registry, GONE, Consent("guardian", "Li Na", ("doors",), "2026-09-01", None))
        set_pin(registry, OTHERS[0], "520914")
    old, sealed, whole = school.vault, school.sealed(GONE), school.key.read_bytes()
    assert school("renew")[0] == 0
    after = school.everything()
    assert not any(each in after for each in sealed)
    assert whole.split()[1] not in school.everything(school.outside)
    with closing(school.registry()) as registry:
        registry.recordings.examine()
        assert registry.roll().complete and not registry.roll().changed
        assert registry.consents.of(registry.student(GONE).number)[0].guardian == "Li Na"
        assert registry.pins.fits(registry.student(OTHERS[0]).number, "520914")
        said = registry.recordings.evidence(GONE, "words")
        assert said[0].said is not None
        np.testing.assert_array_equal(said[0].fingerprint, PRINT)
    assert (school.heard(GONE), school.heard(OTHERS[0])) == (1, 1)
    with pytest.raises(Exception, match="another key"):
        Registry(school.data / "gallery.sqlite", old)


def test_what_other_models_made_of_recordings_is_renewed_with_them(school: School) -> None:
    with closing(school.registry()) as registry:
        known = registry.recordings.known("another", "other words")
        more = Evidence(2 * SAID, "other words", None)
        registry.points.add([(each, points(9)[0], more) for each in known], "another")
    assert school("renew")[0] == 0
    with closing(school.registry()) as registry:
        registry.recordings.examine()
        numbers, _ = registry.recordings.numbers("another")
        found = registry.recordings.voiceprints(numbers, "another")
        np.testing.assert_allclose(found, [points(9)[0]] * len(numbers), atol=1e-5)
        for name in (GONE, *OTHERS):
            said = [each.said for each in registry.recordings.evidence(name, "other words")]
            np.testing.assert_allclose(said, [2 * SAID] * 5, atol=4e-3)  # kept in 16 bits


def test_the_log_goes_on_and_who_was_erased_stays_so(school: School) -> None:
    backup = backed_up(school)
    assert school("erase", GONE, "--certificate", school.outside / "gone.json")[0] == 0
    published = school("erase", "--public-key")[1][-1]["public_key"]
    assert school("renew")[0] == 0 and school("renew")[0] == 0
    assert school("audit", "verify")[0] == 0
    kinds = {each["kind"] for each in school("log")[1]}
    assert kinds == {"erased", "renewed"}
    file = school.outside / "gone.json"
    assert school("erase", "--verify", file, "--public", published, "--student", GONE)[0] == 0
    code, said = school("restore", *backup, "--over")
    assert code == 0 and (said[0]["removed"], said[0]["revoked"]) == (1, True)
    with closing(school.gallery()) as gallery:
        assert gallery.students == OTHERS


def backed_up(school: School) -> list[str | Path]:
    secret = school.outside / "passphrase"
    secret.write_text("a passphrase that is long", encoding="utf-8")
    backup = [school.outside / "school.backup", "--passphrase-file", secret]
    assert school("backup", *backup)[0] == 0
    return backup


def test_a_calibration_fits_as_before(school: School) -> None:
    with school.installation() as installation:
        learned = installation.arming.learn(0.5)
        learned.save(installation.arming.path, installation.vault)
    assert school("renew")[0] == 0
    with school.installation() as installation:
        from kaimen.calibration.calibration import Calibration

        assert Calibration.load(installation.arming.path, installation.vault) == learned


def test_who_was_changed_by_hand_stays_outside(school: School) -> None:
    with closing(sqlite3.connect(school.data / "gallery.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE students SET class = '9' WHERE name = ?", (OTHERS[0],))
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM students WHERE name = ?", (OTHERS[1],))
    assert school("renew")[0] == 0
    with closing(school.registry()) as registry:
        roll = registry.roll()
    assert roll.changed == [OTHERS[0]] and not roll.complete


def test_a_gate_at_work_is_in_the_way(school: School) -> None:
    in_use = Lock(school.data / "gallery.sqlite")
    code, said = school("renew")
    in_use.leave()
    assert code == 6 and "stop the gate" in said[-1]["error"]


def test_a_registry_of_before_rotations_is_moved_by_its_first_renewal(school: School) -> None:
    with closing(school.registry()) as registry, registry.database.writing() as database:
        database.execute("UPDATE vault SET rotated = 0")
    before = kept(school)
    (school.data / "gallery.index").unlink()
    np.testing.assert_allclose(made(school), before, atol=1e-6)
    assert school("renew")[0] == 0
    assert np.abs(kept(school) - before).max() > 0.01
    np.testing.assert_allclose(made(school), before, atol=1e-5)


class Pulled(BaseException):
    """Somebody pulled the plug."""


def pieces(school: School) -> dict[str, bytes]:
    return {
        str(path.relative_to(school.outside)): path.read_bytes()
        for folder in (school.data, school.key.parent)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize("step", range(0, 40, 2))
def test_after_a_power_cut_it_is_the_old_school_or_the_new_one_whole(
    school: School, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before, old = made(school), school.vault.identity
    names = [GONE, *OTHERS]
    left = step
    with monkeypatch.context() as patched:

        def cut(name: str, owner: object) -> None:
            real = getattr(owner, name)

            def counted(*arguments: object, **more: object) -> object:
                nonlocal left
                if not left:
                    raise Pulled
                left -= 1
                return real(*arguments, **more)

            patched.setattr(owner, name, counted)

        cut("rename", Path)
        cut("replace", Path)
        cut("sync", placing)
        cut("forget", placing)
        cut("renew_registry", renewing)
        # What runs to clear up belongs to the program that the plug ended.
        real = placing.settle_alone
        patched.setattr(renewing, "settle_alone", lambda school: None if not left else real(school))
        with suppress(Pulled):
            renewing.renew(school.installation().school)
    with school.installation() as installation:
        key = installation.vault.identity
        installation.registry.recordings.examine()
        assert sorted(installation.registry.names()) == sorted(names)
    np.testing.assert_allclose(made(school), before, atol=1e-5)
    assert not list(school.data.glob("*.before-*")) and not list(school.data.glob("*.restored"))
    assert len(list(school.key.parent.iterdir())) == 1
    assert not (school.data / "gallery.restore.json").exists()
    assert step or key == old


def test_a_full_disk_changes_nothing(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pieces(school)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(renewing, "renew_registry", full)
    code, said = school("renew")
    assert code == 6 and "full" in said[-1]["error"]
    assert pieces(school) == before


def test_a_key_file_of_a_renewed_school_is_read_again_and_damage_is_found(tmp_path: Path) -> None:
    vault, path = Vault().renewed().renewed(), tmp_path / "key"
    vault.save(path)
    again = Vault.load(path)
    assert again.identity == vault.identity
    for purpose in ("audit", "erased", "pins", "calibration"):
        assert again.derive(purpose) == vault.derive(purpose)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content)
        flip(path, place)
        with pytest.raises(Exception, match="damaged"):
            Vault.load(path)


def test_two_galleries_of_two_keys_do_not_fit(school: School, tmp_path: Path) -> None:
    with closing(school.registry()) as registry:
        stolen = registry.recordings.kept(
            registry.recordings.numbers(ENCODER.identity)[0], ENCODER.identity
        )
    assert school("renew")[0] == 0
    with closing(
        Gallery.open(school.data / "gallery.sqlite", school.vault, ENCODER.identity, SIZE)
    ) as gallery:
        assert max(gallery.nearest(point)[0].score for point in stolen) < 0.5
    shutil.rmtree(tmp_path / "data")
