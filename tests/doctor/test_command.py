"""`kaimen doctor` on a Pi in a folder: each line ok, attention or broken, and never an end."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.audit import Audit
from kaimen.doctor.chinese import told
from kaimen.installation import Installation
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.sound import FULL_SCALE, SAMPLE_RATE
from kaimen.sound.bandwidth import limited
from kaimen.sound.recording import read
from kaimen.voice import ENCODERS, SHIPPED, SMALL
from kaimen.voice.encoder import RUNTIMES, Card
from tests.audit.test_audit import torn_head
from tests.bundle.made import second
from tests.doctor.pi import STUDENTS, Pi
from tests.sounds import noise, silence

Found = dict[str, dict[str, Any]]

RUNG = (
    Path(__file__).parents[2] / "training/kaimen_train/weights/ladder/joint.tflite"
)  # another encoder


@pytest.fixture
def school(pi: Pi) -> Pi:
    """With students."""
    pi.enroll()
    return pi


def doctor(pi: Pi, capsys: pytest.CaptureFixture) -> tuple[int, Found]:
    """The exit code, and what was found by name."""
    capsys.readouterr()
    code = pi.examined("--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(list(line) == ["name", "state", "found", "mend", "measured"] for line in lines)
    assert [line for line in lines if not line["mend"] and line["state"] != "ok"] == []
    return code, {line["name"]: line for line in lines}


def test_a_gate_that_is_well_has_nothing_to_mend(school: Pi, capsys: pytest.CaptureFixture) -> None:
    code, found = doctor(school, capsys)
    assert {name: each["found"] for name, each in found.items() if each["state"] != "ok"} == {}
    assert code == 0
    assert list(found) == [
        "settings", "microphone", "noise floor", "rate", "pins", "relay at boot",
        "relay after a crash", "lease", "door", "reader", "encoder", "speed", "bundle",
        "gallery", "seals", "words", "index", "calibration", "files", "key", "log", "drift",
        "disk", "card", "clock", "power", "kaimen-rest",
        "kaimen-door", "kaimen-gate", "hardening",
    ]  # fmt: skip
    assert found["noise floor"]["measured"]["floor"] == pytest.approx(-60, abs=2)
    assert found["speed"]["measured"]["ratio"] > 0
    assert found["encoder"]["measured"]["runtime"] in RUNTIMES
    assert found["encoder"]["measured"]["model"] == "large"
    assert found["gallery"]["measured"]["students"] == STUDENTS


def test_it_writes_nothing(school: Pi, capsys: pytest.CaptureFixture) -> None:
    def everything() -> dict[Path, tuple[int, bytes]]:
        files = [each for each in school.folder.rglob("*") if each.is_file()]
        # SQLite's shared memory and its log, empty, come and go with whoever reads.
        return {
            each: (each.stat().st_mode, each.read_bytes())
            for each in files
            if not each.name.endswith(("-shm", "-wal"))
        }

    school.written()
    before = everything()
    doctor(school, capsys)
    assert everything() == before


def test_a_school_of_the_other_model_names_it(
    pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    network, card = second()
    (tmp_path / "encoder.tflite").write_bytes(network)
    (tmp_path / "encoder.json").write_bytes(card)
    pi.enroll(encoder=Card.read(SMALL.with_suffix(".json")).sha256)
    monkeypatch.setitem(ENCODERS, "large", tmp_path / "encoder.tflite")
    code, found = doctor(pi, capsys)
    assert code == 1 and found["gallery"]["state"] == "broken"
    assert "made by the small encoder" in found["gallery"]["found"]
    assert '[encoder] model = "small"' in found["gallery"]["mend"]
    pi.settings["encoder"] = {"model": "small"}
    assert doctor(pi, capsys)[1]["gallery"]["state"] == "ok"


def test_a_group_of_the_roster_that_nobody_has_is_named(
    pi: Pi, capsys: pytest.CaptureFixture
) -> None:
    pi.enroll(group="7a")
    pi.settings["roster"] = [{"groups": ["7A", "staff"]}]
    found = doctor(pi, capsys)[1]["roster"]
    assert found["state"] == "attention"
    assert "nobody is in '7A', 'staff'" in found["found"]
    assert f"{STUDENTS} students are in no group" in found["found"]
    assert "'7A' may be meant for '7a'" in found["mend"]
    pi.settings["roster"] = [{"groups": ["7a"]}]
    assert doctor(pi, capsys)[1]["roster"]["state"] == "ok"


def test_the_calibration_says_for_how_many_it_is_where_not_everybody_may_enter(
    pi: Pi, capsys: pytest.CaptureFixture
) -> None:
    pi.enroll(group="7a")
    pi.settings["roster"] = [{"groups": ["7a"]}]
    found = doctor(pi, capsys)[1]["calibration"]
    assert found["state"] == "attention"
    assert "it was calibrated without the roster: until you calibrate, the" in found["found"]
    assert found["mend"] == "kaimen calibrate"
    with Installation.open(Settings.read(pi.written()), Screen(as_json=True)) as installation:
        for each in installation.gallery.students[3:]:
            installation.gallery.describe(each, group="8b")
        installation.arming.keep(installation.arming.learn(0.1))
        low, all_students = installation.arming.calibration.threshold, installation.arming.kept
    found = doctor(pi, capsys)[1]["calibration"]
    assert f"threshold {low:.3f} for 3 of {STUDENTS} students, who may enter at" in found["found"]
    assert found["measured"]["threshold"] == low < all_students.threshold
    assert found["measured"]["at_once"] == 3
    told_in_chinese = told("calibration", found["found"], found["mend"])
    assert f"适用于 {STUDENTS} 名学生中可同时进入的 3 名" in told_in_chinese[1]


def test_a_small_school_is_told_what_its_own_recordings_show(
    school: Pi, capsys: pytest.CaptureFixture
) -> None:
    school.calibrated(students=STUDENTS, encoder=shipped(), strangers=20)
    found = doctor(school, capsys)[1]["calibration"]
    assert found["state"] == "attention"
    assert "its own 20 strangers show no less than 15.0%" in found["found"]
    assert "at most" not in found["found"]


def test_people_get_a_table(school: Pi, capsys: pytest.CaptureFixture) -> None:
    school.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert school.examined() == 1
    shown = capsys.readouterr().out
    assert "broken" in shown and "undervoltage right now" in shown and "power supply" in shown


def test_units_and_timers_have_a_line_where_they_are_enabled(
    school: Pi, capsys: pytest.CaptureFixture
) -> None:
    school.write("units/kaimen-console.is-enabled", "enabled")
    school.write("units/kaimen-console.is-active", "failed")
    for name in ("consents", "doctor"):
        school.write(f"units/kaimen-{name}.timer.is-enabled", "enabled")
        school.write(f"units/kaimen-{name}.timer.is-active", "active")
        school.write(f"units/kaimen-{name}.is-active", "inactive")
    school.write("units/kaimen-consents.is-active", "failed")
    school.examined("--json")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    states = {each["name"]: each["state"] for each in found if each["name"].startswith("kaimen-")}
    assert states == {
        "kaimen-rest": "ok",
        "kaimen-door": "ok",
        "kaimen-gate": "ok",
        "kaimen-console": "broken",
        "kaimen-consents.timer": "broken",
        "kaimen-doctor.timer": "ok",
    }
    (timer,) = [each for each in found if each["name"] == "kaimen-consents.timer"]
    assert "journalctl -u kaimen-consents " in timer["mend"]


# One thing is spoiled: what becomes of which line.

Spoil = Callable[[Pi], object]


def shipped() -> str:
    """The identity of the encoder that comes along."""
    return Card.read(SHIPPED.with_suffix(".json")).sha256


def unit(name: str, active: str, enabled: str = "enabled") -> Spoil:
    def spoil(pi: Pi) -> None:
        pi.write(f"units/{name}.is-active", active)
        pi.write(f"units/{name}.is-enabled", enabled)

    return spoil


def throttled(bits: str) -> Spoil:
    return lambda pi: pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", bits)


def without_clocks(pi: Pi) -> None:
    pi.remove("dev/rtc0")
    pi.remove("run/systemd/timesync/synchronized")


def clipped(share: float) -> Spoil:
    def spoil(pi: Pi) -> None:
        sound = noise(1.0, -40.0)
        sound[: round(share * 0.5 * SAMPLE_RATE)] = FULL_SCALE + 0.01  # of what is listened to
        pi.hears(sound)

    return spoil


MACHINE: list[tuple[Spoil, str, str, str]] = [
    (lambda pi: pi.hears(silence(1.0)), "microphone", "broken", "mute"),
    (clipped(0.05), "microphone", "attention", "5% cut off"),
    (clipped(0.3), "microphone", "broken", "30% cut off"),
    (lambda pi: pi.hears(noise(1.0, -40.0)), "noise floor", "attention", "-40 dB"),
    (lambda pi: pi.hears(noise(1.0, -20.0)), "noise floor", "broken", "-20 dB"),
    (lambda pi: pi.sound.write_text("no sound"), "microphone", "broken", "not a sound file"),
    (lambda pi: pi.hears(limited(read(pi.sound), 4_000)), "speech", "attention", "above 4 kHz"),
    (lambda pi: pi.door(mock=True), "pins", "attention", "mock = true"),
    (lambda pi: pi.remove("proc/device-tree/model"), "pins", "attention", "no Raspberry Pi"),
    (lambda pi: pi.remove("dev/gpiochip0"), "pins", "broken", "no /dev/gpiochip"),
    (lambda pi: pi.door(pin=5), "relay at boot", "attention", "GPIO5 is pulled high"),
    (lambda pi: pi.door(active_high=False), "relay at boot", "attention", "pulled low"),
    (lambda pi: pi.door(pin=5, active_high=False), "relay at boot", "ok", "off"),
    (lambda pi: pi.door(pin=2), "relay at boot", "broken", "holds GPIO2 high"),
    (lambda pi: pi.door(pin=0), "relay at boot", "broken", "firmware moves GPIO0"),
    (lambda pi: pi.reader(path="/dev/ttyUSB0"), "reader", "attention", "not there"),
    (lambda pi: pi.reader(path="/dev"), "reader", "broken", "no reader"),
    (
        lambda pi: pi.reader(path="/" + str(pi.write("dev/r").relative_to(pi.root))),
        "reader",
        "ok",
        "a file",
    ),
    (lambda pi: pi.gate(policy="claim"), "reader", "broken", "nobody can say who they are"),
    (
        lambda pi: pi.write("boot/firmware/config.txt", "#dtparam=strict_gpiod"),
        "relay after a crash",
        "attention",
        "keeps a pin's level",
    ),
    (lambda pi: pi.door(lease=30), "lease", "attention", "somebody else"),
    (lambda pi: pi.door(pulse=0.5), "lease", "ok", "on for 0.5 s"),
    (lambda pi: pi.door(button=23), "door", "attention", "exit button does nothing"),
    (lambda pi: pi.door(socket="/run/d"), "door", "broken", "no door can be reached"),
    (
        lambda pi: pi.settings.update(encoder={"path": "/nowhere/encoder.tflite"}),
        "encoder",
        "broken",
        "no card beside the encoder",
    ),
    (
        lambda pi: pi.settings.update(encoder={"runtime": "none"}),
        "encoder",
        "broken",
        "no none is installed",
    ),
    (
        lambda pi: pi.settings.update(encoder={"path": str(RUNG)}),
        "loudspeaker",
        "attention",
        "it hears each phrase alone",
    ),
    (lambda pi: None, "gallery", "broken", "no gallery there"),
    (lambda pi: None, "key", "attention", "none yet"),
    (lambda pi: None, "log", "ok", "none yet"),
    (lambda pi: pi.remove("dev/rtc0"), "clock", "ok", "set by the network"),
    (without_clocks, "clock", "attention", "neither a network"),
    (
        lambda pi: (without_clocks(pi), pi.program("timedatectl", "#!/bin/sh\necho yes\n")),
        "clock",
        "ok",
        "set by the network",
    ),
    (
        lambda pi: pi.write("sys/fs/ext4/mmcblk0p2/errors_count", "3"),
        "card",
        "broken",
        "3 errors",
    ),
    (
        lambda pi: pi.write("sys/block/mmcblk0/device/life_time", "0x01 0x03\n"),
        "card",
        "ok",
        "20 %",
    ),
    (
        lambda pi: pi.write("sys/block/mmcblk0/device/life_time", "0x0a 0x01\n"),
        "card",
        "attention",
        "90 %",
    ),
    (
        lambda pi: pi.write("sys/block/mmcblk0/device/life_time", "0x0b 0x01\n"),
        "card",
        "broken",
        "100 %",
    ),
    (throttled("50005"), "power", "broken", "undervoltage right now"),
    (throttled("50000"), "power", "attention", "undervoltage since the start"),
    (throttled("60004"), "power", "attention", "right now"),
    (throttled("20000"), "power", "attention", "since the start"),
    (throttled("?"), "power", "attention", "does not tell"),
    (lambda pi: pi.remove("proc/device-tree/model"), "power", "ok", "not a Pi"),
    (
        lambda pi: shutil.rmtree(pi.root / "run/systemd/system"),
        "services",
        "attention",
        "no systemd runs here",
    ),
    (unit("kaimen-gate", "failed"), "kaimen-gate", "broken", "failed"),
    (unit("kaimen-gate", "activating"), "kaimen-gate", "attention", "started again"),
    (unit("kaimen-door", "inactive"), "kaimen-door", "attention", "does not run"),
    (unit("kaimen-rest", "active", "disabled"), "kaimen-rest", "attention", "next boot"),
    (lambda pi: pi.remove("usr/bin/systemctl"), "kaimen-rest", "attention", "not installed"),
    (lambda pi: pi.write("exposure", "3.1"), "hardening", "attention", "3.1"),
    (lambda pi: pi.write("exposure", "9.2"), "hardening", "broken", "9.2"),
    (lambda pi: pi.remove("usr/bin/systemd-analyze"), "hardening", "attention", "not known"),
    (
        lambda pi: pi.remove("etc/systemd/system/kaimen-gate.service"),
        "hardening",
        "attention",
        "kaimen-gate is not installed",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "name", "state", "said"), MACHINE, ids=lambda each: each if str(each) == each else ""
)
def test_of_the_machine(
    spoil: Spoil, name: str, state: str, said: str, pi: Pi, capsys: pytest.CaptureFixture
) -> None:
    spoil(pi)
    code, found = doctor(pi, capsys)
    assert (found[name]["state"], code) == (state, 1)  # broken: nobody is enrolled
    assert said in found[name]["found"]


def changed(name: str, at: int = -1) -> Spoil:
    """A byte of a file of the gallery is another."""

    def spoil(pi: Pi) -> None:
        path = pi.data / name
        content = bytearray(path.read_bytes())
        content[at if at >= 0 else len(content) // 2] ^= 0x55
        path.write_bytes(content)

    return spoil


def torn(pi: Pi) -> None:
    with closing(sqlite3.connect(pi.data / "gallery.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = pi.data / "gallery.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def in_sqlite(statement: str) -> Spoil:
    def spoil(pi: Pi) -> None:
        with closing(sqlite3.connect(pi.data / "gallery.sqlite")) as database, database:
            database.execute(statement)

    return spoil


def as_kaimen(statement: str) -> Spoil:
    """Write what Kaimen could have written, seals and all."""

    def spoil(pi: Pi) -> None:
        registry = Registry(pi.data / "gallery.sqlite", Vault.load(pi.key))
        with registry.database._transaction() as database:
            database.execute(statement)
            registry.database._seal_all(database)
        registry.close()

    return spoil


def of_before_the_log(pi: Pi) -> None:
    """Let the log know of a registry that was written three more times."""
    vault = Vault.load(pi.key)
    with closing(Registry(pi.data / "gallery.sqlite", vault)) as registry:
        state = registry.database.state()
    with Audit(pi.data / "audit", vault.derive("audit")) as log:
        later = replace(state, changes=state.changes + 3)
        log.write({"kind": "door", "event": "button", "registry": str(later)})


def beside_its_gallery(pi: Pi) -> None:
    shutil.move(pi.key, pi.data / "k")
    pi.settings["gallery"]["key"] = str(pi.data / "k")


def last_log(pi: Pi) -> str:
    return str(sorted((pi.data / "audit").glob("*.jsonl"))[-1].relative_to(pi.data))


def cut_off(pi: Pi) -> None:
    torn_head(pi.data / "audit", key=Vault.load(pi.key).derive("audit"))


GALLERY: list[tuple[Spoil, str, str, str]] = [
    (torn, "gallery", "broken", "damaged"),
    (lambda pi: (pi.data / "gallery.sqlite").write_text("x" * 99), "gallery", "broken", "damaged"),
    (in_sqlite("PRAGMA user_version = 1"), "gallery", "attention", "earlier Kaimen"),
    (in_sqlite("PRAGMA user_version = 99"), "gallery", "broken", "newer Kaimen"),
    (as_kaimen("DELETE FROM students"), "gallery", "broken", "nobody is enrolled"),
    (as_kaimen("UPDATE students SET encoder = 'x'"), "gallery", "broken", "another encoder"),
    (
        as_kaimen("UPDATE students SET encoder = 'x' WHERE name = 's00'"),
        "gallery",
        "attention",
        "1 of another encoder",
    ),
    (
        as_kaimen("UPDATE students SET consent = '2020-01-01' WHERE name < 's02'"),
        "gallery",
        "attention",
        "2 of them without consent",
    ),
    (
        in_sqlite("UPDATE students SET consent = NULL, class = 'x' WHERE name < 's02'"),
        "seals",
        "broken",
        "s00, s01",
    ),
    (in_sqlite("DELETE FROM students WHERE name = 's02'"), "seals", "broken", "taken out"),
    (in_sqlite("UPDATE vault SET changes = changes + 1"), "seals", "broken", "taken out"),
    (of_before_the_log, "seals", "broken", "older than the log"),
    (
        in_sqlite("UPDATE recordings SET highest = 4000"),
        "recordings",
        "attention",
        "no speech above 4 kHz",
    ),
    (in_sqlite("UPDATE recordings SET said = NULL"), "words", "attention", "12 students"),
    (lambda pi: (pi.data / "gallery.index").unlink(), "index", "attention", "cannot be read"),
    (changed("gallery.index"), "index", "attention", "changed"),
    (
        in_sqlite("DELETE FROM recordings WHERE number = 1"),
        "index",
        "attention",
        "36 recordings, and the registry has 35",
    ),
    (changed("gallery.calibration.json"), "calibration", "broken", "damaged"),
    (
        lambda pi: (pi.data / "gallery.calibration.json").unlink(),
        "calibration",
        "broken",
        "never calibrated",
    ),
    (
        lambda pi: pi.calibrated(students=99, encoder=shipped()),
        "calibration",
        "broken",
        "calibrated for 99 students",
    ),
    (
        lambda pi: pi.calibrated(students=12, encoder="x"),
        "calibration",
        "broken",
        "another encoder",
    ),
    (
        lambda pi: pi.calibrated(students=12, encoder=shipped(), fpir=0.2),
        "calibration",
        "attention",
        "20.0%",
    ),
    (lambda pi: (pi.data / "gallery.sqlite").chmod(0o644), "files", "attention", "others may read"),
    (lambda pi: os.chown(pi.data / "gallery.index", 1234, 0), "files", "broken", "another user"),
    (lambda pi: os.chown(pi.key, 1234, 0), "files", "broken", "gallery.key belongs"),
    (lambda pi: pi.key.unlink(), "key", "broken", "the key is not there"),
    (lambda pi: pi.key.unlink(), "gallery", "broken", "the key is not there"),
    (lambda pi: pi.key.write_text("kaimen-key-1 00 00"), "key", "broken", "damaged"),
    (lambda pi: pi.key.chmod(0o640), "key", "broken", "mode 640"),
    (beside_its_gallery, "key", "attention", "in the folder"),
    (lambda pi: changed(last_log(pi))(pi), "log", "broken", "changed, cut off"),
    (lambda pi: (pi.data / last_log(pi)).unlink(), "log", "broken", "in the head alone"),
    (cut_off, "log", "broken", "while writing it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "name", "state", "said"), GALLERY, ids=lambda each: each if str(each) == each else ""
)
def test_of_the_gallery(
    spoil: Spoil, name: str, state: str, said: str, school: Pi, capsys: pytest.CaptureFixture
) -> None:
    spoil(school)
    code, found = doctor(school, capsys)
    assert found[name]["state"] == state
    assert said in found[name]["found"]
    assert code == (1 if any(each["state"] == "broken" for each in found.values()) else 0)


# Other days


def test_takes_that_are_all_of_one_moment_are_said(pi: Pi, capsys: pytest.CaptureFixture) -> None:
    pi.enroll(spread=0.3)
    found = doctor(pi, capsys)[1]["takes"]
    assert found["state"] == "attention" and "--add" in found["mend"]
    assert found["measured"] == {"students": STUDENTS, "alike": STUDENTS}


def test_what_was_taken_in_is_said_and_what_waits_for_a_calibration(
    school: Pi, capsys: pytest.CaptureFixture
) -> None:
    pi = school
    assert "growing" not in doctor(pi, capsys)[1]
    pi.settings["gate"] = {"grow": True}
    for settings, why in (
        ({}, "reader"),
        ({"reader": {"path": "/dev/null"}, "checks": {"replay": False}}, "checks"),
        ({"checks": {}, "gate": {"grow": True, "policy": "challenge"}}, "challenge"),
    ):
        pi.settings.update(settings)
        assert why in doctor(pi, capsys)[1]["growing"]["found"]
    pi.settings["gate"] = {"grow": True}
    card = Card.read(SHIPPED.with_suffix(".json"))
    at = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    with closing(Registry(pi.data / "gallery.sqlite", Vault.load(pi.key))) as registry:
        registry.grown.take_in("s01", np.eye(card.dimension)[0], card.sha256, at)
    line = doctor(pi, capsys)[1]["growing"]
    assert (line["state"], line["mend"]) == ("attention", "kaimen calibrate")
    assert line["measured"] == {"grown": 1, "waiting": 1}
    pi.calibrated(students=STUDENTS, encoder=card.sha256, grown=1)
    assert doctor(pi, capsys)[1]["growing"]["state"] == "ok"
    in_sqlite("UPDATE grown SET at = '2026-01-01'")(pi)
    assert "something else than Kaimen" in doctor(pi, capsys)[1]["growing"]["found"]
