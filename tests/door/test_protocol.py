"""What the voice process and the door say to each other, byte for byte."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.door.patterns import SHOWS
from kaimen.door.protocol import (
    LATE,
    LONGEST_REQUEST,
    Alive,
    Busy,
    DoorState,
    Failed,
    FaultStatus,
    Notice,
    NoticesLost,
    NotOpened,
    Open,
    Opened,
    OpenIfWritten,
    RelayStatus,
    Request,
    Rest,
    Show,
    UnknownNotice,
    in_time,
    notice_from_bytes,
    request_from_bytes,
)
from kaimen.door.states import Fault, State

# Never change a line: a voice process that runs may meet a door of another version.
REQUESTS: list[tuple[bytes, Request]] = [
    (b"open", Open()),
    (b"open 0.000", Open(0.0)),
    (b"open 12345.678", Open(12345.678)),
    (b"open-if-written 12345.678", OpenIfWritten(12345.678)),
    (b"rest", Rest()),
    (b"alive", Alive()),
    (b"show listening", Show("listening")),
    (b"show unknown", Show("unknown")),
    (b"show again", Show("again")),
    (b"show refused", Show("refused")),
    (b"show granted", Show("granted")),
    (b"show beep", Show("beep")),
    (b"show idle", Show("idle")),
    (b"show fault", Show("fault")),
    (b"show enrolling", Show("enrolling")),
    (b"show kept", Show("kept")),
    (b"show enrolled", Show("enrolled")),
]
NOTICES: list[tuple[bytes, Notice]] = [
    (b"relay on", RelayStatus(True)),
    (b"relay off", RelayStatus(False)),
    (b"state shut", DoorState("shut")),
    (b"state unlocked", DoorState("unlocked")),
    (b"state passing", DoorState("passing")),
    (b"state locking", DoorState("locking")),
    (b"state ajar", DoorState("ajar")),
    (b"state held", DoorState("held")),
    (b"state forced", DoorState("forced")),
    (b"fault voice on", FaultStatus("voice", True)),
    (b"fault microphone off", FaultStatus("microphone", False)),
    (b"fault resent on", FaultStatus("resent", True)),
    (b"fault tamper on", FaultStatus("tamper", True)),
    (b"opened by voice", Opened("voice")),
    (b"opened by button", Opened("button")),
    (b"not opened: no lease can be timed", NotOpened("no lease can be timed")),
    (b"lost 12", NoticesLost(12)),
    (b"alive", Alive()),
    (b"busy", Busy()),
    ("failed pin 4: él".encode(), Failed("pin 4: él")),
]


@pytest.mark.parametrize(("packet", "request_"), REQUESTS, ids=[str(r) for _, r in REQUESTS])
def test_a_request_is_exactly_these_bytes(packet: bytes, request_: Request) -> None:
    assert request_.to_bytes() == packet
    assert request_from_bytes(packet) == request_
    assert len(packet) <= LONGEST_REQUEST


@pytest.mark.parametrize(
    ("packet", "notice"), NOTICES, ids=[str(n).partition(":")[0] for _, n in NOTICES]
)
def test_a_notice_is_exactly_these_bytes(packet: bytes, notice: Notice) -> None:
    assert notice.to_bytes() == packet
    assert notice_from_bytes(packet) == notice


def test_every_message_pattern_state_and_fault_has_its_bytes_here() -> None:
    here = [message for _, message in REQUESTS + NOTICES]
    said = {*get_args(Request), *get_args(Notice)} - {UnknownNotice}
    assert {type(each) for each in here} == said
    assert {each.what for each in here if isinstance(each, Show)} == set(SHOWS)
    assert {each.name for each in here if isinstance(each, DoorState)} == {s.value for s in State}
    assert {each.name for each in here if isinstance(each, FaultStatus)} == {f.value for f in Fault}


@given(st.binary(max_size=80))
def test_no_other_bytes_are_a_request(packet: bytes) -> None:
    if packet not in dict(REQUESTS):
        with pytest.raises(ValueError):
            request_from_bytes(packet)


@pytest.mark.slow
@given(st.text(max_size=80))
def test_the_reason_of_a_refusal_arrives_as_it_was_given(why: str) -> None:
    assert notice_from_bytes(NotOpened(why).to_bytes()) == NotOpened(why)
    assert notice_from_bytes(Failed(why).to_bytes()) == Failed(why)


@given(st.binary(max_size=80))
def test_every_notice_can_be_read_and_told(packet: bytes) -> None:
    assert isinstance(str(notice_from_bytes(packet)), str)


@pytest.mark.parametrize(
    "text", ["battery low", "relay warm", "relay  on", "lost some", "fault tamper", "état"]
)
def test_what_only_a_later_door_says_is_kept_as_it_was_said(text: str) -> None:
    assert notice_from_bytes(text.encode()) == UnknownNotice(text)
    assert str(notice_from_bytes(text.encode())) == text


def test_a_pattern_that_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="a door cannot show 'open'; one of listening"):
        Show("open")


@pytest.mark.parametrize(
    ("until", "wanted"),
    [(9.999, False), (10.0, True), (10.0 + LATE, True), (10.001 + LATE, False)],
)
def test_an_opening_is_wanted_from_now_on_for_a_while(until: float, wanted: bool) -> None:
    assert in_time(until, 10.0) is wanted
