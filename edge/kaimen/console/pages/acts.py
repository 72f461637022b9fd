"""Acts: who did what at the console, and at its terminal."""

from __future__ import annotations

import datetime
from itertools import islice
from typing import Any

from starlette.responses import Response

from kaimen.audit import Record, latest
from kaimen.console.exchange import Exchange
from kaimen.console.language import CATALOGUES, CHINESE, later
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, view
from kaimen.console.roles import Role
from kaimen.language import in_chinese

SHOWN = 200  # the latest acts
OWN = frozenset(("number", "at", "before", "hash", "kind", "who", "did", "address"))  # of a line
DETAILS = {
    "student": later("student"),
    "recording": later("recording"),
    "phrase": later("phrase"),
    "said": later("said"),
    "until": later("until"),
    "certificate": later("certificate"),
}
SAID = {"right": later("right"), "wrong": later("wrong")}  # of a kept phrase
# What the terminal writes down, beside what the pages do.
AT_TERMINAL = (
    later("added the account {name}"),
    later("removed the account {name}"),
)


def show(exchange: Exchange) -> Response:
    """Show the latest acts, as they are written down."""
    installation = exchange.installation
    found = []
    if installation.acts_folder.exists():  # made by the first act
        records = latest(installation.acts_folder, installation.acts_key)
        found = [_shown(each, exchange) for each in islice(records, SHOWN)]
    return exchange.page("acts/page.html", acts=found)


def _shown(record: Record, exchange: Exchange) -> dict[str, Any]:
    at = datetime.datetime.fromisoformat(record["at"]).astimezone()
    did = str(record.get("did", record.get("kind", "")))
    if exchange.language == CHINESE:
        did = in_chinese(did, CATALOGUES / "acts.toml")
    text = exchange.text
    details = [
        f"{text(DETAILS.get(name, name))} {text(SAID.get(str(value), str(value)))}"
        for name, value in record.items()
        if name not in OWN and value is not None
    ]
    return {
        "at": at,
        "who": record.get("who", ""),
        "did": did,
        "more": ", ".join(details),
        "address": record.get("address", ""),
    }


PAGE = Page(
    name="acts",
    navigation=NavigationEntry("Acts", "/acts", Role.ADMIN),
    routes=(view("/acts", show, role=Role.ADMIN),),
)
