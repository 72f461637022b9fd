"""The doctor's line of drift."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kaimen.audit import Audit, Record
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.doctor.drift import check
from kaimen.doctor.finding import Finding, Patient
from kaimen.installation import Installation
from kaimen.registry.vault import Vault
from kaimen.settings import Settings
from tests.doctor.pi import Pi


def lines(calibration: Calibration, *, above: int) -> Iterator[Record]:
    """A hundred openings; of so many the next student's score is above the threshold."""
    for number in range(100):
        stranger = calibration.threshold + (0.1 if number < above else -0.1)
        yield {
            "kind": "decision",
            "verdict": "open",
            "nearest": [
                {"student": f"{number:016x}", "score": 0.9},
                {"student": "f" * 16, "score": stranger},
            ],
            "encoder": calibration.encoder[:16],
        }


def found(pi: Pi, above: int) -> Finding:
    pi.enroll()
    vault = Vault.load(pi.key)
    calibration = Calibration.load(calibration_path(pi.data / "gallery.sqlite"), vault)
    with Audit(pi.data / "audit", vault.derive("audit")) as log:
        for line in lines(calibration, above=above):
            log.write(line)
    installation = Installation.open(Settings.read(pi.written()))
    (line,) = check(Patient(installation))
    json.dumps(line.measured)
    return line


def test_a_door_that_keeps_its_promise_is_well(pi: Pi) -> None:
    line = found(pi, 1)
    assert (line.name, line.state) == ("drift", "ok")
    assert line.measured["above"] == 0.01


def test_a_door_that_breaks_its_promise_is_broken_and_says_what_to_do(pi: Pi) -> None:
    line = found(pi, 20)
    assert line.state == "broken"
    assert "1.5 times the 1.0%" in line.found
    assert "the door goes on" in line.found
    assert "--drift-mended" in line.mend


def test_what_was_mended_is_not_counted_any_more(pi: Pi) -> None:
    assert found(pi, 20).state == "broken"
    vault, path = Vault.load(pi.key), calibration_path(pi.data / "gallery.sqlite")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    replace(Calibration.load(path, vault), drift_from=now).save(path, vault)
    (line,) = check(Patient(Installation.open(Settings.read(pi.written()))))
    assert line.state == "ok"
    assert "no opening" in line.found


def test_before_the_first_log_there_is_no_line(pi: Pi) -> None:
    assert list(check(Patient(Installation.open(Settings.read(pi.written()))))) == []


@pytest.fixture(autouse=True)
def _whole_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests write no line through to a disk: there are hundreds."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
