"""Gates: all of a fleet, as this desk last heard of them."""

from __future__ import annotations

import os
from contextlib import closing

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, view
from kaimen.errors import KaimenError
from kaimen.fleet.membership import FILE, Membership
from kaimen.fleet.status import GateRow, gate_rows
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.settings import Settings


async def show(exchange: Exchange) -> Response:
    """Show the page, which then asks how the gates are, and again while it is looked at."""
    return exchange.page("gates/page.html")


def found(exchange: Exchange) -> Response:
    """Show how they are now, who is not well first; at another machine, what to do."""
    rows: list[GateRow] = []
    why, membership = "", None
    settings = exchange.installation.settings
    try:
        if _is_in_fleet(settings):
            membership = Membership.load(settings.fleet.folder)
        place = fleet_store_path(settings.gallery.file)
        if membership is not None and membership.is_desk and place.exists():
            with closing(Store(place)) as store:
                rows = gate_rows(store)
    except KaimenError as error:
        why = exchange.sentence(str(error))
    rows.sort(key=lambda row: (row.is_well, row.name))
    return exchange.page("gates/found.html", rows=rows, membership=membership, why=why)


def _is_in_fleet(settings: Settings) -> bool:
    """Return whether this machine takes part in a fleet, as far as this user may look."""
    return os.path.exists(settings.fleet.folder / FILE)  # noqa: PTH110 - the other one raises


PAGE = Page(
    name="gates",
    navigation=NavigationEntry("Gates", "/gates", applies=_is_in_fleet),
    routes=(view("/gates", show), view("/gates/found", found)),
)
