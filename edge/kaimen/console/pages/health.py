"""Health: what the doctor finds."""

from __future__ import annotations

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.page import Page, view


def show(exchange: Exchange) -> Response:
    """Show what was found last."""
    return exchange.page("health/page.html")


PAGE = Page(name="health", title="Health", path="/health", ways=(view("/health", show),))
