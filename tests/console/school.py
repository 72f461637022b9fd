"""A calibrated school of synthetic voices in a console's folder, and what its gate wrote down."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from kaimen.audit import Record, pseudonym
from kaimen.bench.synthetic import load
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.latent_map import LatentMap, map_path
from kaimen.installation import Installation
from kaimen.registry.vault import Vault
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Card
from tests.monitoring import simulated

GROUPS = ("7a", "7b", "8a", "8b")


def key_of(folder: Path) -> Vault:
    """The vault of the folder's key, made where there is none."""
    path = folder / "key"
    if not path.exists():
        Vault().save(path)
    return Vault.load(path)


def make_school(settings: Settings, students: int = 60) -> None:
    """Enroll so many synthetic students, and calibrate."""
    path = settings.gallery.file
    card, vault = Card.read(SHIPPED.with_suffix(".json")), key_of(path.parent)
    gallery = Gallery.open(path, vault, card.sha256, card.dimension)
    for number, own in enumerate(load().draw(students, 3, 0)):
        gallery.enroll(f"s{number:04}", list(own), group=GROUPS[number % len(GROUPS)])
    gallery.save()
    gallery.close()
    with Installation.open(settings, Screen(as_json=True)) as installation:
        installation.arming.keep(installation.arming.learn())


def make_map(settings: Settings) -> LatentMap:
    """Fit the map, and keep it."""
    with Installation.open(settings, Screen(as_json=True)) as installation:
        gallery = installation.gallery
        made = LatentMap.fit(gallery.encoder, *gallery.centroids())
        made.save(map_path(settings.gallery.file), installation.vault)
        return made


def decision(
    settings: Settings, at: datetime.datetime, student: int, score: float, stranger: float
) -> Record:
    """A record of a student who comes, and of how like the next one they are."""
    key = key_of(settings.gallery.file.parent).derive("audit")
    encoder = Card.read(SHIPPED.with_suffix(".json")).sha256
    names = [f"s{student:04}", f"s{student + 1:04}"]
    return {
        "at": at.isoformat(),
        "kind": "decision",
        "verdict": "open" if score > 0.5 else "unknown",
        "score": score,
        "threshold": 0.5,
        "nearest": [
            {"student": pseudonym(key, name), "score": each}
            for name, each in zip(names, (score, stranger), strict=True)
        ],
        "checks": {},
        "encoder": encoder[:16],
        "microphone": "USB PnP Sound Device",
    }


def write_weeks(settings: Settings, weeks: int = 8, *, drift: float = 0.0) -> None:
    """Write the decisions of weeks until now; in the last four strangers' scores rise."""
    random = np.random.default_rng(1)
    now = datetime.datetime.now(datetime.UTC)
    begin = now - datetime.timedelta(days=7 * weeks - 1)
    records = []
    for place in range(weeks * 20):
        at = begin + place * datetime.timedelta(days=7) / 20
        late = drift if at > now - datetime.timedelta(days=28) else 0.0
        score, stranger = random.normal(0.72, 0.06), random.normal(0.2 + late, 0.05)
        records.append(decision(settings, at, int(random.integers(0, 50)), score, stranger))
    folder = settings.gallery.file.parent
    simulated.write(records, folder / "audit", key_of(folder).derive("audit"))
