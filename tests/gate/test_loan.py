"""A microphone that a gate lends: both ends, in one process."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.gate import loan
from kaimen.gate.loan import Lender, LentMicrophone, NoGate, loan_path
from kaimen.sound import BLOCK, Samples


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loan, "ANSWER", 60.0)


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return loan_path(tmp_path / "gallery.sqlite")


@pytest.fixture
def lender(path: Path, shown: list[str]) -> Iterator[Lender]:
    with Lender(path, shown.append) as lender:
        yield lender


def block(value: float) -> Samples:
    return np.full(BLOCK, value, np.float32)


def borrowed(lender: Lender, path: Path) -> LentMicrophone:
    """Borrow while the gate goes on."""
    found: list[LentMicrophone] = []
    thread = Thread(target=lambda: found.append(LentMicrophone(path)))
    thread.start()
    while thread.is_alive():
        lender.take(block(0.0), "usb, channel 2 of 2")
        thread.join(0.01)
    (microphone,) = found
    return microphone


def test_the_socket_is_its_owners_alone_and_no_thread_meets_another_umask(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail(f"umask {mask:o}"))
    with Lender(path, lambda wish: None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_lent_until_somebody_asks(lender: Lender) -> None:
    assert not lender.take(block(0.0), "usb")


def test_every_block_goes_to_the_borrower_and_comes_back_when_they_leave(
    lender: Lender, path: Path, shown: list[str]
) -> None:
    microphone = borrowed(lender, path)
    assert microphone.name == "usb, channel 2 of 2"
    assert lender.take(block(0.5), "usb")
    found = next(each for each in microphone.blocks() if each.any())
    np.testing.assert_array_equal(found, block(0.5))
    microphone.close()
    lender.take(block(0.1), "usb")
    assert not lender.take(block(0.1), "usb")
    assert shown == ["enrolling", "idle"]


def test_the_borrower_asks_for_lights_and_for_nothing_else(
    lender: Lender, path: Path, shown: list[str]
) -> None:
    microphone = borrowed(lender, path)
    for wish in ("kept", "open", "x" * 2000):
        microphone.show(wish)
    lender.take(block(0.0), "usb")
    assert shown == ["enrolling", "kept"]
    microphone.close()


def test_two_enrollments_at_one_gate_wait_for_each_other(lender: Lender, path: Path) -> None:
    first = borrowed(lender, path)
    said: list[str] = []

    def second() -> None:
        try:
            LentMicrophone(path)
        except DeviceError as error:
            said.append(str(error))

    thread = Thread(target=second)
    thread.start()
    while thread.is_alive():
        assert lender.take(block(0.0), "usb")
        thread.join(0.01)
    assert "wait for them" in said[0]
    first.close()


def test_a_loan_that_lasts_too_long_ends(
    lender: Lender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone = borrowed(lender, path)
    monkeypatch.setattr(loan, "LONGEST", -1.0)
    lender.take(block(0.0), "usb")
    assert not lender.take(block(0.0), "usb")
    with pytest.raises(MicrophoneLost, match="lent for"):
        list(microphone.blocks())
    microphone.close()


def test_a_borrower_that_hangs_loses_it(
    lender: Lender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone = borrowed(lender, path)
    monkeypatch.setattr(loan, "HANGING", -1.0)
    for _ in range(5000):
        if not lender.take(block(0.0), "usb"):
            break
    assert not lender.take(block(0.0), "usb")
    microphone.close()


def test_a_gate_that_ends_says_so(path: Path, shown: list[str]) -> None:
    with Lender(path, shown.append) as lender:
        microphone = borrowed(lender, path)
    with pytest.raises(MicrophoneLost, match="begin again"):
        list(microphone.blocks())
    microphone.close()
    assert not path.exists()


def test_without_a_gate_there_is_nothing_to_borrow(path: Path) -> None:
    with pytest.raises(NoGate, match="kaimen run"):
        LentMicrophone(path)


def test_a_socket_that_a_killed_gate_left_is_taken_over(path: Path, shown: list[str]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(path))
    with Lender(path, shown.append) as lender:
        borrowed(lender, path).close()


def test_where_it_cannot_be_lent_it_says_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nobody can be enrolled"):
        Lender(tmp_path / "no" / "such" / "folder", lambda what: None)


def test_of_two_gates_at_one_registry_the_first_lends(lender: Lender, path: Path) -> None:
    with pytest.raises(DeviceError, match="another process"):
        Lender(path, lambda what: None)
    lender.take(block(0.0), "usb")
    assert path.exists()
    borrowed(lender, path).close()
