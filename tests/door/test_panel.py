"""Inputs are debounced, and everything but the relay may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gpiozero import OutputDevice
from gpiozero.pins.mock import MockFactory

from kaimen.door import panel
from kaimen.door.panel import BOUNCE, Input, Panel
from kaimen.door.pins import mock_pins, trace
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from tests.door.bench import BUTTON, BUZZER, CONTACT, GREEN, RED, TAMPER, wired


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = mock_pins()
    yield factory
    factory.reset()


def test_an_input_that_stays_counts_once(pins: MockFactory) -> None:
    button = Input(BUTTON, "button", pins=pins)
    pins.pin(f"GPIO{BUTTON}").drive_low()
    changes = [button.changed(step / 100) for step in range(20)]
    assert changes.count(True) == 1
    assert changes.index(True) == pytest.approx(BOUNCE * 100, abs=1)
    assert button.low
    button.close()


def test_an_input_counts_from_the_end_of_its_bounce_on(pins: MockFactory) -> None:
    button = Input(BUTTON, "button", pins=pins)
    pins.pin(f"GPIO{BUTTON}").drive_low()
    assert [button.changed(at) for at in (0.0, BOUNCE - 0.001, BOUNCE)] == [False, False, True]
    button.close()


def test_an_input_that_bounces_counts_when_it_is_quiet(pins: MockFactory) -> None:
    button, pin = Input(BUTTON, "button", pins=pins), pins.pin(f"GPIO{BUTTON}")
    changes = []
    for step in range(20):
        (pin.drive_low if step % 2 == 0 or step > 10 else pin.drive_high)()
        changes.append(button.changed(step / 100))
    assert changes.count(True) == 1
    assert changes.index(True) > 12
    button.close()


def test_an_input_that_is_low_from_the_first_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "InputDevice", lambda *_, **__: SimpleNamespace(value=1))
    button = Input(BUTTON, "button", pins=mock_pins())
    assert button.low and not button.changed(0.0) and not button.changed(1.0)


def test_a_spike_is_nothing(pins: MockFactory) -> None:
    button, pin = Input(BUTTON, "button", pins=pins), pins.pin(f"GPIO{BUTTON}")
    pin.drive_low()
    assert not button.changed(0.0)
    assert not button.changed(0.02)
    pin.drive_high()
    assert not any(button.changed(step / 100) for step in range(3, 20))
    assert not button.low
    button.close()


def test_a_door_with_nothing_but_a_relay_has_an_empty_panel(pins: MockFactory) -> None:
    panel = Panel(DoorSettings(), pins=pins)
    assert panel.contact is panel.button is panel.tamper is None
    assert not panel.stands_open and not panel.tampered
    panel.play("forced", 0.0)
    panel.close()


@pytest.mark.parametrize(("closed", "low_is_open"), [("low", False), ("high", True)])
def test_the_contact_is_read_as_it_is_wired(
    pins: MockFactory, closed: str, low_is_open: bool
) -> None:
    panel = Panel(wired(contact_closed=closed), pins=pins)
    assert panel.contact is not None
    assert panel.stands_open is not low_is_open  # nothing pulls it low yet
    pins.pin(f"GPIO{CONTACT}").drive_low()
    panel.contact.changed(0.0)
    panel.contact.changed(1.0)
    assert panel.stands_open is low_is_open
    panel.close()


def test_a_cut_wire_of_the_box_is_an_open_box(pins: MockFactory) -> None:
    panel = Panel(wired(tamper=TAMPER), pins=pins)
    assert panel.tampered
    panel.close()


def test_only_what_changes_is_switched(pins: MockFactory) -> None:
    panel = Panel(wired(), pins=pins)
    for step in range(30):
        panel.play("listening", step / 20)
    assert [change.on for change in trace(pins, GREEN)] == [False, True] * 3 + [False]
    assert [change.on for change in trace(pins, RED)] == [False]
    panel.close()
    assert not pins.pin(f"GPIO{GREEN}").state


def test_a_pattern_begins_anew_when_another_was_between(pins: MockFactory) -> None:
    panel = Panel(wired(), pins=pins)
    beeps = []
    for name, at in (("open", 0.0), ("open", 1.0), ("idle", 2.0), ("open", 3.0)):
        panel.play(name, at)
        beeps.append(bool(pins.pin(f"GPIO{BUZZER}").state))
    panel.restart("open")
    panel.play("open", 4.0)
    beeps.append(bool(pins.pin(f"GPIO{BUZZER}").state))
    assert beeps == [True, False, False, True, True]
    panel.close()


@pytest.mark.parametrize("name", ["contact", "button", "tamper", "green", "red", "buzzer"])
def test_a_pin_in_use_is_told_by_name_and_nothing_stays_claimed(
    pins: MockFactory, name: str
) -> None:
    with (
        OutputDevice(0, pin_factory=pins),
        pytest.raises(DeviceError, match=f"{name} pin 0 cannot be used"),
    ):
        Panel(wired(**{name: 0}), pins=pins)
    Panel(wired(), pins=pins).close()


def test_closing_twice_does_no_harm(pins: MockFactory) -> None:
    panel = Panel(wired(), pins=pins)
    panel.close()
    panel.close()


def test_a_light_that_cannot_be_switched_off_keeps_no_pin_claimed(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = Panel(wired(), pins=pins)
    with monkeypatch.context() as broken:
        broken.setattr(OutputDevice, "off", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            panel.close()
    Panel(wired(), pins=pins).close()
