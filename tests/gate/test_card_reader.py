"""A card reader writes a student a line, and each line is a claim: by a pipe, a line, or keys."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.gate.card_reader import LONGEST, CardReader, Lines
from kaimen.gate.key_codes import EVENT, KEY, PLAIN, SHIFTED, Typed
from kaimen.gate.supervisor import Supervisor


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@dataclass
class Desk:
    """Who claimed what, and what was said."""

    supervisor: Supervisor
    claims: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def read(self, path: Path | str) -> None:
        reader = CardReader(Path(path), self.claims.append, self.said.append)
        self.supervisor.start("card reader", reader.run, patience=30)

    def claimed(self, *names: str) -> None:
        until(lambda: len(self.claims) >= len(names))
        assert self.claims == list(names)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("kaimen.gate.supervisor.LEAVING", 60.0)
    monkeypatch.setattr("kaimen.gate.card_reader.RETRY", 0.01)
    monkeypatch.setattr("kaimen.gate.card_reader.EVERY", 0.05)
    monkeypatch.setattr("kaimen.gate.card_reader.PAUSE", 0.01)
    with Supervisor() as supervisor:
        yield Desk(supervisor)


def test_every_line_of_a_file_is_a_claim(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("s0001\n\n  王 \r\nlast", encoding="utf-8")
    desk.read(tmp_path / "reader")
    desk.claimed("s0001", "王", "last")


def test_a_pipe_whose_writer_comes_again_is_read_on(desk: Desk, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    desk.read(pipe)
    names = [f"s{number}" for number in range(5)]
    for number, name in enumerate(names):
        with pipe.open("w") as writer:
            writer.write(name + "\n" * (number % 2))
        desk.claimed(*names[: number + 1])
    assert desk.supervisor.unwell() == ""
    assert desk.said == [f"the card reader is {pipe}"]


def test_a_reader_that_is_not_there_is_one_sentence_and_waited_for(
    desk: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "reader"
    desk.read(path)
    until(lambda: bool(desk.said))
    time.sleep(0.1)
    (said,) = desk.said
    assert "No such file" in said and "waits for it" in said
    assert desk.supervisor.unwell() == ""  # whoever needs no card may enter
    path.write_text("s0001\n")
    desk.claimed("s0001")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_what_is_no_reader_is_said_to_be_none(desk: Desk, path: str) -> None:
    desk.read(path)
    until(lambda: bool(desk.said))
    assert "no reader" in desk.said[0]
    assert desk.claims == []


def test_a_serial_line_is_read_and_waited_for_when_it_is_unplugged(
    desk: Desk, tmp_path: Path
) -> None:
    """A pseudo-terminal stands in for the line; a link for its name by id."""
    link = tmp_path / "usb-reader"
    names = ["s0001", "s0002"]
    for number, name in enumerate(names):
        master, slave = os.openpty()
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        os.close(slave)
        if not number:
            desk.read(link)
        until(lambda seen=number: len(desk.said) > 2 * seen)  # type: ignore[misc]
        os.write(master, name[:3].encode())
        os.write(master, f"{name[3:]}\r\n".encode())
        desk.claimed(*names[: number + 1])
        os.close(master)
    until(lambda: len(desk.said) == 4)
    assert ["waits for it" in each for each in desk.said] == [False, True, False, True]


def test_one_reader_is_enough_when_the_gate_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two gates, one after the other, as SIGHUP makes them: no claim goes to the one before."""
    monkeypatch.setattr("kaimen.gate.supervisor.LEAVING", 60.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    claims: list[list[str]] = [[], []]
    for each in claims:
        with Supervisor() as supervisor:
            reader = CardReader(pipe, each.append, lambda text: None)
            supervisor.start("card reader", reader.run, patience=30)
            with pipe.open("w") as writer:
                writer.writelines(f"s{number}\n" for number in range(20))
            until(lambda each=each: len(each) == 20)  # type: ignore[misc]
    assert [len(each) for each in claims] == [20, 20]


# Lines


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_are_the_same_however_they_come_in_pieces(pieces: list[bytes]) -> None:
    whole, parts = Lines(), Lines()
    at_once = [*whole.push(b"".join(pieces)), *whole.end()]
    in_pieces = [line for piece in pieces for line in parts.push(piece)]
    assert [*in_pieces, *parts.end()] == at_once


def test_noise_without_an_end_fills_no_memory_and_claims_nothing() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.push(b"x" * LONGEST)) == []
    assert list(lines.push(b"y\ns0001\n")) == ["s0001"]


# Keys


def events(*keys: tuple[int, int]) -> bytes:
    """Presses (1), repeats (2) and releases (0) of keys, each with what the kernel adds."""
    sync = EVENT.pack(0, 0, 0, 0, 0)
    return b"".join(
        EVENT.pack(1, 2, 4, 4, code) + EVENT.pack(1, 2, KEY, code, value) + sync
        for code, value in keys
    )


def typed(text: str) -> bytes:
    """The keys for a text."""
    keys: list[tuple[int, int]] = []
    for sign in text:
        if sign == "\n":
            keys += [(28, 1), (28, 0)]
        elif sign in PLAIN.values():
            code = next(code for code, each in PLAIN.items() if each == sign)
            keys += [(code, 1), (code, 2), (code, 0)]
        else:
            code = next(code for code, each in SHIFTED.items() if each == sign)
            keys += [(42, 1), (code, 1), (code, 0), (42, 0)]
    return events(*keys)


SIGNS = sorted({*PLAIN.values(), *SHIFTED.values()})


@given(st.text(SIGNS), st.integers(1, 100))
def test_keys_are_the_text_on_them_in_whatever_pieces_they_come(text: str, size: int) -> None:
    content, keys = typed(text + "\n"), Typed()
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert b"".join(map(keys.text, pieces)).decode() == text + "\n"


@given(st.binary())
def test_no_event_is_too_odd(content: bytes) -> None:
    Typed().text(content)


def test_a_card_number_is_typed_on_the_keypad_too() -> None:
    assert Typed().text(events((79, 1), (79, 0), (82, 1), (82, 0), (96, 1))) == b"10\n"
