"""Machines with a school on them, as an operator sees them: by the command line."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from kaimen.audit import Audit
from kaimen.cli.main import main
from kaimen.rehearsal import RECORDINGS
from kaimen.school.files import SchoolFiles

SETTINGS = """[gallery]
path = "{folder}/data/gallery.sqlite"
key = "{folder}/configuration/gallery.key"
[door]
mock = true
lease = 0.05
[checks]  # a machine's takes are as alike as recordings
replay = false
loudspeaker = false
"""
Shown = pytest.CaptureFixture[str]
PASSPHRASE = "open sesame, please"


def takes(voice: str) -> list[Path]:
    return sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3"))


@dataclass(frozen=True)
class Machine:
    """A folder with settings, data and configuration."""

    folder: Path
    said: list[dict]  # by the latest command

    @classmethod
    def at(cls, folder: Path, *, settings: bool = True) -> Machine:
        folder.mkdir(parents=True, exist_ok=True)
        machine = cls(folder, [])
        (folder / "passphrase").write_text(PASSPHRASE + "\n", encoding="utf-8")
        if settings:
            machine.config.write_text(SETTINGS.format(folder=folder), encoding="utf-8")
        return machine

    @property
    def config(self) -> Path:
        return self.folder / "kaimen.toml"

    @property
    def school(self) -> SchoolFiles:
        return SchoolFiles(
            self.folder / "data" / "gallery.sqlite",
            self.folder / "configuration" / "gallery.key",
        )

    def arguments(self, *given: str | Path) -> list[str]:
        """A command on this machine, as it is typed after ``kaimen``."""
        if given[0] in ("backup", "restore"):
            given = (*given, "--passphrase-file", self.folder / "passphrase")
        return [*map(str, given), "--config", str(self.config), "--json"]

    def run(self, capsys: Shown, *given: str | Path) -> int:
        """Run a command here; its exit code."""
        capsys.readouterr()
        code = main(self.arguments(*given))
        self.said[:] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code

    def quietly(self, *given: str | Path) -> None:
        """Run a command where nothing is captured; it must be done."""
        with redirect_stdout(io.StringIO()) as said:
            assert main(self.arguments(*given)) == 0, said.getvalue()

    def log(self, lines: int, *, largest: int = 1000, kept: int = 256) -> None:
        """Lines of a gate's."""
        key = self.school.log_key
        with Audit(self.school.pieces["audit"], key, largest=largest, kept=kept) as log:
            for number in range(lines):
                log.write({"kind": "door", "event": f"line {number}"})

    def enroll(self, capsys: Shown, *voices: str) -> None:
        for voice in voices:
            assert self.run(capsys, "enroll", "--student", voice, *takes(voice)) == 0

    def students(self, capsys: Shown) -> list[str]:
        assert self.run(capsys, "students") == 0
        return [each["student"] for each in self.said]

    def opens(self, capsys: Shown, voice: str) -> bool:
        """Whether the gate lets a voice in, by a phrase that enrolled nobody."""
        assert self.run(capsys, "listen", RECORDINGS / voice / "phrase-6.mp3") == 0
        return self.said[0]["verdict"] == "open" and self.said[0]["student"] == voice

    def contents(self) -> dict[str, bytes]:
        """Every file of the school but its empty locks, byte for byte."""
        for path in (self.folder / "data").glob("*.sqlite"):
            database = sqlite3.connect(path)  # what is in the log of changes goes into the file
            database.execute("PRAGMA user_version").fetchall()
            database.close()
        places = (self.folder / "data", self.folder / "configuration")
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for place in places
            for path in place.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }
