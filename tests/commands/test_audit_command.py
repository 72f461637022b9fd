"""`kaimen audit` at a log with two students, a stranger and the door's own words."""

from __future__ import annotations

import csv
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from kaimen.audit import Audit, files_of, pseudonym
from kaimen.cli.main import main
from kaimen.registry.vault import Vault

DAYS = (datetime.date(2026, 9, 1), datetime.date(2026, 9, 2))


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    Vault().save(tmp_path / "key")
    return Vault.load(tmp_path / "key").derive("audit")


@pytest.fixture
def config(tmp_path: Path, key: bytes) -> Path:
    """A gate that has decided three times on two days."""
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    days = [datetime.datetime.combine(day, datetime.time(8), datetime.UTC) for day in DAYS]
    times = iter([days[0], days[0], days[1], days[1]])
    near = [{"student": pseudonym(key, "bowen"), "score": 0.4}]
    with Audit(tmp_path / "audit", key, now=lambda: next(times)) as log:
        log.write({"kind": "decision", "verdict": "open", "student": pseudonym(key, "anning")})
        log.write({"kind": "decision", "verdict": "unknown", "nearest": near})
        log.write({"kind": "door", "event": "state forced"})
        log.write({"kind": "decision", "verdict": "open", "student": pseudonym(key, "bowen")})
    return path


def run(config: Path, *arguments: str) -> int:
    return main(["audit", *arguments, "--config", str(config)])


def exported(config: Path, capsys: pytest.CaptureFixture, *arguments: str) -> list[dict[str, Any]]:
    assert run(config, "export", *arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_whole_log_is_said_to_be_whole(config: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(config, "verify") == 0
    out = capsys.readouterr().out
    assert "✓" in out and "4 lines, from 2026-09-0" in out and "it ends with 4:" in out


def test_a_changed_log_is_an_exit_code_and_a_place(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    path = files_of(config.parent / "audit")[0]
    path.write_text(path.read_text().replace("unknown", "open"))
    assert run(config, "verify") == 1
    assert "audit-000000001.jsonl:2: changed" in capsys.readouterr().out
    assert run(config, "verify", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["place"] for each in found["problems"]] == ["audit-000000001.jsonl:2"]


def test_an_end_that_was_noted_must_be_there(config: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(config, "verify", "--json") == 0
    end = json.loads(capsys.readouterr().out)["end"]
    assert run(config, "verify", "--noted", end) == 0
    assert run(config, "verify", "--noted", f"9{end}") == 1


def test_export_gives_every_line(config: Path, capsys: pytest.CaptureFixture) -> None:
    kinds = [each["kind"] for each in exported(config, capsys)]
    assert kinds == ["decision", "decision", "door", "decision"]


def test_export_of_a_student_gives_what_names_them_and_nothing_else(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    assert [each["number"] for each in exported(config, capsys, "--student", "anning")] == [1]
    assert [each["number"] for each in exported(config, capsys, "--student", "bowen")] == [2, 4]
    assert exported(config, capsys, "--student", "nobody") == []


def test_export_begins_with_a_day(config: Path, capsys: pytest.CaptureFixture) -> None:
    assert [each["number"] for each in exported(config, capsys, "--since", "2026-09-02")] == [3, 4]
    with pytest.raises(SystemExit):
        run(config, "export", "--since", "yesterday")


def test_export_as_a_table(config: Path, tmp_path: Path) -> None:
    assert run(config, "export", "--csv", str(tmp_path / "log.csv")) == 0
    with (tmp_path / "log.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["open", "unknown", "", "open"]
    assert rows[2]["event"] == "state forced"


def test_without_a_log_or_a_key_it_says_what_to_do(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "key").unlink()
    assert run(config, "verify") == 4
    assert "key is not there" in capsys.readouterr().err
    Vault().save(tmp_path / "key")
    assert run(config, "verify") == 1  # another key: nothing fits
    for path in (tmp_path / "audit").iterdir():
        path.unlink()
    capsys.readouterr()
    assert run(config, "verify") == 6
    assert "'kaimen run' writes one" in capsys.readouterr().err
