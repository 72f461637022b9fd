"""``kaimen fleet``: many gates with the students of one desk."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from kaimen.audit.following import Follower
from kaimen.bundle.bundle import Bundle
from kaimen.cli.fleet_members import create, invite, join, withdraw
from kaimen.cli.options import add_file, add_flag
from kaimen.errors import FleetError, GalleryError, SettingsError
from kaimen.fleet.desk import Desk, require_desk
from kaimen.fleet.gate import FleetGate
from kaimen.fleet.membership import Membership
from kaimen.fleet.orders import Orders
from kaimen.fleet.rolling_out import RollingOut
from kaimen.fleet.running import Settling, own_command, serve
from kaimen.fleet.status import GateRow, gate_rows
from kaimen.fleet.store import Store
from kaimen.installation import Installation
from kaimen.installation.arming import QUICK
from kaimen.interrupt import told_to_end
from kaimen.local_time import local
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.screen import Screen
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen fleet create --broker mqtt.school.lan --name office
  kaimen fleet invite canteen.invitation --name canteen --tag indoors
  kaimen fleet join canteen.invitation       (at the gate)
  kaimen fleet desk                          (at the desk, as a service)
  kaimen fleet gate                          (at the gate, as a service)
  kaimen fleet status
  kaimen fleet events --gate canteen
  kaimen fleet roll-out autumn.kaimen --tag indoors
  kaimen fleet withdraw --name canteen       (a gate that was stolen)

A desk follows its registry: 'kaimen enroll' and 'kaimen students' there are enough. A gate takes
its students from the desks alone."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", choices=tuple(DOING), help="what to do")
    parser.add_argument("file", nargs="?", type=Path, help="the invitation, or the bundle")
    parser.add_argument("--name", help="what the machine is called in the fleet")
    making = parser.add_argument_group("create, invite, withdraw")
    making.add_argument("--broker", metavar="HOST[:PORT]", help="where the broker is to be")
    making.add_argument(
        "--broker-files", type=Path, metavar="FOLDER",
        help="where Mosquitto's files are; else broker in the folder of the fleet",
    )  # fmt: skip
    add_flag(making, "--desk", "invite another desk, not a gate")
    making.add_argument(
        "--tag",
        action="append",
        default=[],
        help="a word for several gates; may be repeated where one is invited",
    )
    add_file(making, "--passphrase-file", "its first line opens the invitation")
    joining = parser.add_argument_group("join, desk, events")
    add_flag(joining, "--replace", "join even if this gate's own students go by that")
    add_flag(joining, "--accept-removals", "tell that many students are gone at once")
    joining.add_argument("--gate", metavar="NAME", help="the events of this gate")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Do one of them."""
    needs_file = arguments.what in ("invite", "join", "roll-out")
    if needs_file != (arguments.file is not None):
        wish = "name the file" if needs_file else "it takes no file"
        raise SettingsError(f"'kaimen fleet {arguments.what}': {wish}; see --help")
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        DOING[arguments.what](arguments, installation, screen)
    return 0


def _member_parts(installation: Installation, stack: ExitStack) -> tuple[Membership, Store]:
    membership = Membership.load(installation.settings.fleet.folder)
    _ = installation.school
    if not installation.has_registry:
        _ = installation.gallery_or_new
        installation.close("gallery_or_new")
    store = Store(fleet_store_path(installation.settings.gallery.file))
    return membership, stack.enter_context(closing(store))


def _desk(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    with ExitStack() as stack:
        membership, store = _member_parts(installation, stack)
        require_desk(membership)
        accept = arguments.accept_removals
        desk = Desk(membership, installation.registry, store, screen.note, accept_removals=accept)
        stack.callback(desk.close)
        serve(desk, told_to_end(), screen.note)


def _gate(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    with ExitStack() as stack:
        membership, store = _member_parts(installation, stack)
        if membership.is_desk:
            raise FleetError(f"{membership.name} is a desk: start 'kaimen fleet desk' instead")
        cursor = installation.settings.gallery.file.with_suffix(".fleet.cursor.json")
        follower = Follower(installation.log_folder, installation.log_key, cursor)
        settling: list[Settling] = []
        config = None if arguments.config is None else str(arguments.config)
        folder = installation.settings.gallery.file.parent
        orders = Orders(
            store, folder, lambda file: own_command("bundle", "install", str(file), config=config)
        )
        stack.callback(orders.close)

        def about() -> dict[str, Any]:
            problem = settling[0].problem if settling else ""
            problems = [f"the door is not armed: {problem}"] if problem else []
            state = installation.state
            return {
                "bundle": state.identity[:16],
                "trial": state.trial.told if state.trial else "",
                "last_trial": state.said,
                "problems": problems,
            }

        gate = FleetGate(
            membership, installation.registry, store, screen.note,
            follower=follower, log_key=installation.log_key, about=about, orders=orders,
        )  # fmt: skip
        stack.callback(gate.close)
        settling.append(Settling(gate, own_command("fleet", "settle", config=config)))
        stack.callback(settling[0].close)
        serve(gate, told_to_end(), screen.note, settling[0].look)


def _settle(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Bring index and calibration in line with the students that came through the fleet."""
    with suppress(OSError):  # a service may not be allowed to
        os.nice(10)
    gallery = installation.gallery_or_new
    gallery.save(screen.progress)
    reason = installation.arming.disarmed
    due = reason or installation.arming.roster_misfit or len(gallery) <= QUICK
    if len(gallery) and due:
        try:
            installation.arming.keep(installation.arming.learn())
        except GalleryError as error:
            reason = reason and str(error)
        else:
            reason = ""
    screen.result(
        {"students": len(gallery), "armed": not reason, "reason": reason or None},
        f"{len(gallery)} students; " + (f"not armed: {reason}" if reason else "armed"),
    )


def _status(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    require_desk(Membership.load(installation.settings.fleet.folder))
    with closing(Store(fleet_store_path(installation.settings.gallery.file))) as store:
        rows = gate_rows(store)
    for row in rows:
        screen.result(asdict(row))
    screen.show(_table(rows) if rows else "no gate has reported yet")


def _table(rows: list[GateRow]) -> Table:
    table = Table(
        "gate", "version", "students", "behind by", "last seen", "problems",
        box=None, pad_edge=False,
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.name, row.version, str(row.students), str(row.behind or "-"),
            local(row.seen) if row.seen else "never", "; ".join(row.problems) or "-",
        )  # fmt: skip
    return table


def _roll_out(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Give a bundle to the gates of a tag. Raises BundleError and FleetError."""
    membership = Membership.load(installation.settings.fleet.folder)
    require_desk(membership)
    if len(arguments.tag) > 1:
        raise SettingsError("'kaimen fleet roll-out' takes one --tag; see --help")
    tag = arguments.tag[0] if arguments.tag else None
    bundle = Bundle.open(arguments.file, installation.slots.trusted)
    for _ in bundle.parts():
        pass
    identity = bundle.manifest.identity
    with (
        closing(Store(fleet_store_path(installation.settings.gallery.file))) as store,
        closing(RollingOut(membership, store, arguments.file.read_bytes(), screen.say)) as rolling,
    ):
        gates = rolling.outdated(tag, identity)
        if gates:
            rolling.roll_out(gates, identity)
    screen.result({"bundle": identity, "gates": gates}, f"{len(gates)} gates took the bundle")


def _events(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    membership = Membership.load(installation.settings.fleet.folder)
    require_desk(membership)
    registry = installation.registry
    names = {membership.pseudonym(name): name for name in registry.names()}
    with closing(Store(fleet_store_path(installation.settings.gallery.file))) as store:
        for event in store.events(arguments.gate):
            student = event.get("student")
            shown = names.get(str(student), student)
            screen.result(
                {**event, "student": shown},
                f"{local(str(event['at']))}  {event['gate']}  {event.get('verdict') or ''}"
                f"{event.get('event') or ''}  {shown or ''}",
            )


DOING: dict[str, Callable[[argparse.Namespace, Installation, Screen], None]] = {
    "create": create, "invite": invite, "withdraw": withdraw, "join": join, "desk": _desk,
    "gate": _gate, "status": _status, "events": _events, "roll-out": _roll_out, "settle": _settle,
}  # fmt: skip
