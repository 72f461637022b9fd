"""``kaimen erase``: a student is gone for good, and somebody else can check that it was done."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen.backup.passphrase import passphrase
from kaimen.backup.resealing import reseal
from kaimen.backup.restoring import read_through
from kaimen.cli.options import add_file, add_flag
from kaimen.errors import CertificateError, GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.local_time import local
from kaimen.names import as_kept
from kaimen.privacy.certificate import Certificate, fields_of, parse_public_key, public_key
from kaimen.privacy.erasing import certificate_of, erase, go_on
from kaimen.privacy.expiry import end_consents, is_due
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder
from kaimen.terminal import GOOD, WARNING, styled

EXAMPLE = """example:
  kaimen erase s0001 --certificate s0001.json   (the file is for the student, not for this machine)
  kaimen erase --ended                          (everybody whose consent ended; the daily timer)
  kaimen erase --verify s0001.json --public KEY --student s0001      (anybody, on any machine)
  kaimen erase --public-key                     (what others check the school's certificates by)
  kaimen erase --backups                        (which still hold whoever was enrolled then)
  kaimen erase --reseal school.backup --passphrase-file passphrase.txt

Registry, index, replay memory, PIN, consents and schools kept beside hold nothing of the student
any more. The log keeps its keyed hashes. An interrupted erasure goes on by itself."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("student", nargs="?", help="whom to erase")
    add_file(parser, "--certificate", "write the student's copy there")
    add_flag(parser, "--ended", "erase the voices of all whose consent ended")
    add_flag(parser, "--dry-run", "with --ended: only say who is due")
    add_flag(parser, "--go-on", "finish what was interrupted")
    add_file(parser, "--verify", "check a certificate")
    parser.add_argument(
        "--public", metavar="KEY", help="with --verify: the school's public key, or a file of it"
    )
    parser.add_argument("--student", dest="named", help="with --verify: whose it must be")
    add_flag(parser, "--public-key", "print this school's")
    add_flag(parser, "--backups", "list the backups that were taken")
    add_file(parser, "--reseal", "write a backup anew without who was erased")
    add_file(parser, "--passphrase-file", "of that backup, instead of asking")
    parser.add_argument(
        "--destroyed", metavar="BACKUP", help="a backup of that list is no more: strike it off"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Do the one thing that was asked for."""
    _require_one_wish(arguments)
    if arguments.verify:
        return _verify(arguments, screen)
    if arguments.certificate:
        require_folder(arguments.certificate)
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        for certificate in go_on(installation):
            _tell(certificate, "an interrupted erasure", screen)
        if arguments.student:
            _erase(as_kept(arguments.student), arguments.certificate, installation, screen)
        elif arguments.ended:
            _end(installation, screen, dry=arguments.dry_run)
        elif arguments.public_key:
            key = public_key(installation.vault)
            screen.result({"public_key": key}, key)
        elif arguments.backups:
            _list_backups(installation, screen)
        elif arguments.reseal:
            _reseal(arguments, installation, screen)
        elif arguments.destroyed:
            _strike_off(arguments.destroyed, installation, screen)
    return 0


def _require_one_wish(arguments: argparse.Namespace) -> None:
    wishes = {
        "a student": arguments.student,
        "--ended": arguments.ended,
        "--go-on": arguments.go_on,
        "--verify": arguments.verify,
        "--public-key": arguments.public_key,
        "--backups": arguments.backups,
        "--reseal": arguments.reseal,
        "--destroyed": arguments.destroyed,
    }
    given = [name for name, wish in wishes.items() if wish]
    if len(given) != 1:
        raise SettingsError(
            f"{' and '.join(given)} do not go together; give one at a time"
            if given
            else "whom? Name a student, or see --help"
        )
    for name, wish, only in (
        ("--certificate", arguments.certificate, "a student"),
        ("--dry-run", arguments.dry_run, "--ended"),
        ("--public", arguments.public, "--verify"),
        ("--student", arguments.named, "--verify"),
        ("--passphrase-file", arguments.passphrase_file, "--reseal"),
    ):
        if wish and given != [only]:
            raise SettingsError(f"{name} goes with {only}; see --help")


def _verify(arguments: argparse.Namespace, screen: Screen) -> int:
    """Check a certificate without anything of the school's."""
    if not arguments.public:
        raise SettingsError("--verify needs --public KEY: what 'kaimen erase --public-key' prints")
    certificate = Certificate.read(arguments.verify)
    certificate.verify(parse_public_key(arguments.public))
    if arguments.named and not certificate.is_of(arguments.named):
        raise CertificateError(
            f"{arguments.verify}: signed, and not the certificate of {arguments.named}"
            if certificate.opening
            else f"{arguments.verify}: a copy that does not say whose it is; ask for the student's"
        )
    whose = f" of {arguments.named}" if arguments.named else ""
    _tell(certificate, f"the certificate{whose} is genuine: somebody", screen, verified=True)
    return 0


def _erase(student: str, file: Path | None, installation: Installation, screen: Screen) -> None:
    folder = installation.settings.gallery.file.parent
    if file is not None and file.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(
            f"{file}: the student's certificate says who was erased; write it outside of {folder}"
        )
    if student in installation.registry.names():
        (certificate,) = erase(installation, [student]).values()
        _arm(installation)
    else:
        found = certificate_of(installation, student)
        if found is None:
            raise GalleryError(f"{student} is not enrolled; see 'kaimen students'")
        certificate = found
    if file is not None:
        certificate.save(file)
        screen.say(f"the student's certificate is {file!s}")
    _tell(certificate, student, screen)


def _arm(installation: Installation) -> None:
    """Calibrate, and keep the index that was made anew."""
    installation.gallery_or_new.save()
    installation.arming.calibrate_or_say()


def _end(installation: Installation, screen: Screen, *, dry: bool) -> None:
    days = installation.settings.privacy.erase_after
    if dry:
        for student in is_due(installation.registry, days):
            screen.result({"due": student.name}, f"{student.name} is due")
        return
    ended = end_consents(installation, days)
    for name, certificate in ended.items():
        if certificate is None:
            screen.result(
                {"voice_erased": name}, f"the voice of {name} is erased; card and PIN stay"
            )
        else:
            _tell(certificate, name, screen)
    if ended:
        _arm(installation)
    else:
        screen.say("no consent has ended")


def _tell(certificate: Certificate, whose: str, screen: Screen, *, verified: bool = False) -> None:
    statement = certificate.statement
    counted = ", ".join(
        f"{count} {kind.replace('_', ' ')}" for kind, count in statement.erased.items() if count
    )
    screen.result(
        {
            **fields_of(certificate),
            **({"verified": True} if verified else {"erased_student": whose}),
        },
        styled(GOOD, f" {whose} was erased {local(statement.finished)}: {counted or 'a name'}"),
    )
    for each in statement.backups:
        screen.say(
            styled(
                WARNING,
                f" the backup {each['identity']} of {local(each['at'])} at {each['place']} still "
                "holds it, sealed",
            )
        )
    if statement.backups and not verified:
        screen.say(
            "put each in and run 'kaimen erase --reseal FILE', or destroy it and say so with "
            "--destroyed"
        )


def _list_backups(installation: Installation, screen: Screen) -> None:
    for each in installation.registry.erasures.backups():
        screen.result(
            {"backup": each.identity, "at": each.at, "place": each.place},
            f"{each.identity}  {local(each.at)}  {each.place}",
        )


def _reseal(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    secret = passphrase(arguments.passphrase_file, new=False)
    content = read_through(arguments.reseal, secret)
    restored = reseal(content, installation.school, screen.progress)
    installation.tell_log()
    screen.result(
        {
            "resealed": str(arguments.reseal),
            "students": restored.students,
            "removed": restored.removed,
        },
        styled(GOOD, f" {arguments.reseal}: {restored.removed} who were erased are out of it"),
    )
    if restored.unknown:
        screen.note(restored.unknown)


def _strike_off(identity: str, installation: Installation, screen: Screen) -> None:
    registry = installation.registry
    with registry.database.writing():
        if not registry.erasures.give_up_backup(identity):
            raise GalleryError(f"{identity}: no such backup; see 'kaimen erase --backups'")
        registry.events.note("backup destroyed", backup=identity)
    installation.tell_log()
    screen.result({"destroyed": identity}, f"the backup {identity} is struck off the list")
