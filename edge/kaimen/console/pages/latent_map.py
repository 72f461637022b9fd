"""The map: all students in two dimensions, and the probes that land among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, Response

from kaimen.audit import Record, pseudonyms, since
from kaimen.console.exchange import Exchange, RefusedRequest, as_json
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.latent_map import NEIGHBOURS, LatentMap, map_of
from kaimen.installation import Installation

EVERY = 0.5  # seconds between looks whether somebody spoke
FIRST = 10  # probes that a new watcher is shown


def show(exchange: Exchange) -> Response:
    """Show the page, which then draws the map."""
    try:
        now = _now(exchange.installation)
    except GalleryError as error:
        return exchange.page("map/page.html", now=None, why=str(error))
    return exchange.page("map/page.html", now=now, neighbours=NEIGHBOURS)


def places(exchange: Exchange) -> Response:
    """Return where everybody lies."""
    installation = exchange.installation
    now = _now(installation)
    members = installation.gallery.members  # in the map's order
    return JSONResponse(
        {
            "numbers": now.numbers.tolist(),
            "names": [each.name for each in members],
            "groups": [each.group for each in members],
            "x": now.places[:, 0].round(5).tolist(),
            "y": now.places[:, 1].round(5).tolist(),
        }
    )


def student(exchange: Exchange) -> Response:
    """Show one student, and whose voices are most like theirs."""
    gallery = exchange.installation.gallery
    number = int(exchange.request.path_params["number"])
    found = next((each for each in gallery.members if each.number == number), None)
    if found is None:
        raise RefusedRequest(404, "This student is not enrolled any more.")
    near = gallery.students_near(found.name, NEIGHBOURS)
    return exchange.page("map/student.html", student=found, near=near)


def fit(exchange: Exchange) -> Response:
    """Make the map by principal components, in place of the old one."""
    installation = exchange.installation
    exchange.audit("made the map of students")
    gallery = installation.gallery
    made = LatentMap.fit(gallery.encoder, *gallery.centroids())
    made.save(map_of(installation.settings.gallery.file), installation.vault)
    exchange.say("The map is made.")
    return exchange.see("/map")


async def feed(exchange: Exchange) -> Response:
    """Tell of each probe where it lands."""
    return exchange.stream(_probes(exchange))


async def _probes(exchange: Exchange) -> AsyncIterator[tuple[str, str]]:
    seen = 0
    while True:
        records = await exchange.work(_new, exchange.installation, seen)
        if records:
            seen = records[-1]["number"]
            for each in await exchange.work(_landed, exchange.installation, records):
                yield "probe", as_json(each)
        await asyncio.sleep(EVERY)


def _new(installation: Installation, seen: int) -> list[Record]:
    try:
        return since(installation.log_folder, installation.log_key, seen)
    except StorageError:  # no log yet
        return []


def _landed(installation: Installation, records: list[Record]) -> list[dict[str, Any]]:
    """Return where the probes of records land: by their scores, no voiceprint is in a log."""
    try:
        now = _now(installation)
    except GalleryError:
        return []
    key = installation.log_key
    known = {
        hashed: each
        for each in installation.gallery.members
        for hashed in pseudonyms(key, each.name)
    }
    found = []
    for record in records[-FIRST:]:
        nearest = [
            (known[each["student"]], each["score"])
            for each in record.get("nearest", ())
            if each["student"] in known and each["score"] is not None
        ]
        place = now.land([(who.number, score) for who, score in nearest])
        if record.get("kind") == "decision" and place is not None:
            x, y = place
            found.append(
                {
                    "number": record["number"],
                    "at": record["at"],
                    "verdict": record["verdict"],
                    "score": record["score"],
                    "threshold": record["threshold"],
                    "x": x,
                    "y": y,
                    "nearest": [[who.number, who.name, score] for who, score in nearest],
                }
            )
    return found


def _now(installation: Installation) -> LatentMap:
    """Return the map of who is enrolled now. Raises GalleryError with what to do."""
    gallery = installation.gallery
    path = map_of(installation.settings.gallery.file)
    kept = LatentMap.load(path, installation.vault, gallery.encoder)
    return kept.completed(*gallery.centroids())


PAGE = Page(
    name="map",
    title="Map",
    path="/map",
    role=Role.REGISTRAR,
    ways=(
        view("/map", show, role=Role.REGISTRAR),
        view("/map/places", places, role=Role.REGISTRAR),
        view("/map/student/{number:int}", student, role=Role.REGISTRAR),
        view("/map/feed", feed, role=Role.REGISTRAR),
        act("/map/fit", fit, role=Role.REGISTRAR),
    ),
)
