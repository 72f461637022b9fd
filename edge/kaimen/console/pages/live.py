"""Live: what the gate hears and decides now, and how the door is."""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.responses import Response

from kaimen.console import words
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import later
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.door.by_hand import open_by_hand


def show(exchange: Exchange) -> Response:
    """Show the page, which then fills itself."""
    return exchange.page(
        "live/page.html", lease=exchange.console.settings.door.lease, sees_names=_named(exchange)
    )


async def feed(exchange: Exchange) -> Response:
    """Stream what the gate tells, each kind as it is shown."""
    return exchange.stream(_shown(exchange))


async def open_door(exchange: Exchange) -> Response:
    """Open the door for one lease, once it is written down who did."""
    door = exchange.console.settings.door
    if not door.socket:
        raise RefusedRequest(
            409, "This door is a part of the gate's process; give [door] a socket first."
        )
    await exchange.aside(exchange.audit, later("opened the door by hand"))
    await exchange.aside(open_by_hand, Path(door.socket))
    if exchange.is_part:
        return exchange.page("live/opened.html", lease=door.lease)
    exchange.say("The door is open for {seconds} s.", seconds=f"{door.lease:g}")
    return exchange.see("/live")


async def _shown(exchange: Exchange) -> AsyncIterator[tuple[str, str]]:
    async for told in exchange.console.watching.events():
        match told.get("kind"):
            case "level":
                yield "level", json.dumps(told)
            case "decision":
                yield "decision", exchange.render("live/decision.html", **_decision(told, exchange))
            case "door":
                yield "door", exchange.render("live/door.html", **_door(told))
            case "gate":
                yield "gate", exchange.render("live/gate.html", gate=told)
                if told.get("away"):
                    yield "door", exchange.render("live/door.html", state="", faults=())


def _named(exchange: Exchange) -> bool:
    return exchange.account.role >= Role.named(exchange.console.settings.console.names)


def _decision(told: Mapping[str, Any], exchange: Exchange) -> dict[str, Any]:
    """Return what the template of a decision shows; a name only for who may see it."""
    named = _named(exchange)
    verdict, mark = words.VERDICTS.get(str(told.get("verdict")), ("", "warn"))
    scores = [each.get("score") for each in told.get("nearest") or ()]
    both = [score for score in scores[:2] if isinstance(score, int | float)]
    margin = both[0] - both[1] if len(both) == 2 else None
    at = datetime.datetime.fromtimestamp(float(told.get("at") or 0)).astimezone()
    return {
        "told": {"score": None, "threshold": None, "latency": None, **told},
        "verdict": verdict,
        "mark": mark,
        "student": told.get("student") if named else None,
        "claim": told.get("claim") if named else None,
        "why": words.why(told, exchange.text, exchange.sentence),
        "margin": margin,
        "at": at,
        "checks": [
            (words.CHECKS.get(name, name), each.get("score"), each.get("threshold"))
            for name, each in (told.get("checks") or {}).items()
        ],
        "quality": told.get("quality"),
    }


def _door(told: Mapping[str, Any]) -> dict[str, Any]:
    state, mark = words.DOOR.get(str(told.get("state")), (str(told.get("state")), "warn"))
    faults = [words.FAULTS.get(each, each) for each in told.get("faults") or ()]
    return {"state": state, "mark": mark, "relay": bool(told.get("relay")), "faults": faults}


PAGE = Page(
    name="live",
    navigation=NavigationEntry("Live", "/live"),
    routes=(view("/live", show), view("/live/feed", feed), act("/live/open", open_door)),
)
