"""What is wired to a door, as an operator says it."""

from __future__ import annotations

from typing import Any

import pytest

from kaimen.errors import SettingsError
from kaimen.settings import DoorSettings

OTHERS = ("contact", "button", "tamper", "green", "red", "buzzer")


def test_nothing_but_the_relay_needs_to_be_wired() -> None:
    settings = DoorSettings()
    assert all(getattr(settings, name) == -1 for name in OTHERS)
    assert settings.pulse == 0 and settings.socket == ""


@pytest.mark.parametrize("name", OTHERS)
def test_a_pin_has_one_use(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"door.{name} must be another pin than door.pin: 17"):
        DoorSettings(**{name: 17})


def test_the_first_use_of_a_pin_is_told() -> None:
    with pytest.raises(SettingsError, match=r"door.red must be another pin than door.button: 4"):
        DoorSettings(button=4, red=4)


@pytest.mark.parametrize(
    "options",
    [
        {"green": 28},
        {"contact": -2},
        {"pulse": -0.1},
        {"pulse": 3.1},
        {"pulse": float("nan")},
        {"held": 0.0},
        {"longest": 3.0},
        {"longest": 3601.0},
        {"longest": float("nan")},
        {"held": 3601.0},
        {"held": float("nan")},
        {"contact_closed": "up"},
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"door.{next(iter(options))} must be"):
        DoorSettings(**options)
