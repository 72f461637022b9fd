"""What is shown: whole lines in a pipe, the verdict in a narrow terminal, and no instruction."""

from __future__ import annotations

import ast
import csv
import io
import json
import sys
from pathlib import Path

import pytest
from rich.table import Table

from kaimen.errors import RecordingError
from kaimen.screen import Screen, show_what_can_be_shown
from kaimen.spreadsheet import write_table
from kaimen.terminal import BAD, GOOD, styled

EVIL = "p[/red] \x1b[2J\x9b2J\u202e"
HARMLESS = r"p[/red] \x1b[2J\x9b2J\u202e"
EDGE = Path(__file__).parents[1] / "edge"


def test_nothing_that_is_shown_is_taken_for_an_instruction(capsys: pytest.CaptureFixture) -> None:
    screen = Screen(as_json=False)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    for shown in (EVIL, styled(GOOD, EVIL), table):
        screen.result({}, shown)
    screen.say(EVIL)
    screen.note(EVIL)
    screen.error(RecordingError("bad", EVIL))
    out, beside = capsys.readouterr()
    assert out.count(HARMLESS) == 5 and beside.count(HARMLESS) == 3
    assert not {"\x1b", "\x9b", "\u202e"} & set(out + beside)


def test_an_object_changes_no_terminal_and_says_the_same(capsys: pytest.CaptureFixture) -> None:
    Screen(as_json=True).result({"student": EVIL, "other": "王"})
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable() and json.loads(out)["student"] == EVIL


def test_a_line_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture) -> None:
    screen = Screen(as_json=False)
    long = "word " * 200
    table = Table("a", "b")
    table.add_row(long, long)
    screen.result({}, long)
    screen.result({}, table)
    screen.say(long)
    out, beside = capsys.readouterr()
    assert long.rstrip() in out.splitlines()[0] and beside.splitlines() == [long]
    assert out.count(f"{long.rstrip()}") == 3


@pytest.mark.parametrize("encoding", ["iso-8859-1", "gbk", "ascii"])
def test_what_an_encoding_lacks_is_replaced_on_both_streams(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, beside = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in "ob")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", beside)
    show_what_can_be_shown()
    screen = Screen(as_json=False)
    screen.result({}, styled(GOOD, " 王 ถ"))
    screen.say(styled(BAD, " ถ"))
    Screen(as_json=True).result({"student": "王ถ"})
    good, said = out.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert good == ("+ 王 ?" if encoding == "gbk" else "+ ? ?")
    assert json.loads(said) == {"student": "王ถ"}
    assert beside.buffer.getvalue() == b"x ?\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_no_cell_of_a_table_is_a_formula(start: str) -> None:
    file = io.StringIO()
    write_table(file, ("student", "score"), [(f"{start}1+1", -0.5)])
    _, (cell, number) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert cell.startswith("'") and cell.isprintable() and number == "-0.5"


def test_no_text_of_the_program_is_markup() -> None:
    """A name in a text that is read for markup could be an instruction."""
    for path in EDGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "rich.markup"), path
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for style in ("red", "green", "yellow", "cyan", "bold", "dim"):
                    assert f"[/{style}]" not in node.value, path


def test_what_is_for_a_person_alone_is_no_programs(capsys: pytest.CaptureFixture) -> None:
    for as_json in (False, True):
        Screen(as_json=as_json).show("three students")
    assert capsys.readouterr() == ("three students\n", "")
