"""`kaimen fleet`: what it makes, and what it says where something is missing."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.cli.main import main
from kaimen.fleet.membership import Membership
from kaimen.gallery.gallery import Gallery
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Card
from tests.fleet.machines import points_of
from tests.fleet.processes import CONFIG
from tests.gallery.points import school


def machine(tmp_path: Path, name: str) -> list[str]:
    (tmp_path / name).mkdir()
    config = tmp_path / name / "kaimen.toml"
    config.write_text(CONFIG.format(folder=tmp_path / name))
    return ["--config", str(config)]


@pytest.fixture
def office(tmp_path: Path) -> list[str]:
    config = machine(tmp_path, "office")
    (tmp_path / "secret").write_text("a passphrase for tests\n")
    create = ["fleet", "create", "--broker", "broker.example:1234", "--name", "office", *config]
    assert main(create) == 0
    return config


def invite(tmp_path: Path, office: list[str], name: str, *more: str) -> list[str]:
    letter = [str(tmp_path / name), "--passphrase-file", str(tmp_path / "secret")]
    assert main(["fleet", "invite", *letter, "--name", name, *more, *office]) == 0
    return letter


def test_a_gate_joins_by_its_invitation(
    tmp_path: Path, office: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    letter = invite(tmp_path, office, "canteen", "--tag", "indoors")
    gate = machine(tmp_path, "gate")
    capsys.readouterr()
    assert main(["fleet", "join", *letter, *gate, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == "gate"
    membership = Membership.load(tmp_path / "gate" / "fleet")
    assert (membership.name, membership.tags) == ("canteen", ("indoors",))
    assert membership.broker.port == 1234
    assert main(["fleet", "join", *letter, *gate]) == 4
    assert "in a fleet already" in capsys.readouterr().err


def test_a_gate_with_students_of_its_own_joins_only_if_they_may_go(
    tmp_path: Path, office: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    letter = invite(tmp_path, office, "canteen")
    gate = machine(tmp_path, "gate")
    vault = Vault()
    vault.save(tmp_path / "gate" / "key")
    registry = Registry(tmp_path / "gate" / "gallery.sqlite", vault)
    registry.enroll("anna", points_of(1), "encoder")
    registry.close()
    assert main(["fleet", "join", *letter, *gate]) == 4
    assert "give --replace" in capsys.readouterr().err
    assert main(["fleet", "join", *letter, "--replace", *gate]) == 0


def test_a_large_gate_calibrates_itself_where_its_roster_is_not_what_it_was_calibrated_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.cli.fleet.QUICK", 10)  # more are calibrated only where it is due
    stood_back: list[int] = []
    monkeypatch.setattr(os, "nice", stood_back.append)
    gate, folder = machine(tmp_path, "gate"), tmp_path / "gate"
    card, vault = Card.read(SHIPPED.with_suffix(".json")), Vault()
    vault.save(folder / "key")
    path = folder / "gallery.sqlite"
    with closing(Gallery.open(path, vault, card.sha256, card.dimension)) as gallery:
        for number, own in enumerate(school(40, 3, card.dimension, spread=1.5)):
            gallery.enroll(f"s{number:02}", list(own), group="7a" if number % 2 else "7b")
    kept = calibration_path(path)
    assert main(["fleet", "settle", *gate]) == 0
    whole = Calibration.load(kept, vault)
    assert whole.roster is None
    config = folder / "kaimen.toml"
    config.write_text(config.read_text() + '[[roster]]\ngroups = ["7a"]\n')
    assert main(["fleet", "settle", *gate]) == 0
    at_door = Calibration.load(kept, vault)
    assert at_door.threshold == whole.threshold
    assert at_door.roster is not None
    assert (at_door.roster.at_once, at_door.roster.threshold < whole.threshold) == (20, True)
    written = kept.stat().st_mtime_ns
    assert main(["fleet", "settle", *gate]) == 0
    assert kept.stat().st_mtime_ns == written  # nothing was due
    assert stood_back == [10, 10, 10]


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["create", "--broker", "b", "--name", "x"], 4, "in a fleet already"),
        (["invite", "FILE"], 2, "needs --name"),
        (["invite", "--name", "a"], 2, "name the file"),
        (["invite", "FILE", "--name", "office"], 2, "is this desk"),
        (["invite", "FILE", "--name", "A B"], 2, "small letters"),
        (["status", "FILE"], 2, "it takes no file"),
        (["withdraw", "--name", "nobody"], 4, "no user of the broker"),
        (["gate"], 4, "is a desk"),
        (["join", "FILE"], 4, "in a fleet already"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    given: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    office: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(tmp_path / "letter") if each == "FILE" else each for each in given]
    if given[0] in ("invite", "join"):
        given += ["--passphrase-file", str(tmp_path / "secret")]
    assert main(["fleet", *given, *office]) == code
    assert said in capsys.readouterr().err


def test_a_machine_in_no_fleet_is_told_how_to_come_into_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = machine(tmp_path, "alone")
    for what in ("desk", "gate", "status", "events"):
        assert main(["fleet", what, *alone]) == 4
        assert "in no fleet" in capsys.readouterr().err


def test_a_fleet_of_nobody_has_an_empty_table(
    office: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["fleet", "status", *office]) == 0
    assert "no gate has reported yet" in capsys.readouterr().out


def test_a_second_desk_is_added_to_what_the_first_one_tells(
    tmp_path: Path, office: list[str]
) -> None:
    invite(tmp_path, office, "second", "--desk")
    assert len(Membership.load(tmp_path / "office" / "fleet").desks) == 2
