"""A machine's place in a fleet, its file, and the invitation to it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import FleetError, SettingsError
from kaimen.fleet.broker_files import allow, rights, withdraw
from kaimen.fleet.invitation import read_invitation, write_invitation
from kaimen.fleet.membership import FILE, Broker, Membership
from kaimen.fleet.topics import Topics
from tests.damage import flip

DESK = Membership.create("office", Broker("broker.example", password="secret"))
PASSPHRASE = b"correct horse battery"


def test_a_place_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    gate = replace(DESK.invited("canteen", "gate", DESK.broker, ("indoors",)), since=7)
    gate.save(tmp_path)
    assert Membership.load(tmp_path) == gate
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_desk_without_its_key_is_damaged_and_no_gate() -> None:
    with pytest.raises(FleetError, match="office: damaged"):
        Membership.parse(replace(DESK, signing="").rendered(), "office")


def test_no_secret_is_shown() -> None:
    shown = repr(DESK)
    for secret in (DESK.key, DESK.secret, DESK.signing, "password='secret'"):
        assert secret not in shown


def test_where_there_is_no_place_it_is_said_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="'kaimen fleet join'"):
        Membership.load(tmp_path)


@given(at=st.integers(0), by=st.integers(1, 255))
def test_a_damaged_place_is_refused_or_what_it_was(at: int, by: int) -> None:
    written = bytearray(DESK.rendered())
    written[at % len(written)] ^= by
    try:
        found = Membership.parse(bytes(written), "here")
    except FleetError:
        return
    assert found.desk in found.desks  # a letter of a name, of an address or of a password


def test_an_invitation_opens_by_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "canteen.invitation"
    gate = DESK.invited("canteen", "gate", DESK.broker, ())
    write_invitation(path, gate, PASSPHRASE)
    assert read_invitation(path, PASSPHRASE) == gate
    assert gate.key.encode() not in path.read_bytes()
    with pytest.raises(FleetError, match="another passphrase"):
        read_invitation(path, b"guessed")
    flip(path, -1)
    with pytest.raises(FleetError, match="changed since"):
        read_invitation(path, PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"kaimen-invitation-1\n", b"PK\x03\x04" * 20])
def test_what_is_no_invitation_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FleetError, match="not an invitation"):
        read_invitation(path, PASSPHRASE)
    with pytest.raises(FleetError, match="cannot be read"):
        read_invitation(tmp_path / "none", PASSPHRASE)


@pytest.mark.parametrize("name", ["", "Canteen", "a/b", "a+", "#", "x" * 40, "ü", "-a", "a\n"])
def test_a_name_that_could_be_another_topic_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="small letters"):
        DESK.invited(name, "gate", DESK.broker, ())


def test_a_second_desk_is_believed_by_whom_the_first_one_invites_later() -> None:
    second = DESK.invited("second", "desk", DESK.broker, ())
    assert second.is_desk
    assert second.gate_key("canteen") == DESK.gate_key("canteen")
    known = replace(DESK, desks=second.desks).invited("late", "gate", DESK.broker, ())
    assert second.desk in known.desk_keys


def test_a_gate_has_the_rights_that_it_needs_and_no_more() -> None:
    said = rights("canteen", Topics("f"), False)
    assert "write kaimen/f/gates/canteen/status" in said
    assert not [line for line in said.splitlines() if "write" in line and "canteen" not in line]
    assert "readwrite" not in said
    assert not [line for line in said.splitlines() if "gates/" in line and "canteen" not in line]


def test_a_user_is_in_the_lists_once_and_goes_again(tmp_path: Path) -> None:
    for password in ("first", "second"):
        allow(tmp_path, "canteen", password, Topics("f"), desk=False)
    allow(tmp_path, "north", "third", Topics("f"), desk=False)
    assert (tmp_path / "passwords").read_text().count("canteen:") == 1
    assert (tmp_path / "rights").read_text().count("user canteen\n") == 1
    assert withdraw(tmp_path, "canteen")
    assert "canteen" not in (tmp_path / "passwords").read_text()
    assert "canteen" not in (tmp_path / "rights").read_text()
    assert "user north\n" in (tmp_path / "rights").read_text()


def test_a_pseudonym_is_of_the_name_however_it_is_written() -> None:
    topics, pseudonym = DESK.topics, DESK.pseudonym
    assert pseudonym("Rene\u0301") == pseudonym("Ren\u00e9")
    assert pseudonym("Rene") != pseudonym("Ren\u00e9")
    called = pseudonym("anna")
    assert topics.pseudonym_of(topics.student(called)) == called
    for rest in ("students/aa/bb", "manifest/x", f"students/{called}"):
        other = f"{topics.root}/{rest}"
        assert topics.pseudonym_of(other) == ""
