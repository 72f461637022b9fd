"""An installation opens a part when it is asked for, once, and closes all of them together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kaimen.audit import Audit, export
from kaimen.door.relay import Relay
from kaimen.errors import GalleryError
from kaimen.installation import Installation
from kaimen.registry.lock import InUse, alone
from kaimen.registry.vault import Vault
from kaimen.settings import DoorSettings, GallerySettings, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A school that nobody is enrolled in yet, and a door without pins."""
    gallery = GallerySettings(str(tmp_path / "gallery.sqlite"), str(tmp_path / "key"))
    return Settings(gallery=gallery, door=DoorSettings(mock=True))


def test_nothing_is_opened_before_it_is_asked_for(settings: Settings, tmp_path: Path) -> None:
    with Installation.open(settings) as installation:
        assert installation.settings is settings
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_opened_once_and_all_are_closed_together(settings: Settings) -> None:
    path = settings.gallery.file
    with Installation.open(settings) as installation:
        gallery = installation.gallery_or_new
        assert installation.gallery_or_new is installation.gallery is gallery
        assert installation.checks is installation.checks
        assert installation.models.encoder is installation.encoder
        with pytest.raises(InUse), alone(path):
            pass
    with alone(path):
        pass
    with pytest.raises(GalleryError):
        gallery.registry.students()


def test_a_part_that_was_closed_is_opened_anew_and_the_others_stay(settings: Settings) -> None:
    with Installation.open(settings) as installation:
        gallery, relay = installation.gallery_or_new, installation.relay
        installation.close("relay", "door")
        assert installation.gallery_or_new is gallery and len(gallery) == 0
        assert installation.relay is not relay


def test_a_key_on_a_stick_that_was_pulled_is_needed_no_second_time(settings: Settings) -> None:
    with Installation.open(settings) as installation:
        assert len(installation.gallery_or_new) == 0
        installation.audit.write({"kind": "gate", "event": "before"})
        settings.gallery.key_file.unlink()
        installation.close("audit", "checks")
        assert installation.checks is not None
        installation.audit.write({"kind": "gate", "event": "after"})
        lines = export(installation.log_folder, installation.log_key)
        assert [each["event"] for each in lines] == ["before", "after"]


def test_parts_are_closed_the_latest_first_and_an_error_closes_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def fail(relay: Relay) -> None:
        closed.append("relay")
        close(relay)
        raise OSError

    close = Relay.close
    monkeypatch.setattr(Relay, "close", fail)
    monkeypatch.setattr(Audit, "close", lambda _: closed.append("audit"))
    Vault().save(settings.gallery.key_file)
    with pytest.raises(OSError), Installation.open(settings) as installation:
        _ = installation.audit, installation.relay
    assert closed == ["relay", "audit"]


def test_a_gallery_that_is_not_there_is_not_made_by_who_only_reads_it(settings: Settings) -> None:
    with (
        Installation.open(settings) as installation,
        pytest.raises(GalleryError, match="kaimen enroll"),
    ):
        _ = installation.gallery
    assert not settings.gallery.file.exists()


def test_an_installation_needs_no_command() -> None:
    code = "import sys, kaimen.installation; print([m for m in sys.modules if 'kaimen.cli' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
