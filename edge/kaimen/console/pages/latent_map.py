"""The map: all students in two dimensions, and the probes that land among them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, Response

from kaimen.audit import Record, pseudonyms, since
from kaimen.console.exchange import Exchange, RefusedRequest, as_json
from kaimen.console.language import later
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.latent_map import NEIGHBOURS, LatentMap, map_path
from kaimen.gallery.members import Numbers
from kaimen.installation import Installation
from kaimen.registry.student_rows import Student
from kaimen.registry.vault import Vault
from kaimen.voice.score import Points

EVERY = 0.5  # seconds between looks whether somebody spoke
FIRST = 10  # probes that a new watcher is shown


def show(exchange: Exchange) -> Response:
    """Show the page, which then draws the map."""
    try:
        now = _now(exchange.installation)
    except GalleryError as error:
        return exchange.page(
            "map/page.html",
            now=None,
            why=exchange.sentence(str(error)),
            enrolled=exchange.installation.settings.gallery.file.exists(),
        )
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


async def fit(exchange: Exchange) -> Response:
    """Make the map by principal components, in place of the old one: nobody waits meanwhile."""
    installation = exchange.installation
    path = map_path(installation.settings.gallery.file)

    def read() -> tuple[str, Numbers, Points, Vault]:
        gallery = installation.gallery
        gallery.refresh()
        return gallery.encoder, *gallery.centroids(), installation.vault

    encoder, numbers, centroids, vault = await exchange.work(read)
    await exchange.aside(exchange.audit, later("made the map of students"))
    made = await exchange.aside(LatentMap.fit, encoder, numbers, centroids)
    await exchange.aside(made.save, path, vault)
    exchange.say("The map is made.")
    return exchange.see("/map")


async def feed(exchange: Exchange) -> Response:
    """Tell of each probe where it lands."""
    return exchange.stream(_probes(exchange))


async def _probes(exchange: Exchange) -> AsyncIterator[tuple[str, str]]:
    landing, seen = Landing(exchange.installation), 0
    while True:
        records = await exchange.work(landing.records, seen)
        if records:
            seen = records[-1]["number"]
            for each in await exchange.work(landing.probes, records):
                yield "probe", as_json(each)
        await asyncio.sleep(EVERY)


class Landing:
    """Where probes land by the log, for one watcher; on the worker thread alone."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._of = ""  # which gallery, and which map of it, the following is of
        self._now: LatentMap | None = None
        self._known: dict[str, Student] = {}  # by their keyed hashes: 20,000 take a moment

    def records(self, seen: int) -> list[Record]:
        """Return what was written down since a line."""
        try:
            return since(self._installation.log_folder, self._installation.log_key, seen)
        except StorageError:  # no log yet
            return []

    def probes(self, records: list[Record]) -> list[dict[str, Any]]:
        """Return where the probes of records land: by their scores, no voiceprint is in a log."""
        self._keep_up()
        found = [self._probe(record) for record in records if record.get("kind") == "decision"]
        return [each for each in found[-FIRST:] if each is not None]

    def _keep_up(self) -> None:
        gallery = self._installation.gallery
        gallery.refresh()
        path = map_path(self._installation.settings.gallery.file)
        made = path.stat().st_mtime_ns if path.exists() else 0
        of = f"{made} {gallery.hash}"
        if of != self._of:
            self._of = of
            key = self._installation.log_key
            self._known = {
                hashed: each for each in gallery.members for hashed in pseudonyms(key, each.name)
            }
            self._now = None
            with contextlib.suppress(GalleryError):
                self._now = _now(self._installation)

    def _probe(self, record: Record) -> dict[str, Any] | None:
        nearest = [
            (self._known[each["student"]], each["score"])
            for each in record.get("nearest", ())
            if each["student"] in self._known and each["score"] is not None
        ]
        scores = [(who.number, score) for who, score in nearest]
        place = None if self._now is None else self._now.land(scores)
        if place is None:
            return None
        return {
            "number": record["number"],
            "at": record["at"],
            "verdict": record["verdict"],
            "score": record["score"],
            "threshold": record["threshold"],
            "x": place[0],
            "y": place[1],
            "nearest": [[who.number, who.name, score] for who, score in nearest],
        }


def _now(installation: Installation) -> LatentMap:
    """Return the map of who is enrolled now. Raises GalleryError with what to do."""
    gallery = installation.gallery
    gallery.refresh()
    path = map_path(installation.settings.gallery.file)
    kept = LatentMap.load(path, installation.vault, gallery.encoder)
    return kept.completed(*gallery.centroids())


PAGE = Page(
    name="map",
    navigation=NavigationEntry("Map", "/map", Role.REGISTRAR),
    routes=(
        view("/map", show, role=Role.REGISTRAR),
        view("/map/places", places, role=Role.REGISTRAR),
        view("/map/student/{number:int}", student, role=Role.REGISTRAR),
        view("/map/feed", feed, role=Role.REGISTRAR),
        act("/map/fit", fit, role=Role.REGISTRAR),
    ),
)
