"""What Home Assistant is told, held against its own schema where that is installed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kaimen.bridge.discovery import Payload, configurations
from kaimen.bridge.problems import Condition
from kaimen.settings import MqttSettings

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-homeassistant" / "bin" / "python"
VALIDATE = Path(__file__).parent / "homeassistant" / "validate.py"
BLUEPRINT = ROOT / "docs" / "use" / "bridge" / "kaimen-alarm.yaml"
CONDITIONS = [
    Condition("gate", "gate", "ok"),
    Condition("fault_tamper", "door: tamper", "ok"),
    Condition("doctor_noise_floor", "noise floor", "broken", "loud", "move it"),
]
CHOICES = [
    {},
    {"unlock": True},
    {"unlock": True, "entity": "button"},
    {"name": "north-1", "topic": "school", "students": True},
]

needs_home_assistant = pytest.mark.skipif(
    not PYTHON.exists(), reason="Home Assistant's schema is not installed: make homeassistant"
)


def told(*, contact: bool = True, **chosen: Any) -> dict[str, Payload]:
    """Payloads that are no removal."""
    settings = MqttSettings(host="broker", **chosen)
    found = configurations(settings, CONDITIONS, contact=contact)
    return {key: payload for key, payload in found.items() if payload}


def validated(payloads: dict[str, Payload], *paths: Path) -> tuple[int, str]:
    done = subprocess.run(
        [PYTHON, VALIDATE, *paths],
        input=json.dumps(payloads),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr[-2000:]


@needs_home_assistant
@pytest.mark.slow
@pytest.mark.parametrize("chosen", CHOICES, ids=lambda chosen: ",".join(chosen) or "defaults")
def test_home_assistants_own_schema_takes_every_payload(chosen: dict[str, Any]) -> None:
    code, said = validated(told(**chosen), BLUEPRINT)
    assert code == 0, said
    assert "Home Assistant 20" in said


@needs_home_assistant
@pytest.mark.slow
def test_that_schema_refuses_what_is_wrong() -> None:
    wrong = told(unlock=True)
    wrong["lock/door"]["command_topic"] = "a/#"
    wrong["event/decision"].pop("event_types")
    wrong["sensor/state"]["entity_category"] = "x"
    code, said = validated(wrong)
    assert code == 1
    assert all(key in said for key in ("lock/door", "event/decision", "sensor/state"))


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({}, {"binary_sensor/door"}),
        ({"unlock": True}, {"lock/door"}),
        ({"unlock": True, "entity": "button"}, {"button/door", "binary_sensor/door"}),
        ({"entity": "button"}, {"binary_sensor/door"}),
    ],
)
def test_what_can_open_is_shown_only_where_it_may(chosen: dict[str, Any], shown: set[str]) -> None:
    assert {key for key in told(**chosen) if key.endswith("/door")} == shown
    every = configurations(MqttSettings(**chosen), CONDITIONS, contact=True)
    # What another choice had shown is taken away.
    assert {key for key in every if key.endswith("/door")} == {
        "lock/door", "button/door", "binary_sensor/door",
    }  # fmt: skip
    commands = [key for key, payload in told(**chosen).items() if "command_topic" in payload]
    assert bool(commands) == bool(chosen.get("unlock"))


def test_a_contact_is_shown_only_where_one_is_wired() -> None:
    assert "binary_sensor/contact" in told()
    assert "binary_sensor/contact" not in told(contact=False)


def test_gates_of_one_school_are_told_apart() -> None:
    one, other = told(name="north"), told(name="south")
    ids = [payload["unique_id"] for each in (one, other) for payload in each.values()]
    assert len(ids) == len(set(ids))
    topics = {payload["state_topic"] for payload in one.values() if "state_topic" in payload}
    assert all(topic.startswith("kaimen/north/") for topic in topics)


def test_a_problem_is_believed_while_the_gate_does_not_run() -> None:
    found = told()
    assert len(found["binary_sensor/gate"]["availability"]) == 1
    assert len(found["event/decision"]["availability"]) == 2
