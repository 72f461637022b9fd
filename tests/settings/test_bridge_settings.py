"""[bridge]: sections within a section, each refused with the reason where it cannot be."""

from __future__ import annotations

import pytest

from kaimen.errors import SettingsError
from kaimen.settings import Settings


def read(text: str) -> Settings:
    return Settings.parse(text, "kaimen.toml")


def test_a_section_within_a_section_is_read() -> None:
    settings = read('[bridge]\ncards = "/c.csv"\n[bridge.mqtt]\nhost = "broker"\nunlock = true\n')
    assert settings.bridge.cards == "/c.csv" and settings.bridge.mqtt.host == "broker"
    assert settings.bridge.mqtt.unlock and settings.bridge.osdp == Settings().bridge.osdp


@pytest.mark.parametrize(
    ("section", "line", "sentence"),
    [
        ("mqtt", "hosst = 'x'", r"\[bridge.mqtt\] knows no hosst; did you mean host\?"),
        ("mqtt", "port = 'x'", r"\[bridge.mqtt\] port must be a int"),
        ("mqtt", "port = 0", "mqtt.port must be from 1 to 65535"),
        ("mqtt", "name = 'a/b'", "mqtt.name may have letters"),
        ("mqtt", "discovery = '#'", "mqtt.discovery may have"),
        ("mqtt", "entity = 'door'", "mqtt.entity must be one of lock, button"),
        ("osdp", "device = '/dev/x'", "osdp.key must name a file"),
        ("osdp", "device = 'x'", "osdp.device must begin with /"),
        ("osdp", "baud = 1", "osdp.baud must be one of"),
        ("osdp", "address = 127", "osdp.address must be from 0 to 126"),
        ("osdp", "late = nan", "osdp.late must be"),
        ("osdp", "bits = 37", "osdp.bits must be 26 or 34"),
        ("osdp", "facility = 256", "osdp.facility must be from 0 to 255"),
        ("wiegand", "data0 = 4", "must both be given"),
        ("wiegand", "data0 = 4\ndata1 = 4", "must be another pin"),
        ("wiegand", "data0 = 28\ndata1 = 4", "BCM number"),
        ("wiegand", "late = 0", "wiegand.late must be"),
        ("webhook", "url = 'ftp://x'", "must begin with https"),
        ("webhook", "url = 'https://x'", "webhook.secret must name"),
        ("metrics", "port = 70000", "metrics.port must be"),
        ("notify", "every = 0", "notify.every must be"),
    ],
)
def test_what_cannot_be_is_refused(section: str, line: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read(f"[bridge.{section}]\n{line}\n")


def test_a_section_is_no_value() -> None:
    with pytest.raises(SettingsError, match="mqtt must be a section"):
        read("[bridge]\nmqtt = 1\n")
