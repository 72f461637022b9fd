"""Health: what the doctor finds."""

from __future__ import annotations

import datetime
from typing import Any

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.language import CHINESE, later
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, view
from kaimen.doctor.chinese import told

STATES = {
    "ok": (later("Well"), "good"),
    "attention": (later("Attention"), "warn"),
    "broken": (later("Broken"), "bad"),
}
ORDER = ("broken", "attention", "ok")


async def show(exchange: Exchange) -> Response:
    """Show the page, which then asks the doctor, and asks again while it is looked at."""
    return exchange.page("health/page.html")


async def found(exchange: Exchange) -> Response:
    """Show what is found now: what is broken first."""
    examined = await exchange.console.examination.latest()
    findings = sorted(
        (each for each in examined.findings if each["state"] in STATES),
        key=lambda each: ORDER.index(each["state"]),
    )
    if exchange.language == CHINESE:
        findings = [_in_chinese(each) for each in findings]
    at = datetime.datetime.fromtimestamp(examined.at).astimezone()
    return exchange.page(
        "health/found.html",
        findings=findings,
        states=STATES,
        at=at,
        failed=exchange.sentence(examined.failed),
    )


def _in_chinese(finding: dict[str, Any]) -> dict[str, Any]:
    name, found, mend = told(finding["name"], finding["found"], finding.get("mend") or "")
    return {**finding, "name": name, "found": found, "mend": mend}


PAGE = Page(
    name="health",
    navigation=NavigationEntry("Health", "/health"),
    routes=(view("/health", show), view("/health/found", found)),
)
