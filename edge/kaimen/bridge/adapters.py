"""Which systems are configured, each with what serves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kaimen.bridge.metrics import MetricsBridge
from kaimen.bridge.mqtt import MqttBridge
from kaimen.bridge.notify import NotifyBridge
from kaimen.bridge.osdp import OsdpBridge
from kaimen.bridge.source import GateLog
from kaimen.bridge.webhook import WebhookBridge
from kaimen.bridge.wiegand import WiegandBridge
from kaimen.gate.supervisor import Pulse
from kaimen.settings import Settings


class Adapter(Protocol):
    """What serves one system, in a thread of its own."""

    name: str
    patience: float  # seconds it may take between two signs of life

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop."""


def adapters_of(settings: Settings, source: GateLog, say: Callable[[str], None]) -> list[Adapter]:
    """Return what is configured. Raises SettingsError for what cannot be, or lacks its extra."""
    bridge = settings.bridge
    found: list[Adapter] = []
    if bridge.mqtt.host:
        found.append(MqttBridge(bridge.mqtt, settings.door, source, say))
    if bridge.osdp.device:
        found.append(OsdpBridge(bridge.osdp, settings.door, source, say))
    if bridge.wiegand.data0 >= 0:
        found.append(WiegandBridge(bridge.wiegand, settings.door, source, say))
    if bridge.webhook.url:
        found.append(WebhookBridge(bridge.webhook, source, say))
    if bridge.metrics.port:
        found.append(MetricsBridge(bridge.metrics, source))
    if bridge.notify.urls:
        found.append(NotifyBridge(bridge.notify, source, say))
    return found
