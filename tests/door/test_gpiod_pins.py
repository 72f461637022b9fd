"""Pins of every board, by the chip's label; no output is ever driven to on but by an opening."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpiod.line import Direction
from gpiozero import (
    InputDevice,
    OutputDevice,
    PinFixedPull,
    PinInvalidFunction,
    PinInvalidPull,
    PinSetInput,
)

from kaimen.door.chip import chips, drive, header_chip
from kaimen.door.pins import real_pins
from kaimen.door.relay import Relay
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from tests.door.bench import BUTTON, BUZZER, GREEN, RED, Bench, wired
from tests.door.chips import BCM2711, BCM2835, BOARDS, EXPANDER, RP1, Machine

Make = Callable[..., Machine]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    def make(labels: dict[int, str] | None = None, **others: Any) -> Machine:
        return Machine.installed(monkeypatch, labels or {0: BCM2835}, tmp_path, **others)

    return make


@pytest.mark.parametrize("named", [True, False], ids=["lines named", "lines without names"])
@pytest.mark.parametrize("board", BOARDS, ids=" ".join)
def test_the_header_is_found_by_its_label_whatever_its_number(
    board: tuple[str, str], named: bool, machine: Make
) -> None:
    labels = BOARDS[board]
    pi = machine(labels, named=named)
    with OutputDevice(17, pin_factory=real_pins()) as device:
        device.on()
        assert pi.line(17).high
    number = next(n for n, label in labels.items() if label in (RP1, BCM2711, BCM2835))
    assert pi.touched() == {str(pi.folder / f"gpiochip{number}")}


def test_a_second_name_of_a_chip_is_no_second_chip(machine: Make) -> None:
    pi = machine({10: RP1})
    (pi.folder / "gpiochip4").symlink_to("gpiochip10")
    assert str(header_chip()) == f"gpiochip10 ({RP1})"


def test_a_chip_that_cannot_be_asked_hides_no_other(machine: Make) -> None:
    machine({0: EXPANDER, 1: RP1}, forbidden={0})
    assert header_chip().name == "gpiochip1"


def test_a_line_is_found_by_its_name_wherever_it_is(machine: Make) -> None:
    pi = machine()
    pi.line(17).name, pi.line(20).name = "GPIO20", "GPIO17"
    drive(17, True)
    assert pi.line(20).driven == [True] and pi.line(17).driven == []


def test_chips_that_are_none_of_the_header_are_named(machine: Make) -> None:
    machine({0: EXPANDER, 1: RP1}, forbidden={1})
    with pytest.raises(DeviceError, match=EXPANDER) as caught:
        real_pins()
    assert "gpiochip1 (Permission denied)" in str(caught.value) and "group gpio" in str(
        caught.value
    )


def test_a_pin_that_another_program_has_is_named(machine: Make) -> None:
    machine()
    pins = real_pins()
    with (
        Relay(17, pins=pins),
        pytest.raises(DeviceError, match=r"relay pin 17 cannot be used: .*busy"),
    ):
        Relay(17, pins=real_pins())


@pytest.mark.parametrize("strict", [False, True], ids=["levels persist", "strict"])
@pytest.mark.parametrize("active_high", [True, False], ids=["active high", "active low"])
def test_a_relay_is_on_only_for_its_lease(active_high: bool, strict: bool, machine: Make) -> None:
    pi = machine(strict=strict)
    on, off = int(active_high), int(not active_high)
    relay = Relay(17, pins=real_pins(), active_high=active_high)
    assert pi.line(17).did == [f"output {off}"] and pi.line(17).consumer == "kaimen"
    relay.open()
    relay.close()
    given_back = ["given back", *([f"pulled {off}"] if strict else [])]
    assert pi.line(17).did == [f"output {off}", f"set {on}", f"set {off}", *given_back]


@pytest.mark.parametrize("active_high", [True, False], ids=["active high", "active low"])
@pytest.mark.parametrize("board", BOARDS, ids=" ".join)
def test_no_output_blips_at_start_kill_rest_restart_or_close(
    board: tuple[str, str], active_high: bool, machine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = machine(BOARDS[board])
    monkeypatch.setattr("tests.door.bench.mock_pins", real_pins)
    settings = {"active_high": active_high, "contact": -1}
    outputs = {17: not active_high, GREEN: False, RED: False, BUZZER: False}

    def began_at_rest() -> None:
        for pin, rest in outputs.items():
            did = pi.line(pin).did
            assert did[-1] == f"output {int(rest)}", (pin, did)
            assert "input" not in " ".join(did)
            did.clear()

    killed = Bench(wired(**settings))
    began_at_rest()
    killed.tell("open")
    assert pi.line(17).high is active_high
    pi.kill()
    assert killed.process.relay._timer is not None
    killed.process.relay._timer.cancel()  # it died, too
    killed.voice.close()
    killed.process.server.close()
    assert pi.line(17).high is active_high  # as the kernel leaves it
    for pin, rest in outputs.items():
        pi.line(pin).did.clear()
        drive(pin, rest)
        assert pi.line(pin).driven == [rest] and pi.line(pin).high is rest
    for _ in range(13):  # times the boards, a hundred
        again = Bench(wired(**settings))
        with again.process:
            began_at_rest()
        again.voice.close()
        assert active_high not in pi.line(17).driven
        for pin, rest in outputs.items():
            assert pi.line(pin).high is rest


def test_an_input_has_its_pull_up_from_the_first_call_that_asks_for_it(machine: Make) -> None:
    pi = machine()
    with InputDevice(BUTTON, pull_up=True, pin_factory=real_pins()) as button:
        assert pi.line(BUTTON).did[-1] == "input up"
        assert not button.value
        pi.drive(BUTTON, False)
        assert button.value
    assert pi.line(BUTTON).did[-1] == "given back"
    assert pi.line(BUTTON).driven == []


@pytest.mark.parametrize(
    ("pull", "told"), [("up", "up"), ("down", "down"), ("floating", "disabled")]
)
def test_an_input_has_the_pull_that_is_asked_for(pull: str, told: str, machine: Make) -> None:
    pi, pin = machine(), real_pins().pin(4)
    assert (pin.function, pin.pull) == ("input", "floating")
    pin.pull = pull
    assert (pin.function, pin.pull, pin.state) == ("input", pull, pull == "up")
    assert pi.line(4).did == [f"input {told}"]


@pytest.mark.parametrize("high", [False, True])
def test_a_pin_that_becomes_an_output_keeps_its_level(high: bool, machine: Make) -> None:
    pi, pin = machine(), real_pins().pin(4)
    pi.drive(4, high)
    pin.pull = "up" if high else "down"
    pin.function = "output"
    assert (pin.function, pin.state) == ("output", high)
    pin.state = not high
    assert pi.line(4).driven == [high, not high]
    with pytest.raises(PinFixedPull):
        pin.pull = "up"
    pin.function = "input"
    assert pin.function == "input" and pi.line(4).direction is Direction.INPUT
    pin.close()
    pin.close()
    assert not pi.line(4).taken


def test_a_pin_that_nobody_has_used_is_an_input_when_it_is_read_or_becomes_an_output(
    machine: Make,
) -> None:
    pi, pins = machine(), real_pins()
    assert not pins.pin(4).state
    pins.pin(5).function = "output"
    assert pi.line(4).did == ["input disabled"] and pi.line(5).driven == [False]
    with pytest.raises(PinSetInput):
        pins.pin(6).state = True


def test_a_pin_is_nothing_else(machine: Make) -> None:
    pi, pin = machine(), real_pins().pin(4)
    with pytest.raises(PinInvalidFunction):
        pin.function = "spi"
    with pytest.raises(PinInvalidPull):
        pin.pull = "sideways"
    assert pi.touched() == set()


def test_the_exit_button_of_real_pins_opens(machine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pi = machine({11: RP1})
    monkeypatch.setattr("tests.door.bench.mock_pins", real_pins)
    bench = Bench(wired(contact=-1))
    with bench.process:
        bench.wait(0.1)
        pi.drive(BUTTON, False)
        bench.wait(0.1)
        assert pi.line(DoorSettings().pin).high
    bench.voice.close()


def test_an_input_cannot_be_driven(machine: Make) -> None:
    pi = machine()
    with InputDevice(17, pin_factory=real_pins()) as device, pytest.raises(PinSetInput):
        device.pin.state = 1
    assert "output" not in " ".join(pi.line(17).did)


def test_every_chip_of_the_machine_is_told(machine: Make) -> None:
    machine({0: EXPANDER, 2: EXPANDER, 10: RP1}, forbidden={2})
    assert list(chips()) == [
        {"chip": "gpiochip0", "label": EXPANDER, "lines": 54, "header": False},
        {"chip": "gpiochip2", "error": "Permission denied"},
        {"chip": "gpiochip10", "label": RP1, "lines": 54, "header": True},
    ]
