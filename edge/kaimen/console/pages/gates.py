"""Gates: all of a fleet, as this desk last heard of them."""

from __future__ import annotations

from contextlib import closing

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.page import Page, view
from kaimen.errors import KaimenError
from kaimen.fleet.membership import FILE, Membership
from kaimen.fleet.status import GateRow, gate_rows
from kaimen.fleet.store import Store
from kaimen.local_time import local
from kaimen.registry.fleet_marks import store_of


async def show(exchange: Exchange) -> Response:
    """Show the page, which then asks how the gates are, and again while it is looked at."""
    return exchange.page("gates/page.html")


def found(exchange: Exchange) -> Response:
    """Show how they are now: who is not well first."""
    rows: list[GateRow] = []
    why = ""
    settings = exchange.installation.settings
    folder, place = settings.fleet.folder, store_of(settings.gallery.file)
    is_desk = False
    try:
        is_desk = (folder / FILE).exists() and Membership.load(folder).is_desk
        if is_desk and place.exists():
            with closing(Store(place)) as store:
                rows = gate_rows(store)
    except KaimenError as error:
        why = str(error)
    rows.sort(key=lambda row: (row.is_well, row.name))
    return exchange.page("gates/found.html", rows=rows, is_desk=is_desk, why=why, local=local)


PAGE = Page(
    name="gates",
    title="Gates",
    path="/gates",
    ways=(view("/gates", show), view("/gates/found", found)),
)
