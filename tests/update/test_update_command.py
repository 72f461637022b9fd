"""`kaimen update` with an apt and a dpkg that say what a test wants."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kaimen.cli.main import main
from kaimen.update import apt

# What is installed is in a file, which an installation writes. apt-get notes how it was called.
DPKG_QUERY = """#!/bin/sh
[ -e "{here}/installed" ] && printf "installed %s" "$(cat "{here}/installed")"
"""
APT_CACHE = """#!/bin/sh
printf "kaimen:\\n  Installed: x\\n  Candidate: %s\\n" "$(cat "{here}/candidate")"
"""
APT_GET = """#!/bin/sh
fail() {
    echo "W: something else" >&2
    echo "E: $1" >&2
    exit 100
}
echo "$@" >>"{here}/calls"
case "$1" in
    update) [ ! -e "{here}/away" ] || fail "Could not resolve 'example.org'" ;;
    install)
        [ ! -e "{here}/full" ] || fail "You don't have enough free space."
        [ -e "{here}/vain" ] || cp "{here}/candidate" "{here}/installed"
        ;;
esac
"""


class Machine:
    """A Debian with Kaimen 0.1.0 whose source has 0.2.0."""

    def __init__(self, here: Path) -> None:
        self.here = here
        programs = {"dpkg-query": DPKG_QUERY, "apt-cache": APT_CACHE, "apt-get": APT_GET}
        (here / "bin").mkdir()
        for name, text in programs.items():
            (here / "bin" / name).write_text(text.replace("{here}", str(here)))
            (here / "bin" / name).chmod(0o755)
        (here / "installed").write_text("0.1.0")
        (here / "candidate").write_text("0.2.0+deb13")
        self.source = here / "kaimen.sources"
        self.source.touch()

    def so(self, name: str) -> None:
        """Something that is so from now on."""
        (self.here / name).touch()

    @property
    def installed(self) -> str:
        return (self.here / "installed").read_text()

    @property
    def calls(self) -> list[str]:
        """How apt-get was called."""
        file = self.here / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(apt, "SOURCE", made.source)
    monkeypatch.setattr(apt, "__file__", "/opt/kaimen/lib/python3.13/site-packages/kaimen/apt.py")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return made


def said(capsys: pytest.CaptureFixture) -> dict[str, Any]:
    [line] = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_newer_version_is_installed_and_said(
    machine: Machine, capsys: pytest.CaptureFixture
) -> None:
    assert main(["update", "--yes", "--json"]) == 0
    assert said(capsys) == {
        "installed": "0.2.0+deb13", "candidate": "0.2.0+deb13", "updated": True
    }  # fmt: skip
    assert machine.installed == "0.2.0+deb13"
    assert "kaimen=0.2.0+deb13" in machine.calls[-1]


def test_a_look_installs_nothing(machine: Machine, capsys: pytest.CaptureFixture) -> None:
    assert main(["update", "--check", "--json"]) == 0
    assert said(capsys) == {"installed": "0.1.0", "candidate": "0.2.0+deb13", "updated": False}
    assert [call.split()[0] for call in machine.calls] == ["update"]


def test_nobody_who_could_say_yes_is_no(machine: Machine, capsys: pytest.CaptureFixture) -> None:
    assert main(["update"]) == 0
    assert "'kaimen update --yes'" in capsys.readouterr().out
    assert machine.installed == "0.1.0"


@pytest.mark.parametrize("candidate", ["0.1.0", "0.0.9", "(none)"])
def test_what_is_not_newer_is_not_installed(
    machine: Machine, candidate: str, capsys: pytest.CaptureFixture
) -> None:
    (machine.here / "candidate").write_text(candidate)
    assert main(["update", "--yes", "--json"]) == 0
    assert said(capsys) == {"installed": "0.1.0", "candidate": "0.1.0", "updated": False}
    assert machine.installed == "0.1.0"


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("away", "cannot be asked (Could not resolve 'example.org')"),
     ("full", "could not install 0.2.0+deb13 (You don't have enough free space)"),
     ("vain", "0.1.0 is installed, not 0.2.0+deb13")],
)  # fmt: skip
def test_an_apt_that_fails_is_one_sentence_and_changes_nothing(
    machine: Machine, what: str, sentence: str, capsys: pytest.CaptureFixture
) -> None:
    machine.so(what)
    assert main(["update", "--yes"]) == 7
    assert sentence in capsys.readouterr().err
    assert machine.installed == "0.1.0"


def test_only_the_source_of_kaimen_is_asked(machine: Machine) -> None:
    main(["update", "--check"])
    [call] = machine.calls
    assert f"Dir::Etc::sourcelist={machine.source}" in call
    assert "Dir::Etc::sourceparts=-" in call


def test_without_a_source_the_page_is_named(
    machine: Machine, capsys: pytest.CaptureFixture
) -> None:
    machine.source.unlink()
    assert main(["update", "--yes"]) == 7
    assert "docs/use/update.md" in capsys.readouterr().err
    assert machine.calls == []


def test_only_root_may(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["update", "--yes"]) == 7
    assert "sudo kaimen update" in capsys.readouterr().err
    assert machine.calls == []


def test_a_checkout_is_not_updated_by_apt(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(apt, "__file__", "/home/somebody/kaimen/edge/kaimen/update/apt.py")
    assert main(["update", "--yes"]) == 7
    assert "no Debian package" in capsys.readouterr().err
    assert machine.calls == []
