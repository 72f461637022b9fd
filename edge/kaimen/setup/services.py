"""The gate's services, which hold microphone and pins: stopped while setup tries them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kaimen.interrupt import uninterrupted
from kaimen.language import text

HOLDERS = ("kaimen-gate", "kaimen-door")  # in the order in which they are stopped
RUNNING = ("active", "activating", "reloading")  # one that fails is begun again and again


def running() -> list[str]:
    """Return which services hold microphone or pins; none without systemd."""
    return [unit for unit in HOLDERS if _systemctl("is-active", unit).stdout.strip() in RUNNING]


@contextmanager
def stopped(units: Sequence[str], say: Callable[[str], None]) -> Iterator[bool]:
    """Stop services until the block has ended, however it ends; say what cannot be done.

    Whether they are stopped is what the block is given.
    """
    are_stopped = True  # or about to be, where Ctrl-C comes meanwhile
    try:
        failed = _failure(_systemctl("stop", *units))
        if failed:
            are_stopped = False
            say(text("they cannot be stopped: {why}", why=failed))
        yield are_stopped
    finally:
        if are_stopped:
            with uninterrupted():
                _start([*reversed(units)], say)


def _start(units: Sequence[str], say: Callable[[str], None]) -> None:
    names = " ".join(units)
    failed = _failure(_systemctl("start", *units))
    if not failed:
        say(text("{names} are started again", names=names))
        return
    say(
        text(
            "not started again ({why}); start them with: sudo systemctl start {names}",
            why=failed,
            names=names,
        )
    )


def _failure(ended: subprocess.CompletedProcess[str]) -> str:
    """Return why a call failed, in a line; empty where it did not."""
    if not ended.returncode:
        return ""
    return ended.stderr.strip().partition("\n")[0] or f"systemctl: {ended.returncode}"


def _systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        # A key that is pressed here is not for it.
        return subprocess.run(
            ["systemctl", "--no-ask-password", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        return subprocess.CompletedProcess(arguments, 127, "", error.strerror or str(error))
