"""A Raspberry Pi laid out in a folder, with a gate that is well; tests spoil one thing each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from kaimen.audit import Audit
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.cli.main import main
from kaimen.doctor import services
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice.encoder import Encoder
from kaimen.voice.evidence import Evidence
from kaimen.voice.phrase import PhraseEncoder
from kaimen.voice.score import RULE
from tests.gallery.points import school
from tests.sounds import in_a_room, silence, spoken

STUDENTS = 12
UNITS = Path(__file__).parents[2] / "systemd"

# What systemctl says is in files; a unit without one is not known.
SYSTEMCTL = """#!/bin/sh
cat "{root}/units/$2.$1" 2>/dev/null || echo not-found
"""
ANALYZE = """#!/bin/sh
echo "→ Overall exposure level for kaimen.service: $(cat '{root}/exposure') OK"
"""
FIRMWARE = """#!/bin/sh
echo "throttled=$(cat '{root}/throttled')"
"""


class Pi:
    """The folder: ``root`` is the machine's, ``data`` the gallery's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.data = folder / "data"
        self.key = folder / "key" / "gallery.key"
        self.config = folder / "kaimen.toml"
        self.sound = folder / "sound.wav"
        self.settings: dict[str, dict[str, object]] = {
            "gallery": {"path": str(self.data / "gallery.sqlite"), "key": str(self.key)},
            "door": {},
        }
        self.write("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write("dev/gpiochip0")
        self.write("dev/rtc0")
        self.write("boot/firmware/config.txt", "dtparam=audio=on\ndtparam=strict_gpiod\n")
        self.write("run/systemd/timesync/synchronized")
        self.write("run/systemd/system/.keep")
        self.write("sys/fs/ext4/mmcblk0p2/errors_count", "0\n")
        self.write("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.program("systemctl", SYSTEMCTL)
        self.program("systemd-analyze", ANALYZE)
        self.write("exposure", "0.8")
        for unit in UNITS.glob("*.service"):
            self.write(f"etc/systemd/system/{unit.name}", unit.read_text())
            runs = unit.stem in services.UNITS
            self.write(f"units/{unit.stem}.is-active", "active" if runs else "inactive")
            self.write(f"units/{unit.stem}.is-enabled", "enabled" if runs else "disabled")
        self.hears(in_a_room(silence(0.15), spoken(0.2), silence(0.15), level=-60.0))

    def write(self, path: str, text: str = "") -> Path:
        """A file of the machine."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def remove(self, path: str) -> None:
        """A file of the machine that is not there after all."""
        (self.root / path).unlink()

    def program(self, name: str, text: str) -> None:
        """A program of the machine; no braces but {root}."""
        file = self.write(f"usr/bin/{name}", text.replace("{root}", str(self.root)))
        file.chmod(0o755)

    def hears(self, sound: Samples) -> None:
        """What is played in the microphone's place."""
        soundfile.write(self.sound, sound, SAMPLE_RATE)

    def door(self, **settings: object) -> None:
        """Settings of the door."""
        self.settings["door"].update(settings)

    def reader(self, **settings: object) -> None:
        """Settings of the card reader."""
        self.settings.setdefault("reader", {}).update(settings)

    def gate(self, **settings: object) -> None:
        """Settings of the gate."""
        self.settings.setdefault("gate", {}).update(settings)

    def enroll(
        self, *, words: bool = True, encoder: str = "", group: str = "", spread: float = 0.8
    ) -> None:
        """A school of noise, with its index, its calibration and a log."""
        vault = Vault()
        vault.save(self.key)
        card = Encoder().card
        identity = encoder or card.sha256
        path = self.data / "gallery.sqlite"
        gallery = Gallery.open(path, vault, identity, card.dimension)
        phrase = PhraseEncoder()
        shape = (phrase.card.parts, phrase.card.dimension)
        said = Evidence(np.ones(shape, np.float32), phrase.identity) if words else Evidence()
        for number, own in enumerate(school(STUDENTS, 3, card.dimension, spread=spread)):
            gallery.enroll(f"s{number:02}", list(own), group=group, evidence=[said] * 3)
        gallery.save()
        gallery.registry.close()
        self.calibrated(students=STUDENTS, encoder=identity)
        with Audit(self.data / "audit", vault.derive("audit"), largest=300) as log:
            for _ in range(9):
                log.write({"kind": "door", "event": "opened by button"})

    def calibrated(
        self,
        *,
        students: int,
        encoder: str,
        fpir: float = 0.01,
        strangers: int = 1_000,
        grown: int = 0,
    ) -> None:
        """A calibration for so many."""
        Calibration(
            threshold=0.6,
            interval=(0.5, 0.7),
            fpir=fpir,
            promised=0.001,
            encoder=encoder,
            students=students,
            recordings=3 * students,
            expected_fpir=0.0,
            expected_fnir=0.0,
            claim_threshold=0.4,
            claim_fnmr=0.0,
            trade=[],
            forecast=[],
            score=RULE,
            strangers=strangers,
            grown=grown,
        ).save(calibration_path(self.data / "gallery.sqlite"), Vault.load(self.key))

    def written(self) -> Path:
        """The settings as a file."""
        lines = []
        for section, values in self.settings.items():
            if isinstance(values, list):
                tables = [f"groups = {json.dumps(each['groups'])}" for each in values]
                lines += [line for each in tables for line in (f"[[{section}]]", each)]
                continue
            lines += [f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self.config

    def examined(self, *options: str) -> int:
        """`kaimen doctor` of it, whole."""
        given = ["--config", str(self.written()), "--root", str(self.root), "--seconds", "0.5"]
        return main(["doctor", *given, "--play", str(self.sound), *options])
