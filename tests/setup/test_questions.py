"""What is taken for an answer, and which microphone is meant."""

from __future__ import annotations

import pytest

from kaimen.errors import SettingsError
from kaimen.settings import DoorSettings, Settings
from kaimen.setup.interview import unasked
from kaimen.setup.questions import (
    CONTACT,
    LEASE,
    QUESTIONS,
    RELAY,
    lasting_name,
    microphone_of,
    pin_or_none,
    seconds,
)

USB = "USB PnP Sound Device: Audio (hw:1,0)"
NAMES = ["bcm2835 HDMI: - (hw:0,0)", USB, "Webcam: USB Audio (hw:2,0)"]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.option)
def test_every_default_that_is_shown_can_be_read(question: object) -> None:
    value = question.current(Settings())  # type: ignore[attr-defined]
    assert question.read(question.show(value)) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "taken"),
    [("2", "USB PnP Sound Device"), ("usb pnp", "usb pnp"), ("default", ""), ("hw:2", "hw:2")],
)
def test_a_microphone_is_named_by_number_or_part(answer: str, taken: str) -> None:
    assert microphone_of(NAMES)(answer) == taken


@pytest.mark.parametrize("answer", ["0", "4", "studio"])
def test_a_microphone_that_is_not_there_is_refused(answer: str) -> None:
    with pytest.raises(SettingsError, match="a number from 1 to 3"):
        microphone_of(NAMES)(answer)


def test_without_any_microphone_every_name_is_taken() -> None:
    assert microphone_of([])("studio") == "studio"


def test_numbers_of_cards_are_left_out_unless_only_they_tell_two_apart() -> None:
    assert lasting_name(USB, NAMES) == "USB PnP Sound Device"
    twin = USB.replace("hw:1", "hw:3")
    assert lasting_name(USB, [*NAMES, twin]) == USB


@pytest.mark.parametrize(("answer", "taken"), [("17", 17), ("gpio4", 4), ("none", -1), ("-1", -1)])
def test_pins(answer: str, taken: int) -> None:
    assert pin_or_none(answer) == taken


@pytest.mark.parametrize("answer", ["", "x", "-2", "1.5", "GPIO"])
def test_what_is_no_pin(answer: str) -> None:
    with pytest.raises(SettingsError, match="BCM"):
        RELAY.read(answer)
    with pytest.raises(SettingsError, match="BCM"):
        CONTACT.read(answer)


@pytest.mark.parametrize("answer", ["", "soon", "nan", "inf"])
def test_what_is_no_time(answer: str) -> None:
    with pytest.raises(SettingsError, match="seconds"):
        seconds(answer)


@pytest.mark.parametrize("answer", ["0", "-1", "61"])
def test_a_lease_that_no_relay_may_have(answer: str) -> None:
    with pytest.raises(SettingsError, match="at most 60"):
        LEASE.taken(Settings(), LEASE.read(answer))


def test_pins_may_change_places() -> None:
    old = Settings(door=DoorSettings(pin=17, contact=22, button=23))
    door = unasked(old, {"relay": "22", "contact": "17"}).door
    assert (door.pin, door.contact, door.button) == (22, 17, 23)


def test_two_devices_at_one_pin_are_refused_with_the_option() -> None:
    with pytest.raises(SettingsError, match=r"--button: door\.button must be another pin"):
        unasked(Settings(), {"button": "17"})
