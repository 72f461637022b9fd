"""The fleet: whether this machine is linked, how old a desk's latest word is, and what ails."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from kaimen.doctor.finding import Finding, Patient, attention, ok
from kaimen.fleet.membership import FILE, Membership
from kaimen.fleet.status import gate_rows
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import fleet_store_path

REFUSED = ("not authorized", "bad user name or password")  # by a broker, in small letters
HEARD = "the gate goes on with the students that it has"


def check(patient: Patient) -> Iterator[Finding]:
    """Tell how this machine is in its fleet; nothing of one that is in none. Raises FleetError."""
    folder = patient.settings.fleet.folder
    if not (folder / FILE).exists():
        return
    membership = Membership.load(folder)
    place = fleet_store_path(patient.settings.gallery.file)
    start = f"start 'kaimen fleet {membership.role}'"
    if not place.exists():
        yield attention("fleet", f"{membership.name} never took part in it", start)
        return
    with closing(Store(place)) as store:
        yield _link(membership, store, start)
        if membership.is_desk:
            yield from _gates(store)
        else:
            yield from _order(store)


def _link(membership: Membership, store: Store, start: str) -> Finding:
    link: dict[str, Any] = store.fact("link", {})
    since = _age(link.get("since"))
    why = str(link.get("why_not") or "not connected yet")
    if not link.get("connected"):
        if why.lower() in REFUSED:
            return attention(
                "fleet",
                f"the broker refuses {membership.name}: it was withdrawn, or its password changed",
                "invite and join it once more if it is still to take part; " + HEARD,
            )
        return attention(
            "fleet",
            f"no link to the broker {membership.broker.host} since {since}: {why}",
            f"{start}, and see whether the broker is reached; {HEARD}",
        )
    said = _age(store.fact("desk_said"))
    whole_at, seen = int(store.fact("whole_at", 0)), int(store.fact("seen", 0))
    if whole_at < seen:
        return attention(
            "fleet",
            f"linked for {since}, and not all of the latest change ({said} old) is here",
            "wait some minutes; then look at its log",
        )
    return ok("fleet", f"linked for {since}; the latest change is {said} old", version=whole_at)


def _gates(store: Store) -> Iterator[Finding]:
    rows = gate_rows(store)
    unwell = [row for row in rows if not row.is_well]
    if unwell:
        told = "; ".join(f"{row.name}: {row.problems[0]}" for row in unwell)
        yield attention(
            "gates", f"{len(unwell)} of {len(rows)} are not well: {told}", "see to them"
        )
    elif rows:
        yield ok("gates", f"{len(rows)}, all well", gates=len(rows))


def _order(store: Store) -> Iterator[Finding]:
    order: dict[str, Any] = store.fact("order", {})
    if order and order.get("well") is None:
        yield attention(
            "fleet's bundle", "a desk ordered one that is not installed yet", "wait some minutes"
        )
    elif order.get("well") is False:
        yield attention(
            "fleet's bundle",
            f"the one that a desk ordered was not taken: {order.get('said') or 'no reason given'}",
            "roll it out again at the desk once that is mended",
        )


def _age(at: object) -> str:
    """Return how long ago a time was, in words."""
    try:
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(str(at))
    except (ValueError, TypeError):
        return "an unknown time"
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{max(0, round(60 * hours))} min"
    return f"{round(hours)} h" if hours < 48 else f"{round(hours / 24)} days"
