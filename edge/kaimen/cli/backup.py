"""``kaimen backup``: the school in one encrypted file."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen.backup.passphrase import passphrase
from kaimen.backup.taking import take
from kaimen.cli.options import add_file
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder
from kaimen.terminal import GOOD, WARNING, styled

EXAMPLE = """example:
  kaimen backup /media/stick/school.backup
  kaimen backup school.backup --passphrase-file passphrase.txt --config /etc/kaimen/kaimen.toml

Settings, key, students, calibration, what was heard before and the audit log, of one moment, while
the gate runs. Whoever has the file and the passphrase has the school; without the passphrase
nobody has anything, so keep it elsewhere than the file. A file that is there already stays until
the new one is whole."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", type=Path, help="where to, best on another disk")
    add_file(parser, "--passphrase-file", "its first line, instead of asking")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Write the backup."""
    require_folder(arguments.file)
    school = Installation.open(Settings.read(arguments.config), screen).school
    secret = passphrase(arguments.passphrase_file, new=True)
    taken = take(school, arguments.config, arguments.file, secret)
    screen.result(
        {
            "backup": str(arguments.file),
            "students": taken.students,
            "pieces": taken.pieces,
            "settings": arguments.config is not None,
            "bytes": taken.bytes,
            "same_disk": taken.same_disk,
            "listed": taken.listed,
        },
        styled(
            GOOD,
            f" {taken.students} students in {arguments.file} ({taken.bytes / 1e6:.1f} MB): "
            f"{', '.join(taken.pieces)}",
        ),
    )
    if taken.same_disk:
        screen.say(
            styled(
                WARNING,
                " it lies on the school's own disk, and is lost with it; put a copy on another one",
            )
        )
    if not taken.listed:
        screen.note(
            "the school's disk cannot be written, so that the backup is not listed there; "
            "certificates of 'kaimen erase' will not name it"
        )
    screen.say("try it: 'kaimen restore --check' with this file; keep the passphrase elsewhere")
    return 0
