"""`kaimen log`: who was let in, who was not, and why."""

from __future__ import annotations

import datetime
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kaimen.audit import Audit, pseudonym
from kaimen.audit.words import told
from kaimen.cli.main import main
from kaimen.registry.vault import Vault

MORNING = datetime.datetime(2026, 9, 1, 23, 30, tzinfo=datetime.UTC)  # of the next day in Shanghai


@pytest.fixture(autouse=True)
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A gate that decided about two students and a stranger."""
    vault = Vault()
    vault.save(tmp_path / "key")
    key = vault.derive("audit")
    anning, bowen = pseudonym(key, "anning"), pseudonym(key, "bowen")

    def near(student: str, score: float) -> dict[str, Any]:
        return {
            "score": score,
            "threshold": 0.82,
            "nearest": [{"student": student, "score": score}],
        }

    minutes = iter(range(60))
    with Audit(
        tmp_path / "audit", key, now=lambda: MORNING + datetime.timedelta(minutes=next(minutes))
    ) as log:
        for record in (
            {"verdict": "open", "student": anning, **near(anning, 0.91)},
            {"verdict": "unknown", **near(bowen, 0.52)},
            {"verdict": "retry", **near(bowen, 0.78)},
            {"verdict": "unknown", **near(bowen, 0.9), "checks": {"phrase": [0.4, 0.7]}},
            {"verdict": "refused", **near(anning, 0.9), "checks": {"replay": [-0.64, -0.45]}},
            {"verdict": "refused", "nearest": [], "checks": {}, "threshold": 0.82},
            {"verdict": "unknown", "claim": bowen, **near(bowen, 0.3)},
        ):
            log.write({"kind": "decision", **record})
        log.write({"kind": "door", "event": "state forced"})
        log.write({"kind": "gap", "lost": 5})
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    return path


def shown(config: Path, capsys: pytest.CaptureFixture, *arguments: str) -> list[str]:
    assert main(["log", *arguments, "--config", str(config)]) == 0
    return capsys.readouterr().out.splitlines()


def test_every_event_is_one_line_in_local_time_and_plain_words(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = shown(config, capsys, "--student", "bowen")
    assert lines == [
        "2026-09-02 07:31:00  unknown: no voice is near enough; nearest is bowen "
        "(0.52, 0.82 is needed)",
        "2026-09-02 07:32:00  asked for another try: no voice is near enough; nearest is bowen "
        "(0.78, 0.82 is needed)",
        "2026-09-02 07:33:00  unknown: the voice is like bowen, but these are not the words that "
        "were enrolled (0.40, 0.70 is needed)",
        "2026-09-02 07:36:00  unknown, who claimed to be bowen: no voice is near enough; nearest "
        "is bowen (0.30, 0.82 is needed)",
    ]


def test_names_are_shown_only_of_whom_one_asks_for(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    everything = "\n".join(shown(config, capsys))
    assert "anning" not in everything and "bowen" not in everything
    assert "opened for #" in everything
    lines = shown(config, capsys, "--student", "anning", "--refused")
    assert len(lines) == 1
    assert "refused: the voice is like anning, but it was heard before: a recording" in lines[0]
    assert "(0.64, at most 0.45 may be)" in lines[0]


def test_the_latest_are_shown_and_the_oldest_of_them_first(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    assert len(shown(config, capsys)) == 9
    first, last = shown(config, capsys, "--last", "2")
    assert "the door says: state forced" in first
    assert "5 lines are missing here: they could not be written" in last
    assert "not listened to, after too many unknown voices" in shown(config, capsys)[5]


def test_since_is_a_local_day(config: Path, capsys: pytest.CaptureFixture) -> None:
    assert len(shown(config, capsys, "--since", "2026-09-02")) == 9
    assert shown(config, capsys, "--since", "2026-09-03") == []


def test_a_program_gets_an_object_a_line(config: Path, capsys: pytest.CaptureFixture) -> None:
    first = json.loads(shown(config, capsys, "--student", "anning", "--json")[0])
    assert first == {
        "number": 1,
        "at": "2026-09-02T07:30:00+08:00",
        "kind": "decision",
        "verdict": "open",
        "student": ["anning"],
        "said": "opened for anning (0.91, 0.82 is needed)",
    }


def test_sixty_columns_are_enough(
    config: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setattr(Console, "width", 60)
    lines = shown(config, capsys, "--student", "bowen")
    assert len(lines) > 4
    assert all(line[0].isdigit() or line.startswith(" " * 21) for line in map(plain, lines))
    assert max(len(plain(line)) for line in lines) <= 60


def plain(line: str) -> str:
    return "".join(
        part.partition("m")[2] if n else part for n, part in enumerate(line.split("\x1b["))
    )


def test_without_a_log_it_is_said_who_writes_one(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "audit").rename(tmp_path / "elsewhere")
    assert main(["log", "--config", str(config)]) == 6
    assert "'kaimen run' writes one" in capsys.readouterr().err


NUMBER = st.none() | st.floats(-1, 1)
STUDENT = st.none() | st.just("0123456789abcdef")


@given(
    record=st.fixed_dictionaries(
        {"kind": st.sampled_from(["decision", "door", "gap", "restored", "bundle", "later"])},
        optional={
            "verdict": st.sampled_from(["retry", "unknown", "refused", "later"]),
            "claim": STUDENT,
            "score": NUMBER,
            "threshold": NUMBER,
            "pooled": NUMBER,
            "nearest": st.lists(st.just({"student": "0123456789abcdef", "score": 0.5}), max_size=2),
            "event": st.text(min_size=1),
        },
    )
)
def test_every_line_of_any_release_is_told(record: dict[str, Any]) -> None:
    assert told(record, lambda hashed: hashed)


def test_a_name_from_a_mac_finds_the_lines_of_either_form(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    vault = Vault()
    vault.save(tmp_path / "key")
    key, mac = vault.derive("audit"), "Rene\u0301"
    before = hmac.digest(key, f"student {mac}".encode(), "sha256").hex()[:16]
    with Audit(tmp_path / "audit", key) as log:
        for hashed in (before, pseudonym(key, "Ren\u00e9")):
            log.write(
                {"kind": "decision", "verdict": "open", "student": hashed, "nearest": [],
                 "score": 0.9, "threshold": 0.8, "checks": {}}
            )  # fmt: skip
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    for name in (mac, "Ren\u00e9"):
        assert main(["log", "--student", name, "--config", str(config), "--json"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [each["student"] for each in found] == [["Ren\u00e9"], ["Ren\u00e9"]]
