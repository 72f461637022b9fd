"""A Pi on which all is well."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kaimen.doctor import encoder
from kaimen.doctor.chinese import FINDINGS, told
from kaimen.doctor.finding import Finding
from kaimen.language import texts_of
from kaimen.sound import played
from tests.doctor.pi import Pi
from tests.door.chips import BCM2711, Machine


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """A Pi with a gate; nobody is enrolled. Its path is short: a socket's must be."""
    # How busy the machine is that tests is nothing of the gate's.
    monkeypatch.setattr(encoder, "median", lambda work: (work(), 0.01)[1])
    hurried = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
    monkeypatch.setattr(played, "time", hurried)  # a recording need not be waited for
    with tempfile.TemporaryDirectory(prefix="kaimen-") as folder:
        made = Pi(Path(folder))
        Machine.installed(monkeypatch, {0: BCM2711}, made.root / "dev")
        yield made


ENGLISH = re.compile(r"(?<![\w/.-])(?:[a-z]{2,} ){2,}[a-z]{2,}")
COMMAND = re.compile(r"'[^']*'|\bsudo .*|\bchmod .*|\bkaimen [a-z -]+|\([^)]*\)|（[^）]*）")


@pytest.fixture(autouse=True)
def _no_finding_is_without_chinese(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Require that whatever the doctor finds in a test can be read in Chinese, too."""
    found: list[Finding] = []
    kept = Finding.__init__

    def made(self: Finding, *arguments: Any, **named: Any) -> None:
        kept(self, *arguments, **named)
        found.append(self)

    monkeypatch.setattr(Finding, "__init__", made)
    yield
    lines = texts_of(FINDINGS).keys()
    for each in found:
        if each.name not in lines and not each.name.startswith("kaimen-"):
            continue  # of a check that a test has made up
        if each.name == "settings":
            continue  # its errors are English in all commands
        _, *texts = told(each.name, each.found, each.mend)
        for chinese in texts:
            assert not ENGLISH.search(COMMAND.sub("", chinese)), chinese
