"""``kaimen restore``: a backup becomes the school, or nothing changes."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen.backup.passphrase import passphrase
from kaimen.backup.restoring import BackupContent, Restored, check, read_through, restore
from kaimen.cli.options import add_file, add_flag
from kaimen.errors import SettingsError
from kaimen.local_time import local
from kaimen.registry.erased import read_erased
from kaimen.school.files import SchoolFiles
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.terminal import GOOD, styled

EXAMPLE = """example:
  kaimen restore /media/stick/school.backup --check
  kaimen restore /media/stick/school.backup --config /etc/kaimen/kaimen.toml
  kaimen restore school.backup --over --erased removed.txt     (of 'kaimen students --erased')

Everything in the backup is checked before anything is put in place; then the old school or the new
one is there, whole, whatever happens. Stop the gate first. Who was removed from the school that is
there, or is on a list given with --erased, is not brought back. --check may run beside a gate."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", type=Path, help="a file that 'kaimen backup' wrote")
    add_file(parser, "--passphrase-file", "its first line, instead of asking")
    add_flag(parser, "--check", "check the file, and change nothing")
    add_flag(parser, "--over", "in place of the school there, which is kept beside")
    parser.add_argument(
        "--erased", type=Path, metavar="LIST", help="removed students who are not brought back"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Check the backup, and put it in place."""
    erased = read_erased(arguments.erased) if arguments.erased else ()
    content = read_through(arguments.file, passphrase(arguments.passphrase_file, new=False))
    school = SchoolFiles.of(_settings(arguments.config, content).gallery)
    if arguments.check:
        restored = check(content, school, erased=erased, track=screen.progress)
    else:
        restored = restore(
            content,
            school,
            config=arguments.config,
            over=arguments.over,
            erased=erased,
            track=screen.progress,
        )
    _tell(restored, content, arguments.check, screen)
    return 0


def _settings(config: Path | None, content: BackupContent) -> Settings:
    """Return those that say where the school belongs: of this machine, or else of the backup."""
    if config is not None and config.exists():
        return Settings.read(config)
    if config is None and content.settings is not None:
        raise SettingsError("the backup holds settings; say with --config FILE where they belong")
    if config is None:
        return Settings()
    if content.settings is None:
        raise SettingsError(f"{config}: not there, nor does the backup hold settings; write it")
    return Settings.parse(content.settings, config)


def _tell(restored: Restored, content: BackupContent, only_check: bool, screen: Screen) -> None:
    done = "is whole: it would bring" if only_check else "is restored:"
    screen.result(
        {
            "restored": not only_check,
            "backup": content.at,
            "students": restored.students,
            "removed": restored.removed,
            "revoked": restored.revoked,
            "kept": None if restored.kept is None else str(restored.kept),
            "settings": None if restored.settings is None else str(restored.settings),
        },
        styled(GOOD, f" the backup of {local(content.at)} {done} {restored.students} students"),
    )
    if restored.removed:
        screen.say(
            f"{restored.removed} who were removed since are not brought back; "
            "run 'kaimen calibrate'"
        )
    if restored.revoked:
        screen.note(
            "this backup is of before 'kaimen renew', and brings the old key back: voiceprints "
            "that were stolen then fit again; run 'kaimen renew' once more"
        )
    if restored.unknown:
        screen.note(
            f"{restored.unknown}: who was removed from it is not known; remove them again, or "
            "restore with --erased"
        )
    if restored.kept is not None:
        screen.say(f"the school of before is in {restored.kept!s}; delete it once all is well")
    if restored.settings is not None:
        screen.say(
            f"this machine's settings stay; those of the backup are in {restored.settings!s}"
        )
