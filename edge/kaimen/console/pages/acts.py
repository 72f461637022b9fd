"""Acts: who did what at the console, and at its terminal."""

from __future__ import annotations

import datetime
from itertools import islice
from typing import Any

from starlette.responses import Response

from kaimen.audit import Record, latest
from kaimen.console.exchange import Exchange
from kaimen.console.page import Page, view
from kaimen.console.roles import Role

SHOWN = 200  # the latest acts


def show(exchange: Exchange) -> Response:
    """Show the latest acts, as they are written down."""
    installation = exchange.installation
    found = []
    if installation.acts_folder.exists():  # made by the first act
        records = latest(installation.acts_folder, installation.acts_key)
        found = [_shown(each) for each in islice(records, SHOWN)]
    return exchange.page("acts/page.html", acts=found)


def _shown(record: Record) -> dict[str, Any]:
    at = datetime.datetime.fromisoformat(record["at"]).astimezone()
    known = ("number", "at", "before", "hash", "kind", "who", "did", "address")
    more = ", ".join(f"{name} {value}" for name, value in record.items() if name not in known)
    return {
        "at": at,
        "who": record.get("who", ""),
        "did": record.get("did", record.get("kind", "")),
        "more": more,
        "address": record.get("address", ""),
    }


PAGE = Page(
    name="acts",
    title="Acts",
    path="/acts",
    role=Role.ADMIN,
    ways=(view("/acts", show, role=Role.ADMIN),),
)
