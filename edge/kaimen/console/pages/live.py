"""Live: what the gate hears and decides now, and how the door is."""

from __future__ import annotations

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.page import Page, view


def show(exchange: Exchange) -> Response:
    """Show the page, which then fills itself."""
    return exchange.page("live/page.html")


PAGE = Page(name="live", title="Live", path="/live", ways=(view("/live", show),))
