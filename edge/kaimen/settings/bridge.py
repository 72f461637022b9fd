"""[bridge]: which systems hear what the gate says, and what each of them may know."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from kaimen.errors import SettingsError

ENTITIES = ("lock", "button")
OSDP_SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400)  # baud
WIEGAND_BITS = (26, 34)
TOPIC = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """[bridge.mqtt]: Home Assistant, Node-RED, ESPHome and whoever else reads a broker."""

    host: str = ""  # of the broker; empty: none
    port: int = 1883
    username: str = ""
    password: str = ""  # path of a file with the password alone
    tls: bool = False
    authority: str = ""  # path of the certificates that are trusted; empty: the system's
    name: str = "gate"  # of this gate: part of every topic
    topic: str = "kaimen"  # what every topic begins with
    discovery: str = "homeassistant"  # prefix of the discovery; empty: none
    entity: str = "lock"  # or "button": what Home Assistant shows of the door
    unlock: bool = False  # whether a command may open the door
    students: bool = False  # whether decisions name the student

    def __post_init__(self) -> None:
        for name in ("name", "topic"):
            if not TOPIC.fullmatch(getattr(self, name)):
                raise SettingsError(f"mqtt.{name} may have letters, digits, - and _ only")
        if self.discovery and not TOPIC.fullmatch(self.discovery):
            raise SettingsError("mqtt.discovery may have letters, digits, - and _ only")
        if self.entity not in ENTITIES:
            raise SettingsError(f"mqtt.entity must be one of {', '.join(ENTITIES)}")
        _require_port("mqtt.port", self.port)


@dataclass(frozen=True, slots=True)
class OsdpSettings:
    """[bridge.osdp]: an access panel on an RS-485 line, for which the gate is a reader."""

    device: str = ""  # of the serial line; empty: none
    baud: int = 9600
    address: int = 1
    key: str = ""  # path of a file with the secure channel's key, 32 hexadecimal digits
    plain: bool = False  # talk without a secure channel, too; for the first wiring only
    bits: int = 26  # of a card's number: 26 or 34, as Wiegand has it
    facility: int = 0
    late: float = 3.0  # seconds after which a read that was not delivered is dropped

    def __post_init__(self) -> None:
        if self.device and not self.device.startswith("/"):
            raise SettingsError("osdp.device must begin with /, like /dev/serial/by-id/usb-...")
        if self.baud not in OSDP_SPEEDS:
            raise SettingsError(f"osdp.baud must be one of {', '.join(map(str, OSDP_SPEEDS))}")
        if not 0 <= self.address <= 126:
            raise SettingsError("osdp.address must be from 0 to 126")
        if not 0.2 <= self.late <= 10:
            raise SettingsError("osdp.late must be from 0.2 to 10 seconds")
        if self.device and not self.key and not self.plain:
            raise SettingsError("osdp.key must name a file with a key, or plain must be true")
        _require_card("osdp", self.bits, self.facility)


@dataclass(frozen=True, slots=True)
class WiegandSettings:
    """[bridge.wiegand]: two pins to a panel that knows nothing newer; BCM numbers, -1: none."""

    data0: int = -1
    data1: int = -1
    bits: int = 26
    facility: int = 0
    late: float = 1.0  # seconds after which a read is not sent any more

    def __post_init__(self) -> None:
        for name in ("data0", "data1"):
            if not -1 <= getattr(self, name) <= 27:
                raise SettingsError(f"wiegand.{name} must be a BCM number from 0 to 27, or -1")
        if (self.data0 < 0) != (self.data1 < 0):
            raise SettingsError("wiegand.data0 and wiegand.data1 must both be given, or neither")
        if self.data0 >= 0 and self.data0 == self.data1:
            raise SettingsError("wiegand.data1 must be another pin than wiegand.data0")
        if not 0.2 <= self.late <= 10:
            raise SettingsError("wiegand.late must be from 0.2 to 10 seconds")
        _require_card("wiegand", self.bits, self.facility)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """[bridge.webhook]: signed posts to one address."""

    url: str = ""  # empty: none
    secret: str = ""  # path of a file with the secret that signs
    students: bool = False  # whether decisions name the student

    def __post_init__(self) -> None:
        if not self.url:
            return
        if not re.match(r"https?://[^/\s]", self.url):
            raise SettingsError("webhook.url must begin with https:// or http://")
        if not self.secret:
            raise SettingsError("webhook.secret must name a file with a secret")


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """[bridge.metrics]: figures for Prometheus, on loopback alone."""

    port: int = 0  # 0: none

    def __post_init__(self) -> None:
        if self.port:
            _require_port("metrics.port", self.port)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """[bridge.notify]: messages to people, by whatever Apprise reaches."""

    urls: str = ""  # path of a file with an Apprise address a line; empty: none
    every: float = 15.0  # minutes between two messages of one kind

    def __post_init__(self) -> None:
        if not 1 <= self.every <= 1440:
            raise SettingsError("notify.every must be from 1 to 1440 minutes")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """[bridge]"""

    key: str = ""  # of the log; empty: bridge.key beside the school's key
    cards: str = ""  # path of a CSV file, student,number; empty: none
    doctor: str = ""  # path of what 'kaimen doctor --json' wrote last; empty: none
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    osdp: OsdpSettings = field(default_factory=OsdpSettings)
    wiegand: WiegandSettings = field(default_factory=WiegandSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)

    def key_file(self, school: Path) -> Path:
        """Return where the log's key is kept for the bridge, by where the school's key is."""
        return Path(self.key) if self.key else school.with_name("bridge.key")


def _require_port(name: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise SettingsError(f"{name} must be from 1 to 65535")


def _require_card(section: str, bits: int, facility: int) -> None:
    if bits not in WIEGAND_BITS:
        raise SettingsError(f"{section}.bits must be 26 or 34")
    highest = 255 if bits == 26 else 65535
    if not 0 <= facility <= highest:
        raise SettingsError(f"{section}.facility must be from 0 to {highest}")
