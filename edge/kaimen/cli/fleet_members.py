"""Who belongs to a fleet: ``kaimen fleet create``, ``invite``, ``join`` and ``withdraw``."""

from __future__ import annotations

import argparse
import secrets
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kaimen.backup.passphrase import passphrase
from kaimen.errors import FleetError, SettingsError
from kaimen.fleet.broker_files import allow, write_broker
from kaimen.fleet.broker_files import withdraw as lock_out
from kaimen.fleet.desk import require_desk
from kaimen.fleet.invitation import read_invitation, write_invitation
from kaimen.fleet.membership import DESK, FILE, GATE_ROLE, TLS_PORT, Broker, Membership
from kaimen.fleet.store import Store
from kaimen.installation import Installation
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.screen import Screen
from kaimen.storage import require_folder


def _named(arguments: argparse.Namespace) -> str:
    if not arguments.name:
        raise SettingsError(f"'kaimen fleet {arguments.what}' needs --name NAME; see --help")
    return str(arguments.name)


def _broker_folder(arguments: argparse.Namespace, installation: Installation) -> Path:
    given: Path | None = arguments.broker_files
    return given or installation.settings.fleet.folder / "broker"


def create(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Make a fleet with this machine as its desk. Raises FleetError and SettingsError."""
    name, folder = _named(arguments), installation.settings.fleet.folder
    if (folder / FILE).exists():
        raise FleetError(f"{folder / FILE}: this machine is in a fleet already")
    if not arguments.broker:
        raise SettingsError("'kaimen fleet create' needs --broker HOST[:PORT]; see --help")
    host, _, port = str(arguments.broker).partition(":")
    if port and not port.isdecimal():
        raise SettingsError(f"--broker {arguments.broker}: write HOST or HOST:PORT")
    files = _broker_folder(arguments, installation)
    broker = Broker(host, int(port or TLS_PORT), name, secrets.token_hex(16))
    membership = Membership.create(name, broker)
    authority = write_broker(files, host, broker.port)
    membership = replace(membership, broker=replace(broker, authority=authority))
    allow(files, name, broker.password, membership.topics, desk=True)
    membership.save(folder)
    screen.result(
        {"fleet": membership.fleet, "desk": name, "broker_files": str(files)},
        f"fleet {membership.fleet} with the desk {name}. Mosquitto's files are in {files}; "
        "start it with them, then 'kaimen fleet desk'",
    )


def invite(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Write an invitation for one more gate or desk. Raises FleetError and SettingsError."""
    name, folder = _named(arguments), installation.settings.fleet.folder
    require_folder(arguments.file)
    desk = Membership.load(folder)
    require_desk(desk)
    if name == desk.name:
        raise SettingsError(f"{name} is this desk; name the new machine otherwise")
    given = passphrase(arguments.passphrase_file, new=True)
    broker = replace(desk.broker, user=name, password=secrets.token_hex(16))
    role = DESK if arguments.desk else GATE_ROLE
    invited = desk.invited(name, role, broker, tuple(arguments.tag))
    with closing(Store(fleet_store_path(installation.settings.gallery.file))) as store:
        invited = replace(invited, since=int(store.fact("seen", 0)))
    files = _broker_folder(arguments, installation)
    allow(files, name, broker.password, desk.topics, desk=arguments.desk)
    if arguments.desk:
        replace(desk, desks=invited.desks).save(folder)
        screen.say("start this desk's 'kaimen fleet desk' again: it tells the gates of the new one")
    write_invitation(arguments.file, invited, given)
    screen.result(
        {"invitation": str(arguments.file), "name": name, "role": role},
        f"{arguments.file}: for {name}. Let the broker read its list of users again (sudo "
        f"systemctl reload mosquitto), then at {name}: 'kaimen fleet join'",
    )


def withdraw(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Let a machine in no more. Raises FleetError and SettingsError."""
    name = _named(arguments)
    require_desk(Membership.load(installation.settings.fleet.folder))
    if not lock_out(_broker_folder(arguments, installation), name):
        raise FleetError(f"{name} is no user of the broker; see its file 'passwords'")
    with closing(Store(fleet_store_path(installation.settings.gallery.file))) as store:
        store.forget_gate(name)
    screen.result(
        {"withdrawn": name},
        f"{name} is let in no more, once the broker was reloaded (sudo systemctl reload "
        "mosquitto); a link that it holds ends when the broker is restarted",
    )


def join(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Join the fleet that an invitation is for. Raises FleetError."""
    folder = installation.settings.fleet.folder
    if (folder / FILE).exists():
        raise FleetError(
            f"{folder / FILE}: this machine is in a fleet already; move the file away to leave it"
        )
    membership = read_invitation(arguments.file, passphrase(arguments.passphrase_file, new=False))
    own = len(installation.registry) if installation.has_registry else 0
    if own and not membership.is_desk and not arguments.replace:
        raise FleetError(
            f"{own} students are enrolled here, and a gate of a fleet has the desks' students "
            "alone: give --replace if the desks know them, or may forget them"
        )
    membership.save(folder)
    screen.result(
        {"fleet": membership.fleet, "name": membership.name, "role": membership.role},
        f"{membership.name} is in the fleet; 'kaimen fleet {membership.role}' takes part in it. "
        f"Destroy {arguments.file}",
    )
