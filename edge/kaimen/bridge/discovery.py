"""What Home Assistant is told of a gate, so that it shows one without being configured.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. A function of its arguments; the
payloads are held against Home Assistant's own schema in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaimen import __version__
from kaimen.access.decision import Verdict
from kaimen.bridge.problems import Condition
from kaimen.door.states import State
from kaimen.settings import MqttSettings

ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
LOCKED, UNLOCKED = "LOCKED", "UNLOCKED"
UNLOCK = "UNLOCK"  # the one command

Payload = dict[str, Any]


def topic_of(settings: MqttSettings, name: str) -> str:
    """Return where a gate's messages of a name are."""
    return f"{settings.topic}/{settings.name}/{name}"


def node_of(settings: MqttSettings) -> str:
    """Return what a gate is called among Home Assistant's devices."""
    return f"{settings.topic}_{settings.name}"


def configurations(
    settings: MqttSettings, conditions: Sequence[Condition], *, contact: bool
) -> dict[str, Payload]:
    """Return what is published under the discovery prefix, by component and object.

    ``contact``: whether the door has one. An empty payload takes away what an earlier choice of
    settings left.
    """
    found = _door(settings)
    found["sensor/state"] = {
        "name": "Door state",
        "state_topic": topic_of(settings, "state"),
        "device_class": "enum",
        "options": [state.value for state in State],
        "icon": "mdi:door",
    }
    found["event/decision"] = {
        "name": "Decision",
        "state_topic": topic_of(settings, "decision"),
        "event_types": [verdict.value for verdict in Verdict],
        "icon": "mdi:account-voice",
    }
    found["binary_sensor/contact"] = {}
    if contact:
        found["binary_sensor/contact"] = _binary(settings, "contact", "Door", "door")
    found["binary_sensor/alarm"] = _binary(settings, "alarm", "Door held or forced", "problem")
    for each in conditions:
        kind = "tamper" if each.name == "fault_tamper" else "problem"
        topic = f"problem/{each.name}"
        payload = _binary(settings, topic, each.title.capitalize(), kind)
        payload["entity_category"] = "diagnostic"
        payload["json_attributes_topic"] = topic_of(settings, f"{topic}/details")
        found[f"binary_sensor/{each.name}"] = payload
    return {key: _whole(settings, key, payload) for key, payload in found.items()}


def _door(settings: MqttSettings) -> dict[str, Payload]:
    """Return the door as what was chosen; as a mere sensor where no command may open it."""
    found: dict[str, Payload] = {"lock/door": {}, "button/door": {}, "binary_sensor/door": {}}
    if not settings.unlock or settings.entity == "button":
        found["binary_sensor/door"] = {
            "name": "Lock",
            "state_topic": topic_of(settings, "lock"),
            "payload_on": UNLOCKED,
            "payload_off": LOCKED,
            "device_class": "lock",
        }
    if settings.unlock and settings.entity == "button":
        found["button/door"] = {
            "name": "Open",
            "command_topic": topic_of(settings, "command"),
            "payload_press": UNLOCK,
            "icon": "mdi:door-open",
        }
    elif settings.unlock:
        found["lock/door"] = {
            "name": "Lock",
            "state_topic": topic_of(settings, "lock"),
            "command_topic": topic_of(settings, "command"),
            "payload_unlock": UNLOCK,
            "payload_lock": "LOCK",  # which the door does by itself
            "state_locked": LOCKED,
            "state_unlocked": UNLOCKED,
            "optimistic": False,
        }
    return found


def _binary(settings: MqttSettings, topic: str, name: str, kind: str) -> Payload:
    return {
        "name": name,
        "state_topic": topic_of(settings, topic),
        "payload_on": ON,
        "payload_off": OFF,
        "device_class": kind,
    }


def _whole(settings: MqttSettings, key: str, payload: Payload) -> Payload:
    """Add what all have: who they are, of which device, and when they are to be believed."""
    if not payload:
        return {}
    component, _, name = key.partition("/")
    # A problem is told while the gate does not run, too: that is one.
    needed = ["available"] if payload.get("entity_category") else ["available", "running"]
    return {
        **payload,
        "unique_id": f"{node_of(settings)}_{component}_{name}",
        "availability": [
            {
                "topic": topic_of(settings, each),
                "payload_available": ONLINE,
                "payload_not_available": OFFLINE,
            }
            for each in needed
        ],
        "availability_mode": "all",
        "qos": 1,
        "device": {
            "identifiers": [node_of(settings)],
            "name": f"Kaimen {settings.name}",
            "manufacturer": "Kaimen",
            "model": "Voice gate",
            "sw_version": __version__,
        },
        "origin": {"name": "kaimen", "sw_version": __version__},
    }
